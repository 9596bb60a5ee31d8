//! The imports between a crate's files, and the cycles among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use super::source::{Token, files, index_after, index_after_item, tokens};

/// `["deliver", "retry"]`; empty for the crate's root.
type Module = Vec<String>;

/// A path that occurs in a file.
#[derive(Debug, Clone)]
struct Mention {
    path: Vec<String>,
    line: usize,
}

#[derive(Debug, Default)]
struct File {
    name: String,
    mentions: Vec<Mention>,
    /// Names that the module exports again, and their origin.
    exports: BTreeMap<String, Vec<String>>,
    /// Modules that exist only in tests.
    test_modules: BTreeSet<String>,
}

/// The files of one crate, by module.
#[derive(Debug)]
pub(crate) struct Imports(BTreeMap<Module, File>);

/// From an importing file or module to each imported one, with the lines that import it.
pub(crate) type Arrows = BTreeMap<String, BTreeMap<String, Vec<String>>>;

impl Imports {
    /// Reads a crate whose root is `lib.rs` or `main.rs` in `folder`. `without` is a folder that holds other crates.
    /// File names are relative to `base`.
    pub(crate) fn read(base: &Path, folder: &str, without: &str) -> Self {
        let mut modules = BTreeMap::new();
        for path in files(&base.join(folder), "rs") {
            let inside = path.strip_prefix(base.join(folder)).expect("inside");
            if !without.is_empty() && inside.starts_with(without) {
                continue;
            }
            let words = inside.with_extension("");
            let mut module: Module = words.iter().map(|it| it.display().to_string()).collect();
            if ["lib", "main", "mod"]
                .map(Some)
                .contains(&module.last().map(|it| &it[..]))
            {
                module.pop();
            }
            let source = std::fs::read_to_string(&path).expect("text");
            let name = path
                .strip_prefix(base)
                .expect("inside")
                .display()
                .to_string();
            modules.insert(module, File::read(name, &tokens(&source)));
        }
        let test_modules: Vec<Module> = modules
            .iter()
            .flat_map(|(module, file)| file.test_modules.iter().map(|it| child(module, it)))
            .collect();
        modules.retain(|module, _| !test_modules.iter().any(|it| module.starts_with(it)));
        Self(modules)
    }

    /// The imports between files.
    pub(crate) fn between_files(&self) -> Arrows {
        self.arrows(|module| self.0[module].name.clone())
    }

    /// The imports between the crate's top modules.
    pub(crate) fn between_top_modules(&self) -> Arrows {
        self.arrows(|module| {
            module
                .first()
                .cloned()
                .unwrap_or_else(|| "the root".to_owned())
        })
    }

    fn arrows(&self, place: impl Fn(&Module) -> String) -> Arrows {
        let mut arrows = Arrows::new();
        for (module, file) in &self.0 {
            for mention in &file.mentions {
                let Some(target) = self.resolve(module, &mention.path, 0) else {
                    continue;
                };
                let (from, to) = (place(module), place(&target));
                if from != to {
                    let line =
                        format!("{}:{} {}", file.name, mention.line, mention.path.join("::"));
                    arrows
                        .entry(from)
                        .or_default()
                        .entry(to)
                        .or_default()
                        .push(line);
                }
            }
        }
        arrows
    }

    /// The module that defines the item of a path. `None` for an item of another crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match &first[..] {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            name => Some(child(from, name)).filter(|it| self.0.contains_key(it))?,
        };
        while let Some((name, behind)) = rest.split_first() {
            let below = child(&module, name);
            if name == "super" {
                module.pop()?;
            } else if self.0.contains_key(&below) {
                module = below;
            } else if let Some(origin) = self.0[&module].exports.get(name).filter(|_| depth < 9) {
                let path = [origin, behind].concat();
                return self.resolve(&module, &path, depth + 1).or(Some(module));
            } else {
                break;
            }
            rest = behind;
        }
        Some(module)
    }
}

fn child(module: &Module, name: &str) -> Module {
    [module, &[name.to_owned()][..]].concat()
}

