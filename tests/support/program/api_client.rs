//! A client of the API over HTTP/1.1, without state.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::timeout;

use crate::support::waiting::PATIENCE;

pub(super) async fn request(
    url: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{url}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).expect("a request");
    let client: HttpClient<HttpConnector, Full<Bytes>> =
        HttpClient::builder(TokioExecutor::new()).build_http();
    let answer = timeout(PATIENCE, client.request(request))
        .await
        .expect("an answer in time");
    let (head, body) = answer.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole answer").to_bytes();
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Answer {
        status: head.status,
        headers: head.headers,
        json,
        body,
    }
}

/// A backend: it knows the server's address and token, and does not control the server's process.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Backend {
    /// `POST /push/send`.
    pub(crate) async fn send(&self, message: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", &bearer[..])];
        request(
            &self.url,
            Method::POST,
            "/push/send",
            &headers,
            message.to_string().into(),
        )
        .await
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `Null` when the body is no JSON.
    pub(crate) json: Value,
    pub(crate) body: Bytes,
}
