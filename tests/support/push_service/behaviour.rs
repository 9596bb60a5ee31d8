//! What a push service does to a good request instead of serving it.

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

/// Whose requests a behaviour meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Those to every subscription that has no behaviour of its own.
    Everyone,
    /// Those to one.
    Subscription(String),
}

impl From<&Browser> for Whom {
    fn from(browser: &Browser) -> Self {
        Self::Subscription(browser.id().to_owned())
    }
}

/// An answer written beforehand.
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

    /// As autopush refuses.
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

/// What happens to a request that passed every check.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// This answer; nothing is delivered.
    Answer(Canned),
    /// No answer, ever.
    Hang,
    /// The TCP connection is reset; nothing is delivered.
    Reset,
    /// Delivered, and the TCP connection is reset before the answer.
    LoseAnswer,
    /// Served, after a while.
    Slow(Duration),
    /// This answer after a while; nothing is delivered.
    Late(Duration, Canned),
    /// The headers at once, then one octet of body a second without end; delivered if the status is a success.
    Drip(StatusCode),
    /// A body of 10 MB; delivered if the status is a success.
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

/// A body that nobody should read to its end.
pub(crate) fn huge(status: StatusCode) -> Response<Body> {
    response(status, Bytes::from(vec![b'x'; HUGE]))
}

fn response(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = status;
    response
}
