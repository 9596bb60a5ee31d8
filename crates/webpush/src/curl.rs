//! A request as a command of curl, to be pasted into a shell: for trying, and for showing to a push service's support.

use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request};

/// What else curl is to be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct CurlOptions<'a> {
    /// The file that the body was written to; a request without a body needs none.
    pub body: Option<&'a Path>,
    /// A certificate authority of one's own, PEM.
    pub ca_file: Option<&'a Path>,
    /// Seconds for the whole exchange.
    pub timeout: Option<f64>,
}

/// Writes `request` as a command for a POSIX shell that posts the same and prints the answer.
///
/// It holds what the push itself carries, and so can be used by whoever reads it until the token ends: the endpoint and
/// the signed token, never the key.
///
/// ```
/// use webpush::curl::{CurlOptions, curl_command};
///
/// let mut request = http::Request::post("https://push.example.org/a'b").body(bytes::Bytes::new())?;
/// request.headers_mut().insert("ttl", 60.into());
/// let command = curl_command(&request, CurlOptions::default());
/// assert!(command.contains("--header 'ttl: 60'"));
/// assert!(command.contains(r"'https://push.example.org/a'\''b'"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn curl_command(request: &Request<Bytes>, options: CurlOptions<'_>) -> String {
    // Without --globoff, curl takes [] and {} of an address for patterns.
    let mut lines = vec!["curl --globoff --include --silent --show-error".to_owned()];
    if let Some(seconds) = options.timeout {
        lines.push(format!("--max-time {seconds}"));
    }
    if let Some(file) = options.ca_file {
        lines.push(format!("--cacert {}", quoted(&file.to_string_lossy())));
    }
    lines.push(format!("--request {}", request.method()));
    lines.extend(header_lines(request.headers()));
    match options.body {
        Some(file) if !request.body().is_empty() => {
            let file = format!("@{}", file.display());
            lines.push(format!("--data-binary {}", quoted(&file)));
        }
        // No data at all would be no Content-Length either.
        Some(_) | None => lines.push("--data ''".to_owned()),
    }
    lines.push(quoted(&request.uri().to_string()));
    lines.join(" \\\n  ")
}

fn header_lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        // It is what curl counts by itself.
        .filter(|(name, _)| **name != CONTENT_LENGTH)
        .map(
            |(name, value)| match String::from_utf8_lossy(value.as_bytes()) {
                // `name:` would take the header away.
                value if value.is_empty() => format!("{name};"),
                value => format!("{name}: {value}"),
            },
        )
        .collect();
    if !headers.contains_key(CONTENT_TYPE) {
        // Else curl says that it posts a form.
        lines.push("content-type:".to_owned());
    }
    lines
        .iter()
        .map(|line| format!("--header {}", quoted(line)))
        .collect()
}

/// One word for a POSIX shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
