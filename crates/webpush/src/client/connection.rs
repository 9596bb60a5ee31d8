//! Opens a connection to a push service: TCP, TLS, and the HTTP version that both sides speak.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

use crate::origin::Origin;

/// Time between pings on a busy HTTP/2 connection: they reveal a connection that died in silence.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Most streams on one connection, also where the service sets no limit: beyond, another connection serves better.
const MAX_STREAMS: usize = 250;

/// No connection could be opened. All requests that waited for it share this error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// The host name does not resolve, or no one listens at its address.
    #[error("the push service cannot be reached")]
    Tcp(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The certificate is not trusted, or both sides have no TLS version in common.
    #[error("TLS with the push service failed")]
    Tls(#[source] Arc<io::Error>),
    /// The HTTP handshake failed.
    #[error("HTTP with the push service failed")]
    Http(#[source] Arc<hyper::Error>),
    /// Opening it took longer than [`Limits::connect`](super::Limits::connect).
    #[error("the push service did not accept a connection in time")]
    TimedOut,
}

/// An HTTP/2 connection, shared by as many requests as the service allows.
#[derive(Debug)]
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<Full<Bytes>>,
    in_flight: AtomicUsize,
    /// Streams that the service allows. It may change this number at any time.
    limit: Arc<AtomicUsize>,
}

impl Http2 {
    /// Requests that it can take now.
    pub(super) fn free_streams(&self) -> usize {
        if self.sender.is_closed() {
            return 0;
        }
        let limit = self.limit.load(Ordering::Relaxed).min(MAX_STREAMS);
        limit.saturating_sub(self.in_flight.load(Ordering::Relaxed))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A new connection.
#[derive(Debug)]
pub(super) enum Opened {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(Arc<Http2>),
}

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    tls: TlsConnector,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(tls: Arc<rustls::ClientConfig>, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        tcp.set_connect_timeout(Some(timeout));
        Self {
            tcp,
            tls: TlsConnector::from(tls),
            timeout,
        }
    }

    pub(super) async fn open(&self, origin: &Origin) -> Result<Opened, ConnectError> {
        let opened = tokio::time::timeout(self.timeout, self.handshakes(origin)).await;
        opened.unwrap_or(Err(ConnectError::TimedOut))
    }

    async fn handshakes(&self, origin: &Origin) -> Result<Opened, ConnectError> {
        let uri: Uri = origin
            .as_str()
            .parse()
            .map_err(unreachable::<http::uri::InvalidUri>)?;
        let tcp = self
            .tcp
            .clone()
            .call(uri.clone())
            .await
            .map_err(unreachable)?;
        if uri.scheme_str() == Some("http") {
            return http1_over(tcp).await;
        }
        let host = uri
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        let name = ServerName::try_from(host).map_err(unreachable)?;
        let tls = self.tls.connect(name, tcp.into_inner()).await;
        let tls = tls.map_err(|error| ConnectError::Tls(Arc::new(error)))?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            http2_over(TokioIo::new(tls)).await
        } else {
            http1_over(TokioIo::new(tls)).await
        }
    }
}

fn unreachable<E: std::error::Error + Send + Sync + 'static>(error: E) -> ConnectError {
    ConnectError::Tcp(Arc::new(error))
}

async fn http2_over<T>(io: T) -> Result<Opened, ConnectError>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let failed = |error| ConnectError::Http(Arc::new(error));
    let polled = Arc::new(Notify::new());
    let (sender, mut connection) = http2::Builder::new(Watched(Arc::clone(&polled)))
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        // No stream until the service's settings say how many there may be.
        .initial_max_send_streams(0)
        .handshake(io)
        .await
        .map_err(failed)?;
    while connection.current_max_send_streams() == 0 {
        tokio::select! {
            ended = &mut connection => {
                ended.map_err(failed)?;
                return Err(unreachable(io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
            () = polled.notified() => {}
        }
    }
    let limit = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
    let told = Arc::clone(&limit);
    tokio::spawn(poll_fn(move |context| {
        let polled = Pin::new(&mut connection).poll(context);
        told.store(connection.current_max_send_streams(), Ordering::Relaxed);
        polled
    }));
    let in_flight = AtomicUsize::new(0);
    Ok(Opened::Http2(Arc::new(Http2 {
        sender,
        in_flight,
        limit,
    })))
}

/// Spawns a connection's tasks, and notifies after each poll of one: that is how the service's settings arrive.
#[derive(Clone)]
struct Watched(Arc<Notify>);

impl<F> Executor<F> for Watched
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let polled = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut task = pin!(task);
            poll_fn(|context| {
                let result = task.as_mut().poll(context);
                polled.notify_one();
                result
            })
            .await
        });
    }
}

async fn http1_over<T>(io: T) -> Result<Opened, ConnectError>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let failed = |error| ConnectError::Http(Arc::new(error));
    let (mut sender, connection) = http1::handshake(io).await.map_err(failed)?;
    tokio::spawn(connection);
    // Until its task has run, the connection is not ready, and the pool would skip it.
    sender.ready().await.map_err(failed)?;
    Ok(Opened::Http1(sender))
}
