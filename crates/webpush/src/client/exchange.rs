//! One exchange: a request out, an answer in. Time-outs, no redirects, and another try only for a request that certainly
//! never reached the service.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::concurrency::Signal;
use super::connection::ConnectError;
use super::dispatched::Dispatched;
use super::limits::Limits;
use super::pool::{Lease, Pool};

/// Further tries after a connection turned out to be closed before the request left. They come on top of one try for each
/// HTTP/2 connection, as all of those may be closing.
const STALE_CONNECTIONS: usize = 3;

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection could be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The answer did not come within [`Limits::total`].
    #[error("the push service did not answer in time")]
    TimedOut,
    /// The connection ended, or the peer does not speak HTTP.
    #[error("the push service broke off")]
    BrokeOff(#[source] hyper::Error),
}

impl ExchangeError {
    /// A service that takes a request and does not answer it has too much to do.
    pub(super) fn signal(&self) -> Signal {
        match self {
            Self::TimedOut => Signal::Busy(None),
            Self::Connect(_) | Self::BrokeOff(_) => Signal::Unclear,
        }
    }
}

/// An answer before it is interpreted. A redirect is an answer too: the client never follows one.
#[derive(Debug)]
pub struct RawAnswer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, at most [`Limits::body`] bytes of it.
    pub body: Bytes,
}

/// How one try failed.
enum Failure {
    /// The request never left, or the service says that it did not process it: it may be sent again.
    NotSent(Box<Request<Full<Bytes>>>, hyper::Error),
    /// The service may have processed it.
    Sent(ExchangeError),
}

/// Sends `request` over a connection of `pool`, and reads the answer. Sets `dispatched` before any byte leaves.
pub(super) async fn exchange(
    pool: &Arc<Pool>,
    limits: &Limits,
    request: Request<Bytes>,
    dispatched: &Dispatched,
) -> Result<RawAnswer, ExchangeError> {
    let mut request = request.map(Full::new);
    let mut tries_left = STALE_CONNECTIONS + limits.http2_connections;
    loop {
        let lease = timeout(limits.wait(), pool.lease()).await;
        let lease = lease.unwrap_or(Err(ConnectError::TimedOut))?;
        dispatched.set();
        match exchange_over(lease, limits, request).await {
            Ok(answer) => return Ok(answer),
            Err(Failure::NotSent(unsent, _)) if tries_left > 0 => {
                request = *unsent;
                tries_left -= 1;
            }
            Err(Failure::NotSent(_, error)) => return Err(ExchangeError::BrokeOff(error)),
            Err(Failure::Sent(error)) => return Err(error),
        }
    }
}

async fn exchange_over(
    mut lease: Lease,
    limits: &Limits,
    request: Request<Full<Bytes>>,
) -> Result<RawAnswer, Failure> {
    let deadline = Instant::now() + limits.total;
    let timed_out = Failure::Sent(ExchangeError::TimedOut);
    let answer = timeout_at(deadline, send(&mut lease, request)).await;
    let answer = answer.unwrap_or(Err(timed_out))?;
    let read = read(answer, limits.body, deadline).await;
    let (answer, complete) = read.map_err(Failure::Sent)?;
    if complete {
        // The answer is complete, whatever becomes of the connection.
        let _returned = timeout_at(deadline, lease.done()).await;
    }
    Ok(answer)
}

/// Reads at most `limit` bytes of the body: the rest is of no use, and may have no end. The flag says whether the body
/// was read to its end.
///
/// A success counts as soon as its head is here. If the body then breaks off, another push would be a second push.
async fn read(
    answer: Response<Incoming>,
    limit: usize,
    deadline: Instant,
) -> Result<(RawAnswer, bool), ExchangeError> {
    let (head, mut incoming) = answer.into_parts();
    let mut body = BytesMut::new();
    let mut complete = true;
    loop {
        let frame = match timeout_at(deadline, incoming.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) | Err(_) if head.status.is_success() => {
                complete = false;
                break;
            }
            Ok(Some(Err(error))) => return Err(ExchangeError::BrokeOff(error)),
            Err(_) => return Err(ExchangeError::TimedOut),
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let space = limit - body.len();
        body.extend_from_slice(&data[..data.len().min(space)]);
        if data.len() > space {
            complete = false;
            break;
        }
    }
    let answer = RawAnswer {
        status: head.status,
        headers: head.headers,
        body: body.freeze(),
    };
    Ok((answer, complete))
}

/// Sends one request over a leased connection, and waits for the head of the answer.
async fn send(
    lease: &mut Lease,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    // Kept in its first form: the next connection may speak another version of HTTP.
    let again = request.clone();
    match lease {
        Lease::Http1 { sender, .. } => {
            to_http1(&mut request);
            let sender = sender.as_mut().expect("a lease holds its connection");
            let sent = sender.try_send_request(request).await;
            sent.map_err(|mut error| match error.take_message() {
                Some(_) => Failure::NotSent(Box::new(again), error.into_error()),
                None => Failure::Sent(ExchangeError::BrokeOff(error.into_error())),
            })
        }
        Lease::Http2 { connection, .. } => {
            let mut sender = connection.sender.clone();
            let sent = sender.try_send_request(request).await;
            sent.map_err(|mut error| {
                let unsent = error.take_message().is_some();
                let error = error.into_error();
                if unsent || was_refused(&error) {
                    Failure::NotSent(Box::new(again), error)
                } else {
                    Failure::Sent(ExchangeError::BrokeOff(error))
                }
            })
        }
    }
}

/// Whether the service says that it did not process the request (RFC 9113, section 8.7).
fn was_refused(error: &hyper::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(h2) = error.downcast_ref::<h2::Error>() {
            // After GOAWAY, h2 fails only the streams that the service will not process.
            let going_away =
                h2.is_go_away() && h2.is_remote() && h2.reason() == Some(h2::Reason::NO_ERROR);
            return going_away
                || (h2.is_reset() && h2.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        cause = error.source();
    }
    false
}

/// HTTP/1.1 names the host in a header, and only the path in the request line (RFC 9112, section 3.2).
fn to_http1(request: &mut Request<Full<Bytes>>) {
    let uri = request.uri();
    let host = uri
        .authority()
        .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let path = uri.path_and_query().cloned();
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(path) = path {
        *request.uri_mut() = Uri::from(path);
    }
}
