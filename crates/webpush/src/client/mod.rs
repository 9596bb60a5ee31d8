//! One HTTP exchange with a push service.
//!
//! | file | owns |
//! |---|---|
//! | this one | the exchange: time-outs, capped answers, no redirects |
//! | `limiter` | who may send to a service now, and who waits |
//! | `concurrency` | how many requests a service gets at once |
//! | `pool` | the connections to a service, and who waits for one |
//! | `connection` | opening one, HTTP/2 or HTTP/1.1 |
//! | `tls` | which roots are trusted |
//! | `dispatched` | whether the service may have seen a message |

mod concurrency;
mod connection;
mod dispatched;
mod limiter;
mod pool;
mod tls;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

pub use self::concurrency::Signal;
pub use self::connection::ConnectError;
use self::connection::Connector;
pub use self::dispatched::Dispatched;
pub use self::limiter::{Congestion, Limiter, Permit};
use self::pool::{Lease, Pool, Sizes};
pub use self::tls::{TlsError, tls_config};
use crate::Origin;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("webpush/", env!("CARGO_PKG_VERSION")));

/// Exchanges on connections that turn out to be closed before the request left, beside those that stand and may all be
/// closing.
const STALE_CONNECTIONS: usize = 3;
/// Who is not answered for so long makes room for others: a few requests that hang do not hold up the rest.
const OVERSTAY: Duration = Duration::from_secs(2);
/// Origins whose connections are kept before those without any are forgotten.
const KEPT_ORIGINS: usize = 256;

/// What one exchange, and one origin, may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until a connection stands: name, TCP, TLS.
    pub connect: Duration,
    /// From the request's first byte to the answer's last.
    pub total: Duration,
    /// Bytes of an answer that are read.
    pub body: usize,
    /// Requests under way to one origin, at the most: how many are, adapts to the service.
    pub per_origin: usize,
    /// HTTP/2 connections to one origin; services allow about 100 streams on each.
    pub http2_connections: usize,
    /// HTTP/1.1 connections to one origin; Apple allows 100 requests in flight.
    pub http1_connections: usize,
}

impl Limits {
    /// For a place on a connection: one is opened, or one of those under way ends. Only a service that takes no
    /// requests at all makes anyone wait longer.
    fn wait(&self) -> Duration {
        self.connect + self.total * 4
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(15),
            body: 16 * 1024,
            per_origin: 500,
            http2_connections: 8,
            http1_connections: 64,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No answer in time.
    #[error("the push service did not answer in time")]
    TimedOut,
    /// The connection ended, or what came was not HTTP.
    #[error("the push service broke off")]
    BrokeOff(#[source] hyper::Error),
}

impl ExchangeError {
    /// A service that takes requests and does not answer has too many.
    fn signal(&self) -> Signal {
        match self {
            Self::TimedOut => Signal::Busy(None),
            Self::Connect(_) | Self::BrokeOff(_) => Signal::Unclear,
        }
    }
}

/// An answer as it came. Redirects are answers: nothing here follows them.
#[derive(Debug)]
pub struct RawAnswer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, cut off at [`Limits::body`].
    pub body: Bytes,
}

/// Posts to push services. A clone shares its connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    limits: Limits,
    origins: Mutex<HashMap<Origin, Arc<Service>>>,
}

/// One origin's connections, and its share of the work.
struct Service {
    pool: Arc<Pool>,
    limiter: Arc<Limiter>,
}

impl Inner {
    fn origins(&self) -> MutexGuard<'_, HashMap<Origin, Arc<Service>>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Trusts Mozilla's roots and those in `ca_file`.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn new(limits: Limits, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let tls = tls::http_config(ca_file)?;
        let connector = Connector::new(Arc::new(tls), limits.connect);
        Ok(Self(Arc::new(Inner {
            connector,
            limits,
            origins: Mutex::default(),
        })))
    }

    /// Sends `request` to `origin` and reads the answer.
    ///
    /// Sent once: a push has no idempotency key. Only what certainly never reached the service is sent again.
    ///
    /// # Errors
    /// [`ExchangeError`]: there was no answer.
    pub async fn exchange(
        &self,
        origin: &Origin,
        request: Request<Bytes>,
    ) -> Result<RawAnswer, ExchangeError> {
        let judge = |answer: RawAnswer| {
            let signal = match answer.status.as_u16() {
                200..=299 => Signal::Served,
                429 | 503 => Signal::Busy(None),
                _ => Signal::Unclear,
            };
            (answer, signal)
        };
        self.exchange_judged(origin, request, &Dispatched::default(), judge)
            .await
    }

    /// The same for one who knows the service's words: `judge` reads the answer, and what it says about how busy the
    /// service is. `dispatched` is set once the request can no longer be given up as if it had never been.
    pub(crate) async fn exchange_judged<T>(
        &self,
        origin: &Origin,
        mut request: Request<Bytes>,
        dispatched: &Dispatched,
        judge: impl FnOnce(RawAnswer) -> (T, Signal),
    ) -> Result<T, ExchangeError> {
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
        let service = self.service(origin);
        let mut permit = service.limiter.acquire().await;
        let mut exchange = pin!(self.exchange_with(&service.pool, request, dispatched));
        let exchanged = match timeout(OVERSTAY, &mut exchange).await {
            Ok(exchanged) => exchanged,
            Err(_) => {
                permit.release();
                exchange.await
            }
        };
        let (result, signal) = match exchanged {
            Ok(answer) => {
                let (read, signal) = judge(answer);
                (Ok(read), signal)
            }
            Err(error) => {
                let signal = error.signal();
                (Err(error), signal)
            }
        };
        if permit.report(signal) {
            let Congestion { limit, waiting, .. } = service.limiter.congestion();
            tracing::info!(%origin, limit, waiting, "the push service is busy: it gets half as much");
        }
        result
    }

