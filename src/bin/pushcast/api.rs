//! A client of the HTTP API of a server, here or in AWS, for the commands that call it.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use pushcast::config;
use serde_json::Value;
use url::{Host, Url};
use webpush::Origin;
use webpush::client::{ExchangeError, RawAnswer};
use webpush::{Client, Limits};

use crate::data_folder::{self, DataFolder};

/// Default address of `pushcast serve`.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// The server to call, and the API token for it.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Address of the API, with the stage if it has one.
    #[arg(long, env = config::URL, default_value = DEFAULT_URL, value_name = "URL", global = true)]
    url: String,
    /// The API token. Better in the environment: other users of this machine see a command's arguments.
    #[arg(long, env = config::TOKEN, hide_env_values = true, value_name = "TOKEN", global = true)]
    token: Option<String>,
    /// Folder of `pushcast serve`. Its token is used for a server on this machine when none is given.
    #[arg(long, default_value = data_folder::DEFAULT, value_name = "DIR", global = true)]
    data: PathBuf,
    /// PEM file with extra root certificates to trust, for a server with a private certificate.
    #[arg(long, env = config::CA_FILE, value_name = "FILE", global = true)]
    ca_file: Option<PathBuf>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No connection, or no answer.
    #[error("{url} cannot be reached ({cause}): is it running, and is --url (PUSHCAST_URL) right?")]
    Unreachable { url: Url, cause: String },
    /// The server gave the reason as `application/problem+json`.
    #[error("{title}: {detail} (HTTP status {})", status.as_u16())]
    Problem {
        status: StatusCode,
        title: String,
        detail: String,
    },
    /// The answer does not come from a pushcast server.
    #[error(
        "{url} answered with HTTP status {} but it is not a pushcast server: is --url (PUSHCAST_URL) right?",
        status.as_u16()
    )]
    Stranger { url: Url, status: StatusCode },
}

impl ApiError {
    /// Whether a retry of the same request may succeed: the server may be restarting or busy.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem { status, .. } | Self::Stranger { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
        }
    }
}

/// A client of one server.
pub(crate) struct Api {
    base: Url,
    origin: Origin,
    bearer: HeaderValue,
    client: Client,
}

impl Server {
    /// Makes the client. It sends no request yet.
    pub(crate) fn api(&self) -> Result<Api> {
        let base = Url::parse(&self.url).with_context(|| format!("--url {}", self.url))?;
        let origin = Origin::parse(&base.origin().ascii_serialization())
            .with_context(|| format!("--url {}: must begin with http:// or https://", self.url))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", self.token(&base)?))
            .ok()
            .context("the API token holds characters that a header cannot")?;
        bearer.set_sensitive(true);
        let limits = Limits {
            total: Duration::from_secs(30),
            body: 8 * 1024 * 1024,
            ..Limits::default()
        };
        Ok(Api {
            client: Client::new(limits, self.ca_file.as_deref())?,
            base,
            origin,
            bearer,
        })
    }

    /// The given token, or the folder's. The folder's token is sent to this machine only.
    fn token(&self, base: &Url) -> Result<String> {
        let given = self.token.as_deref().map(str::trim);
        if let Some(token) = given.filter(|token| !token.is_empty()) {
            return Ok(token.to_owned());
        }
        if !is_here(base) {
            anyhow::bail!("there is no API token for {base}: set PUSHCAST_TOKEN");
        }
        DataFolder::kept_token(&self.data).with_context(|| {
            format!(
                "there is no API token: set PUSHCAST_TOKEN, or name the folder of `pushcast serve` with --data \
                 (it is not {})",
                self.data.display()
            )
        })
    }
}

fn is_here(base: &Url) -> bool {
    match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Api {
    /// `GET`. `path` begins with `/push/`, and may hold a query; see [`segment`].
    pub(crate) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.ask(Method::GET, path, None).await
    }

    /// `POST`, with a body or without.
    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        self.ask(Method::POST, path, body).await
    }

    /// `DELETE`. An answer without a body is `null`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, ApiError> {
        self.ask(Method::DELETE, path, None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let stage = self.base.path().trim_end_matches('/');
        let mut request =
            Request::new(body.map_or_else(Bytes::new, |json| json.to_string().into()));
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{stage}{path}", self.origin)
            .parse()
            .unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.bearer.clone());
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        match self.client.exchange(&self.origin, request).await {
            Ok(answer) => self.read(&answer),
            Err(error) => Err(ApiError::Unreachable {
                url: self.base.clone(),
                cause: cause(&error),
            }),
        }
    }

    fn read(&self, answer: &RawAnswer) -> Result<Value, ApiError> {
        let status = answer.status;
        let json = match &answer.body {
            empty if empty.is_empty() && status.is_success() => Some(Value::Null),
            body => serde_json::from_slice::<Value>(body).ok(),
        };
        let text = |json: &Value, name: &str| json.get(name)?.as_str().map(str::to_owned);
        match json {
            Some(json) if status.is_success() => Ok(json),
            Some(json) => match (text(&json, "title"), text(&json, "detail")) {
                (Some(title), Some(detail)) => Err(ApiError::Problem {
                    status,
                    title,
                    detail,
                }),
                _ => Err(self.stranger(status)),
            },
            None => Err(self.stranger(status)),
        }
    }

    fn stranger(&self, status: StatusCode) -> ApiError {
        let url = self.base.clone();
        ApiError::Stranger { url, status }
    }
}

/// The deepest cause of the error, because the push client's own texts speak of push services.
fn cause(error: &ExchangeError) -> String {
    let Some(mut deepest) = error.source() else {
        return "no answer in time".to_owned();
    };
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    deepest.to_string()
}

/// The characters to percent-encode: all but the unreserved ones (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes a name as one segment of a path, or as a value in a query. `Url::path_segments_mut` would drop `..`,
/// which is a valid name of a schedule.
pub(crate) fn segment(name: &str) -> PercentEncode<'_> {
    utf8_percent_encode(name, ENCODED)
}
