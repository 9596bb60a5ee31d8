//! `--curl`: prints the request as a curl command, and writes its body to a file.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::Request;
use serde_json::json;
use webpush::{CurlOptions, curl_command};

use super::Push;
use crate::output::{complain, create_private, say};

/// Name of the body's file: `encrypted.data`, or the first of `encrypted-2.data` and so on that does not exist.
const BODY_FILE: &str = "encrypted";
/// Names that are tried.
const MOST_BODY_FILES: usize = 10_000;

impl Push {
    pub(super) fn print_curl(
        &self,
        request: &Request<Bytes>,
        ca_file: Option<&Path>,
    ) -> Result<()> {
        let body = match request.body() {
            body if body.is_empty() => None,
            body => {
                let (path, mut file) = new_body_file()?;
                file.write_all(body)
                    .with_context(|| path.display().to_string())?;
                Some(path)
            }
        };
        let ca_file = ca_file.map(std::path::absolute).transpose()?;
        let command = curl_command(
            request,
            CurlOptions {
                body: body.as_deref(),
                ca_file: ca_file.as_deref(),
                timeout: Some(self.timeout.as_secs_f64()),
            },
        );
        if self.json {
            say(json!({"curl": command, "body": body}))?;
        } else {
            say(&command)?;
            if let Some(body) = body {
                complain(format_args!("the body is in {}", body.display()));
            }
        }
        Ok(())
    }
}

/// Creates a file under a new name, because an earlier curl command may still need its own file.
fn new_body_file() -> Result<(PathBuf, File)> {
    let folder = std::env::current_dir().context("the current folder")?;
    for number in 1..MOST_BODY_FILES {
        let name = match number {
            1 => format!("{BODY_FILE}.data"),
            _ => format!("{BODY_FILE}-{number}.data"),
        };
        let path = folder.join(name);
        if !path.exists() {
            let file = create_private(&path)?;
            return Ok((path, file));
        }
    }
    bail!("there are {MOST_BODY_FILES} files {BODY_FILE}-N.data here: remove some")
}
