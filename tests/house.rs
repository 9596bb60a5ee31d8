//! The structure of the source: modules and files import each other without cycles, and no function is too long.

use std::path::Path;

use self::imports::{Arrows, Imports, cycles};
use self::source::{files, functions};

mod imports;
mod source;

/// A crate's folder, and a folder inside it that holds other crates.
const CRATES: [(&str, &str); 3] = [
    ("src", "bin"),
    ("src/bin/pushcast", ""),
    ("crates/webpush/src", ""),
];

const MOST_LINES: usize = 60;
const RUST: [&str; 4] = ["src", "crates", "tests", "benches"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A crate with these files, given by name and content.
fn seeded(files: &[(&str, &str)]) -> (tempfile::TempDir, Imports) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join("src").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, content).expect("room on the disk");
    }
    let imports = Imports::read(folder.path(), "src", "");
    (folder, imports)
}

fn no_cycles(arrows: impl Fn(&Imports) -> Arrows) {
    let mut found = Vec::new();
    for (folder, without) in CRATES {
        let arrows = arrows(&Imports::read(root(), folder, without));
        assert!(arrows.len() > 5, "{folder}: {arrows:?}");
        found.extend(cycles(&arrows));
    }
    assert!(found.is_empty(), "import cycles:\n{}", found.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    no_cycles(Imports::between_files);
}

#[test]
fn no_top_modules_import_each_other_in_a_cycle() {
    no_cycles(Imports::between_top_modules);
}

#[test]
fn the_check_finds_a_seeded_cycle_of_files_and_names_its_imports() {
    let (_folder, imports) = seeded(&[
        (
            "lib.rs",
            "pub mod kitchen;\npub mod hall;\npub use hall::Door;\n",
        ),
        ("kitchen/mod.rs", "mod stove;\npub use stove::Stove;\n"),
        (
            "kitchen/stove.rs",
            "pub struct Stove;\nfn warm() { crate::Door::open() }\n",
        ),
        (
            "hall.rs",
            "use std::fmt;\n\nuse crate::kitchen::{self, Stove as Oven};\npub struct Door;\n",
        ),
    ]);
    let found = cycles(&imports.between_files());
    let expected = "src/hall.rs -> src/kitchen/stove.rs -> src/hall.rs\n    \
                    src/hall.rs:3 crate::kitchen::Stove\n    src/kitchen/stove.rs:2 crate::Door::open\n";
    assert_eq!(found, [expected]);
    let found = cycles(&imports.between_top_modules());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("hall -> kitchen -> hall\n"),
        "{found:?}"
    );
}

#[test]
fn the_check_finds_a_cycle_between_a_folder_and_its_file() {
    let (_folder, imports) = seeded(&[
        ("lib.rs", "mod hall;\n"),
        (
            "hall/mod.rs",
            "mod door;\npub use door::Door;\npub struct Hall { door: Door }\n",
        ),
        ("hall/door.rs", "use super::Hall;\npub struct Door;\n"),
    ]);
    let found = cycles(&imports.between_files());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("src/hall/mod.rs:3 door::Door"),
        "{found:?}"
    );
    assert!(cycles(&imports.between_top_modules()).is_empty());
}

#[test]
fn the_check_ignores_comments_strings_tests_and_other_crates() {
    let (_folder, imports) = seeded(&[
        ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod examples;\n"),
        (
            "a.rs",
            "use crate::b::B;\n/// See [`crate::b`].\npub struct A<'a>(&'a B);\n",
        ),
        (
            "b.rs",
            "// crate::a\n/* use crate::a::A; /* crate::a::A */ */\nuse a::Thing;\npub const B: &str = r#\"\"crate::a::A\"#;\n\
             const C: char = '\"';\n#[cfg(test)]\nmod tests { use crate::a::A; }\n",
        ),
        ("examples.rs", "use crate::b::B;\nuse crate::a::A;\n"),
    ]);
    let arrows = imports.between_files();
    assert_eq!(cycles(&arrows), [""; 0]);
    assert_eq!(arrows.keys().collect::<Vec<_>>(), ["src/a.rs"]);
}

#[test]
fn no_function_is_longer_than_60_lines() {
    let mut long = Vec::new();
    let mut all = 0;
    for file in RUST
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
    {
        let source = std::fs::read_to_string(&file).expect("text");
        let name = file
            .strip_prefix(root())
            .expect("inside")
            .display()
            .to_string();
        for (function, line, lines) in functions(&source) {
            all += 1;
            if lines > MOST_LINES {
                long.push(format!("{name}:{line} {function} has {lines} lines"));
            }
        }
    }
    assert!(all > 1_000, "{all} functions");
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn the_check_finds_a_seeded_long_function() {
    let line = "    let brace = '{'; // {\n";
    let function = |lines: usize| {
        let body = line.repeat(lines - 3);
        format!(
            "fn short<const N: usize>(a: [u8; N]);\nasync fn long() -> &'static str\n{{\n{body}}}\n"
        )
    };
    let expected = |lines| [("long".to_owned(), 2, lines)];
    assert_eq!(functions(&function(60)), expected(60));
    assert_eq!(functions(&function(61)), expected(61));
}
