//! Splits Rust source into tokens. Comments and the contents of strings are dropped.

use std::path::{Path, PathBuf};

/// An identifier, a number, `::`, or one character of punctuation. A string is `""`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Line number, from 1.
    pub(crate) line: usize,
}

/// Every file with this extension in a folder and its subfolders, in order.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Splits a file into tokens.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (text, length) = match first {
            _ if rest.starts_with("//") => (None, rest.find('\n').unwrap_or(rest.len())),
            _ if rest.starts_with("/*") => (None, block_comment(rest)),
            _ if string_start(rest).is_some() => (Some("\"\""), string(rest)),
            '\'' => (None, quote(rest)),
            _ if rest.starts_with("::") => (Some("::"), 2),
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Some(&rest[..end]), end)
            }
            _ if first.is_whitespace() => (None, first.len_utf8()),
            _ => (Some(&rest[..first.len_utf8()]), first.len_utf8()),
        };
        tokens.extend(text.map(|text| Token {
            text: text.to_owned(),
            line,
        }));
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Offset of a string's opening quotation mark, and the number of `#` of a raw string. `None` when no string starts
/// here.
fn string_start(text: &str) -> Option<(usize, Option<usize>)> {
    let prefix = ["br", "cr", "r", "b", "c", ""]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let after = &text[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let raw = prefix.ends_with('r');
    let opens = after[hashes..].starts_with('"') && (raw || hashes == 0);
    opens.then_some((prefix.len() + hashes, raw.then_some(hashes)))
}

fn string(text: &str) -> usize {
    let (quote, raw) = string_start(text).expect("a string");
    if let Some(hashes) = raw {
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &text[quote + 1..];
        let found = body.find(&end).unwrap_or(body.len() - end.len());
        return quote + 1 + found + end.len();
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(quote + 1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal, or of a lifetime's `'`.
fn quote(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            let from = at + c.len_utf8();
            text[from..]
                .find('\'')
                .map_or(text.len(), |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The index after the bracket that closes the one at `open`.
pub(crate) fn index_after(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match &token.text[..] {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The index after the item at `from`: after its `;` or its body.
pub(crate) fn index_after_item(tokens: &[Token], mut from: usize) -> usize {
    while let Some(token) = tokens.get(from) {
        match &token.text[..] {
            ";" => return from + 1,
            "{" => return index_after(tokens, from),
            "(" | "[" => from = index_after(tokens, from),
            _ => from += 1,
        }
    }
    from
}

/// Name, first line and number of lines of every function with a body.
pub(crate) fn functions(source: &str) -> Vec<(String, usize, usize)> {
    let tokens = tokens(source);
    let mut functions = Vec::new();
    for at in 0..tokens.len().saturating_sub(1) {
        let is_named = tokens[at + 1].text.chars().all(is_word);
        if tokens[at].text == "fn" && is_named {
            let last = &tokens[index_after_item(&tokens, at) - 1];
            let lines = last.line - tokens[at].line + 1;
            if last.text == "}" {
                functions.push((tokens[at + 1].text.clone(), tokens[at].line, lines));
            }
        }
    }
    functions
}
