//! The HTTP client: posts requests to push services over connections that it keeps, and adapts to what each service can
//! take. It posts to the address that it is given, and never follows a redirect.
//!
//! [`Client`] and [`Limits`] are exported at the top of the crate too. This module holds them with their errors and
//! building blocks, for programs that use one of them on its own.
//!
//! | file | owns |
//! |---|---|
//! | `mod` | [`Client`]: the services that it knows, and their limiters |
//! | `limits` | [`Limits`]: time-outs and sizes |
//! | `exchange` | one request and its answer, or an [`ExchangeError`] |
//! | `limiter` | [`Limiter`], [`Permit`]: who may send to a service now, and who waits |
//! | `concurrency` | the concurrency limit, and the [`Signal`]s that move it |
//! | `pool` | the connections to a service, and who waits for one |
//! | `connection` | opening a connection: HTTP/2 or HTTP/1.1 |
//! | `tls` | the roots that are trusted |
//! | `dispatched` | [`Dispatched`]: whether the service may have seen a message |

mod concurrency;
mod connection;
mod dispatched;
mod exchange;
mod limiter;
mod limits;
mod pool;
mod tls;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request};
use tokio::time::timeout;

pub use self::concurrency::Signal;
pub use self::connection::ConnectError;
use self::connection::Connector;
pub use self::dispatched::Dispatched;
use self::exchange::exchange;
pub use self::exchange::{ExchangeError, RawAnswer};
pub use self::limiter::{Congestion, Limiter, Permit};
pub use self::limits::Limits;
use self::pool::{Pool, Sizes};
pub use self::tls::{TlsError, tls_config};
use crate::origin::Origin;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("webpush/", env!("CARGO_PKG_VERSION")));

/// A request without an answer after 2 s gives its permit back. A few requests that hang then do not hold up the rest.
const STRAGGLER_AFTER: Duration = Duration::from_secs(2);
/// Origins that are remembered before those without connections and requests are forgotten.
const MAX_ORIGINS: usize = 256;

/// Posts to push services. Keeps connections: make one client, and keep it. A clone shares the connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    limits: Limits,
    services: Mutex<HashMap<Origin, Arc<Service>>>,
}

/// The connections to one origin, and its limiter.
struct Service {
    pool: Arc<Pool>,
    limiter: Arc<Limiter>,
}

impl Inner {
    fn services(&self) -> MutexGuard<'_, HashMap<Origin, Arc<Service>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// A client that trusts Mozilla's root certificates and those in `ca_file` (PEM).
    ///
    /// # Errors
    /// [`TlsError`] when the file cannot be read or holds no certificate.
    pub fn new(limits: Limits, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let tls = tls::http_config(ca_file)?;
        let connector = Connector::new(Arc::new(tls), limits.connect);
        Ok(Self(Arc::new(Inner {
            connector,
            limits,
            services: Mutex::default(),
        })))
    }

    /// Sends `request` over a connection to `origin`, and returns the answer as it came.
    ///
    /// The request is sent once, since a push has no idempotency key. It is sent again only when it certainly never
    /// reached the service.
    ///
    /// # Errors
    /// [`ExchangeError`]: there is no answer.
    pub async fn exchange(
        &self,
        origin: &Origin,
        request: Request<Bytes>,
    ) -> Result<RawAnswer, ExchangeError> {
        let read = |answer: RawAnswer| {
            let signal = match answer.status.as_u16() {
                200..=299 => Signal::Served,
                429 | 503 => Signal::Busy(None),
                _ => Signal::Unclear,
            };
            (answer, signal)
        };
        self.exchange_and_read(origin, request, &Dispatched::default(), read)
            .await
    }

    /// As [`exchange`](Self::exchange), but `read` interprets the answer and says how busy the service is. `dispatched`
    /// is set once the service may see the request.
    pub(crate) async fn exchange_and_read<T>(
        &self,
        origin: &Origin,
        mut request: Request<Bytes>,
        dispatched: &Dispatched,
        read: impl FnOnce(RawAnswer) -> (T, Signal),
    ) -> Result<T, ExchangeError> {
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
        let service = self.service(origin);
        let mut permit = service.limiter.acquire().await;
        let mut exchange = pin!(exchange(&service.pool, &self.0.limits, request, dispatched));
        let exchanged = match timeout(STRAGGLER_AFTER, &mut exchange).await {
            Ok(exchanged) => exchanged,
            Err(_) => {
                permit.release();
                exchange.await
            }
        };
        let (result, signal) = match exchanged {
            Ok(answer) => {
                let (read, signal) = read(answer);
                (Ok(read), signal)
            }
            Err(error) => {
                let signal = error.signal();
                (Err(error), signal)
            }
        };
        if permit.report(signal) {
            let Congestion { limit, waiting, .. } = service.limiter.congestion();
            tracing::info!(%origin, limit, waiting, "push service is busy: concurrency limit halved");
        }
        result
    }

    /// How busy the push service at `origin` is, as far as this client knows.
    pub fn congestion(&self, origin: &Origin) -> Congestion {
        let services = self.0.services();
        let limiter = services.get(origin).map(|it| Arc::clone(&it.limiter));
        drop(services);
        let unknown = || Limiter::new(self.0.limits.per_origin);
        limiter.unwrap_or_else(unknown).congestion()
    }

    fn service(&self, origin: &Origin) -> Arc<Service> {
        let Inner {
            connector, limits, ..
        } = &*self.0;
        let mut services = self.0.services();
        if let Some(service) = services.get(origin) {
            return Arc::clone(service);
        }
        if services.len() >= MAX_ORIGINS {
            services
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
        services.insert(origin.clone(), Arc::clone(&service));
        service
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}
