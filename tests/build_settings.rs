//! `.cargo/config.toml` removes code from the Lambda functions: exactly the code that it means to remove.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// aws-lc leaves out its code for AVX-512 where this macro is defined.
const MACRO: &str = "MY_ASSEMBLER_IS_TOO_OLD_FOR_512AVX";

/// The folder with aws-lc's sources.
fn aws_lc() -> PathBuf {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version", "1", "--offline", "--locked"]);
    metadata.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = metadata.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let json: Value = serde_json::from_slice(&output.expect("cargo").stdout).expect("JSON");
    let mut packages = json["packages"].as_array().expect("packages").iter();
    let found = packages.find(|it| it["name"] == "aws-lc-sys");
    let manifest = found.expect("aws-lc-sys")["manifest_path"].as_str();
    Path::new(manifest.expect("a path")).with_file_name("aws-lc")
}

/// Files under `folder` where a preprocessor condition names the macro.
fn conditions(root: &Path, folder: &str, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(root.join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().display());
        if entry.file_type().expect("a type").is_dir() {
            conditions(root, &name, found);
            continue;
        }
        if ![".c", ".h", ".S"].iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let text = std::fs::read(entry.path()).expect("a file");
        let text = String::from_utf8_lossy(&text).replace("\\\n", " ");
        let is_condition = |line: &str| line.trim_start().starts_with('#') && line.contains(MACRO);
        if text.lines().any(is_condition) {
            found.insert(name);
        }
    }
}

#[test]
fn the_macro_removes_aes_gcm_xts_and_rsa_for_avx_512_and_nothing_else() {
    let (root, mut found) = (aws_lc(), BTreeSet::new());
    for folder in ["crypto", "include", "generated-src/linux-x86_64"] {
        conditions(&root, folder, &mut found);
    }
    let expected = [
        "crypto/fipsmodule/aes/internal.h",
        "crypto/fipsmodule/bn/rsaz_exp.h",
        "crypto/fipsmodule/modes/gcm.c",
        "crypto/fipsmodule/modes/internal.h",
        "generated-src/linux-x86_64/crypto/fipsmodule/aesni-gcm-avx512.S",
        "generated-src/linux-x86_64/crypto/fipsmodule/aesni-xts-avx512.S",
        "generated-src/linux-x86_64/crypto/fipsmodule/rsaz-2k-avx512.S",
        "generated-src/linux-x86_64/crypto/fipsmodule/rsaz-3k-avx512.S",
        "generated-src/linux-x86_64/crypto/fipsmodule/rsaz-4k-avx512.S",
        "include/openssl/target.h",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}

/// Names of aws-lc's functions in a binary.
fn symbols(binary: &[u8]) -> BTreeSet<&str> {
    let names = binary.split(|byte| *byte == 0);
    let names = names.filter(|name| name.starts_with(b"aws_lc_"));
    names.filter_map(|name| str::from_utf8(name).ok()).collect()
}

#[test]
fn a_function_contains_aes_gcm_for_avx_but_not_for_avx_512() {
    let function = std::fs::read(env!("CARGO_BIN_EXE_send")).expect("a binary");
    let symbols = symbols(&function);
    let holds = |end: &str| symbols.iter().any(|name| name.ends_with(end));
    for name in ["_gcm_init_avx", "_gcm_ghash_avx"] {
        assert!(holds(name), "{name}: symbols have other names now");
        let avx_512 = format!("{name}512");
        assert!(
            !holds(&avx_512),
            "{avx_512} is linked: the macro has lost its meaning"
        );
    }
}