impl File {
    fn read(name: String, tokens: &[Token]) -> Self {
        let mut file = Self {
            name,
            ..Self::default()
        };
        let text = |at: usize| tokens.get(at).map_or("", |token| &token.text[..]);
        let mut exported = false;
        let mut at = 0;
        while at < tokens.len() {
            match (text(at), text(at + 1)) {
                ("#", "[" | "!") => at = file.attribute(tokens, at),
                ("pub", "(") => (exported, at) = (true, index_after(tokens, at + 1)),
                ("pub", _) => (exported, at) = (true, at + 1),
                ("use", _) => {
                    let end = index_after_use(tokens, at);
                    file.import(&tokens[at + 1..end], exported);
                    (exported, at) = (false, end);
                }
                (_, "::") if text(at) != "::" => {
                    let mut path = vec![text(at).to_owned()];
                    let line = tokens[at].line;
                    while text(at + 1) == "::" && text(at + 2).starts_with(char::is_alphabetic) {
                        at += 2;
                        path.push(text(at).to_owned());
                    }
                    file.mentions.push(Mention { path, line });
                    (exported, at) = (false, at + 2);
                }
                (name, _) => {
                    // A file may also use the names that it exports.
                    if let Some(path) = file.exports.get(name).cloned() {
                        let line = tokens[at].line;
                        file.mentions.push(Mention { path, line });
                    }
                    (exported, at) = (false, at + 1);
                }
            }
        }
        file
    }

    /// Skips an attribute, and the item after it if only tests have that item.
    fn attribute(&mut self, tokens: &[Token], at: usize) -> usize {
        let open = if tokens[at + 1].text == "!" {
            at + 2
        } else {
            at + 1
        };
        let end = index_after(tokens, open);
        let words: Vec<&str> = tokens[open..end].iter().map(|it| &it.text[..]).collect();
        if words != ["[", "cfg", "(", "test", ")", "]"] {
            return end;
        }
        let after_test = index_after_item(tokens, end);
        let item: Vec<&str> = tokens[end..after_test]
            .iter()
            .map(|it| &it.text[..])
            .collect();
        if let Some(at) = item.iter().position(|it| *it == "mod")
            && item.get(at + 2) == Some(&";")
        {
            self.test_modules.insert(item[at + 1].to_owned());
        }
        after_test
    }

    /// Reads what stands between `use` and `;`.
    fn import(&mut self, tree: &[Token], exported: bool) {
        for (path, alias, line) in leaves(tree, &[]) {
            if exported {
                self.exports.insert(alias, path);
            } else {
                self.mentions.push(Mention { path, line });
            }
        }
    }
}

/// The index after the `;` of a `use`.
fn index_after_use(tokens: &[Token], at: usize) -> usize {
    let end = tokens[at..].iter().position(|token| token.text == ";");
    end.map_or(tokens.len(), |end| at + end + 1)
}

/// The paths of a tree such as `a::{b, c::d as e}`, each with the name that it gets and its line.
fn leaves(tree: &[Token], before: &[String]) -> Vec<(Vec<String>, String, usize)> {
    let mut found = Vec::new();
    let mut path = before.to_vec();
    let (mut alias, mut line) = (None, 0);
    let mut at = 0;
    while at <= tree.len() {
        match tree.get(at).map_or(",", |token| &token.text[..]) {
            "," | ";" => {
                if path.len() > before.len() && line > 0 {
                    let name = alias.take().or_else(|| path.last().cloned());
                    found.push((path, name.expect("a name"), line));
                }
                (path, line) = (before.to_vec(), 0);
            }
            "{" => {
                let end = index_after(tree, at);
                found.extend(leaves(&tree[at + 1..end - 1], &path));
                (path, line, at) = (before.to_vec(), 0, end - 1);
            }
            "as" => {
                alias = tree.get(at + 1).map(|token| token.text.clone());
                at += 1;
            }
            "::" | "*" => {}
            // Inside a list, `self` is the module in front of it.
            "self" if !path.is_empty() => line = tree[at].line,
            name => {
                path.push(name.to_owned());
                line = tree[at].line;
            }
        }
        at += 1;
    }
    found
}

/// For each cycle, its shortest way around: each import with the lines that cause it.
pub(crate) fn cycles(arrows: &Arrows) -> Vec<String> {
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    let mut cycles = Vec::new();
    for place in arrows.keys() {
        let Some(way) = shortest_cycle(arrows, place) else {
            continue;
        };
        if way.iter().any(|it| reported.contains(it)) {
            continue;
        }
        reported.extend(&way);
        let mut text = format!("{} -> {}\n", way.join(" -> "), place);
        for (from, to) in way.iter().zip(way.iter().skip(1).chain([&&place[..]])) {
            for line in arrows[*from][*to].iter().take(3) {
                text += &format!("    {line}\n");
            }
        }
        cycles.push(text);
    }
    cycles
}

/// The shortest way from `place` back to it.
fn shortest_cycle<'a>(arrows: &'a Arrows, place: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![place]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = way.last().expect("a place");
        for next in arrows.get(*last).into_iter().flat_map(BTreeMap::keys) {
            if next == place {
                return Some(way);
            }
            if seen.insert(&next[..]) {
                ways.push_back([&way[..], &[next]].concat());
            }
        }
    }
    None
}
