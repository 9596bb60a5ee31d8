//! Reads a message from a file, the standard input, or the command line itself.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Reads JSON from a file, from the standard input for `-`, or from the argument if it is an object. The server checks
/// its content.
pub(crate) fn read(given: &str) -> Result<Value> {
    let (named, text) = if given.trim_start().starts_with('{') {
        ("the message", given.to_owned())
    } else {
        let named = if given == "-" {
            "the standard input"
        } else {
            given
        };
        (named, read_text(given)?)
    };
    serde_json::from_str(&text).with_context(|| format!("{named} is not JSON"))
}

/// Reads the text of a file, or of the standard input for `-`.
pub(crate) fn read_text(given: &str) -> Result<String> {
    if given == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("the standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(given).with_context(|| given.to_owned())
}