    /// How busy the push service is, as far as this client knows.
    pub fn congestion(&self, origin: &Origin) -> Congestion {
        let origins = self.0.origins();
        let limiter = origins.get(origin).map(|it| Arc::clone(&it.limiter));
        drop(origins);
        let unknown = || Limiter::new(self.0.limits.per_origin);
        limiter.unwrap_or_else(unknown).congestion()
    }

    async fn exchange_with(
        &self,
        pool: &Arc<Pool>,
        request: Request<Bytes>,
        dispatched: &Dispatched,
    ) -> Result<RawAnswer, ExchangeError> {
        let mut request = request.map(Full::new);
        let mut stale = 0;
        let stale_limit = STALE_CONNECTIONS + self.0.limits.http2_connections;
        loop {
            let lease = timeout(self.0.limits.wait(), pool.lease()).await;
            let lease = lease.unwrap_or(Err(ConnectError::TimedOut))?;
            dispatched.set();
            match self.over(lease, request).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::NotSent(unsent, _)) if stale < stale_limit => {
                    request = *unsent;
                    stale += 1;
                }
                Err(Failed::NotSent(_, error)) => return Err(ExchangeError::BrokeOff(error)),
                Err(Failed::Answered(error)) => return Err(error),
            }
        }
    }

    async fn over(
        &self,
        mut lease: Lease,
        request: Request<Full<Bytes>>,
    ) -> Result<RawAnswer, Failed> {
        let deadline = Instant::now() + self.0.limits.total;
        let timed_out = Failed::Answered(ExchangeError::TimedOut);
        let answer = timeout_at(deadline, send(&mut lease, request)).await;
        let answer = answer.unwrap_or(Err(timed_out))?;
        let read = self.read(answer, deadline).await;
        let (answer, complete) = read.map_err(Failed::Answered)?;
        if complete {
            // The answer is here, whatever becomes of the connection.
            let _given_back = timeout_at(deadline, lease.done()).await;
        }
        Ok(answer)
    }

    /// Reads at most [`Limits::body`] bytes. What a service says beyond is of no use, and may have no end.
    ///
    /// A success is one as soon as its head is here: if the body breaks off, to push again would be to push twice.
    async fn read(
        &self,
        answer: Response<Incoming>,
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
            let room = self.0.limits.body - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                complete = false;
                break;
            }
        }
        let body = body.freeze();
        Ok((
            RawAnswer {
                status: head.status,
                headers: head.headers,
                body,
            },
            complete,
        ))
    }

    fn service(&self, origin: &Origin) -> Arc<Service> {
        let Inner {
            connector, limits, ..
        } = &*self.0;
        let mut origins = self.0.origins();
        if let Some(service) = origins.get(origin) {
            return Arc::clone(service);
        }
        if origins.len() >= KEPT_ORIGINS {
            origins
                .retain(|_, service| Arc::strong_count(service) > 1 || !service.pool.is_unused());
        }
        let sizes = Sizes {
            http2: limits.http2_connections,
            http1: limits.http1_connections,
        };
        let service = Arc::new(Service {
            pool: Pool::new(origin.clone(), connector.clone(), sizes),
            limiter: Limiter::new(limits.per_origin),
        });
        origins.insert(origin.clone(), Arc::clone(&service));
        service
    }
}

/// How one try failed.
enum Failed {
    /// The request never left, or the service said that it did nothing with it: it may be sent again.
    NotSent(Box<Request<Full<Bytes>>>, hyper::Error),
    /// The service may have acted on it.
    Answered(ExchangeError),
}

/// Sends one request over a leased connection, and waits for the head of the answer.
async fn send(
    lease: &mut Lease,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failed> {
    match lease {
        Lease::Http1 { sender, .. } => {
            // As it was: the next connection may speak HTTP/2.
            let again = request.clone();
            to_http1(&mut request);
            let sender = sender.as_mut().expect("a lease holds its connection");
            let sent = sender.try_send_request(request).await;
            sent.map_err(|mut error| match error.take_message() {
                Some(_) => Failed::NotSent(Box::new(again), error.into_error()),
                None => Failed::Answered(ExchangeError::BrokeOff(error.into_error())),
            })
        }
        Lease::Http2 { connection, .. } => {
            let again = request.clone();
            let mut sender = connection.sender.clone();
            let sent = sender.try_send_request(request).await;
            sent.map_err(|mut error| {
                let unsent = error.take_message().is_some();
                let error = error.into_error();
                if unsent || was_refused(&error) {
                    Failed::NotSent(Box::new(again), error)
                } else {
                    Failed::Answered(ExchangeError::BrokeOff(error))
                }
            })
        }
    }
}

/// Whether the service says that it has not looked at the request (RFC 9113, section 8.7).
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

/// HTTP/1.1 names the host in a header, and only the path in the first line.
fn to_http1(request: &mut Request<Full<Bytes>>) {
    let uri = request.uri().clone();
    if let Some(authority) = uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(path) = uri.path_and_query() {
        *request.uri_mut() = http::Uri::from(path.clone());
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
