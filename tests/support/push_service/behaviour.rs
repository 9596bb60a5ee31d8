//! A push service's behaviour towards a good request that it does not serve normally.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::support::subscribers::browser::Browser;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

const HUGE: usize = 10_000_000;
const DRIP_EVERY: Duration = Duration::from_secs(1);

/// The requests that a behaviour applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Requests to every subscription without a behaviour of its own.
    Everyone,
    /// Requests to one subscription.
    Subscription(String),
}

impl From<&Browser> for Whom {
    fn from(browser: &Browser) -> Self {
        Self::Subscription(browser.id().to_owned())
    }
}

/// A prepared answer.
#[derive(Debug, Clone)]
pub(crate) struct Canned {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Canned {
    /// An empty answer.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status of HTTP"),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A refusal in autopush's form.
    pub(crate) fn autopush(status: u16, errno: u16, message: &str) -> Self {
        let canned = Self::status(status);
        let error = canned.status.canonical_reason().unwrap_or("Error");
        let body = json!({"code": status, "errno": errno, "error": error, "message": message});
        canned.json(&body)
    }

    /// The same with one more header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    /// The same with this text as its body.
    pub(crate) fn text(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with this JSON as its body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .text(body.to_string())
    }

    pub(crate) fn response(self) -> Response<Body> {
        let mut response = response(self.status, self.body);
        response.headers_mut().extend(self.headers);
        response
    }
}

/// The fate of a request that passed every check.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// The service answers this and delivers nothing.
    Answer(Canned),
    /// The service never answers.
    Hang,
    /// The service resets the TCP connection and delivers nothing.
    Reset,
    /// The service delivers the message, and resets the TCP connection before it answers.
    LoseAnswer,
    /// The service serves the request after this time.
    Slow(Duration),
    /// The service answers this after a while, and delivers nothing.
    Late(Duration, Canned),
    /// The service sends the headers at once, then one octet of body per second without end. It delivers if the status
    /// is a success.
    Drip(StatusCode),
    /// The service answers with a body of 10 MB. It delivers if the status is a success.
    Huge(StatusCode),
}

/// A body that never ends.
pub(crate) fn drip(status: StatusCode) -> Response<Body> {
    let octets = stream::unfold((), async |()| {
        tokio::time::sleep(DRIP_EVERY).await;
        Some((Ok(Frame::data(Bytes::from_static(b"."))), ()))
    });
    let mut response = Response::new(StreamBody::new(octets).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// A body that no client should read to its end.
pub(crate) fn huge(status: StatusCode) -> Response<Body> {
    response(status, Bytes::from(vec![b'x'; HUGE]))
}

fn response(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    response
}
