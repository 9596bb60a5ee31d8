//! A request as a curl command that can be pasted into a shell: to try it, or to show it to a push service's support.

use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request};

/// Options of the curl command.
#[derive(Debug, Clone, Copy, Default)]
pub struct CurlOptions<'a> {
    /// The file with the request's body. A request without a body needs none.
    pub body: Option<&'a Path>,
    /// A file with an additional root certificate, PEM.
    pub ca_file: Option<&'a Path>,
    /// Seconds for the whole exchange.
    pub timeout: Option<f64>,
}

/// Writes `request` as a command for a POSIX shell. The command posts the same request and prints the answer.
///
/// It holds the endpoint and the signed token, but never the key. Anyone who reads it can send until the token expires.
///
/// ```
/// use webpush::{CurlOptions, curl_command};
///
/// let mut request = http::Request::post("https://push.example.org/a'b").body(bytes::Bytes::new())?;
/// request.headers_mut().insert("ttl", 60.into());
/// let command = curl_command(&request, CurlOptions::default());
/// assert!(command.contains("--header 'ttl: 60'"));
/// assert!(command.contains(r"'https://push.example.org/a'\''b'"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn curl_command(request: &Request<Bytes>, options: CurlOptions<'_>) -> String {
    // Without --globoff, curl expands [] and {} in a URL.
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
        // Without --data, curl sends no Content-Length.
        Some(_) | None => lines.push("--data ''".to_owned()),
    }
    lines.push(quoted(&request.uri().to_string()));
    lines.join(" \\\n  ")
}

fn header_lines(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        // curl computes it.
        .filter(|(name, _)| **name != CONTENT_LENGTH)
        .map(
            |(name, value)| match String::from_utf8_lossy(value.as_bytes()) {
                // `name:` would remove the header.
                value if value.is_empty() => format!("{name};"),
                value => format!("{name}: {value}"),
            },
        )
        .collect();
    if !headers.contains_key(CONTENT_TYPE) {
        // Otherwise curl says that it posts a form.
        lines.push("content-type:".to_owned());
    }
    lines
        .iter()
        .map(|line| format!("--header {}", quoted(line)))
        .collect()
}

/// Quotes any text as one word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
