//! One connection: its socket, and the two ways in which the service can end it.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::support::push_service::behaviour::Body;

/// The service's handle to end a connection.
#[derive(Default)]
pub(crate) struct Line {
    /// Counted from 0 in the order of arrival.
    pub(crate) number: usize,
    cut: AtomicBool,
    reset: Notify,
    go_away: Notify,
}

impl Line {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// Resets the TCP connection: requests in flight get no answer.
    pub(crate) fn reset(&self) {
        self.cut.store(true, Ordering::Relaxed);
        self.reset.notify_one();
    }

    /// Ends the connection after the requests in flight were answered (GOAWAY in HTTP/2).
    pub(crate) fn go_away(&self) {
        self.go_away.notify_one();
    }
}

/// Speaks HTTP over `stream` until client or service ends it.
pub(crate) async fn serve<A>(
    stream: TcpStream,
    line: Arc<Line>,
    tls: Option<TlsAcceptor>,
    http: auto::Builder<TokioExecutor>,
    answer: impl Fn(Request<Incoming>) -> A,
) where
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let socket = Socket {
        stream,
        line: Arc::clone(&line),
    };
    // The client notices errors by itself.
    match tls {
        None => speak(socket, &line, &http, answer).await,
        Some(tls) => {
            let handshake = tls.accept(socket);
            tokio::select! {
                stream = handshake => {
                    if let Ok(stream) = stream {
                        speak(stream, &line, &http, answer).await;
                    }
                }
                () = line.reset.notified() => {}
            }
        }
    }
}

async fn speak<A>(
    io: impl AsyncRead + AsyncWrite + Unpin + 'static,
    line: &Line,
    http: &auto::Builder<TokioExecutor>,
    answer: impl Fn(Request<Incoming>) -> A,
) where
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
    loop {
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = line.reset.notified() => return,
            () = line.go_away.notified() => connection.as_mut().graceful_shutdown(),
        }
    }
}

/// A socket that sends a reset instead of closing, if the service asked for it.
struct Socket {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.line.cut.load(Ordering::Relaxed) {
            // A socket that is gone already needs no reset.
            self.stream.set_zero_linger().ok();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
