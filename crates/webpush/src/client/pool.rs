//! The connections to one push service.
//!
//! There are few HTTP/2 connections. They are opened on demand, one at a time, and filled up to the service's stream
//! limit. While one is being opened, all requests wait for it: its hundred streams serve a hundred of them, and one
//! connection for each early request would cost as many handshakes. An HTTP/1.1 connection serves one request at a time,
//! so several of them are opened at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use tokio::sync::Notify;

use super::connection::{ConnectError, Connector, Http2, Opened};
use crate::origin::Origin;

/// A connection that was not used for this long is closed.
const IDLE: Duration = Duration::from_secs(90);
/// HTTP/1.1 connections that are opened at once.
const OPENING_HTTP1: usize = 8;
/// After an attempt to connect failed, the open connections do the work for this long before the next attempt.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Connections that one origin may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) http2: usize,
    pub(super) http1: usize,
}

/// The connections to one origin.
pub(super) struct Pool {
    origin: Origin,
    connector: Connector,
    sizes: Sizes,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    http2: Vec<(Arc<Http2>, Instant)>,
    http1_idle: Vec<(http1::SendRequest<Full<Bytes>>, Instant)>,
    /// HTTP/1.1 connections, idle or lent.
    http1_open: usize,
    opening: usize,
    /// The service chose HTTP/1.1 for the last connection.
    speaks_http1: bool,
    /// Attempts to connect that failed, and the last failure.
    failures: u64,
    last_failure: Option<(ConnectError, Instant)>,
}

/// The next step of a request that needs a connection.
enum Step {
    Use(Lease),
    Open,
    /// Wait for a change.
    Wait,
    /// Wait for a change, or for the time at which another connection may be tried.
    WaitFor(Duration),
}

impl Pool {
    pub(super) fn new(origin: Origin, connector: Connector, sizes: Sizes) -> Arc<Self> {
        Arc::new(Self {
            origin,
            connector,
            sizes,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Whether there is no connection, and none is being opened.
    pub(super) fn is_unused(&self) -> bool {
        let mut state = self.lock();
        state.drop_idle();
        state.http2.is_empty() && state.http1_open == 0 && state.opening == 0
    }

    /// Waits for a connection that can take a request.
    ///
    /// A failed attempt to connect fails all requests that wait for it: each of them would only repeat it.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, ConnectError> {
        let failures_before = self.lock().failures;
        // The attempt that this call has started: it starts no other one meanwhile.
        let mut attempt = Weak::new();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change between look and wait is missed.
            changed.as_mut().enable();
            match self.next_step(failures_before, attempt.strong_count() == 0)? {
                Step::Use(lease) => return Ok(lease),
                Step::Open => {
                    let started = Arc::new(());
                    attempt = Arc::downgrade(&started);
                    // In a task of its own, which goes on for the other requests when this one is dropped.
                    tokio::spawn(Arc::clone(self).open(started));
                }
                Step::Wait => changed.await,
                Step::WaitFor(left) => {
                    let _changed_or_elapsed = tokio::time::timeout(left, changed).await;
                }
            }
        }
    }

    fn next_step(
        self: &Arc<Self>,
        failures_before: u64,
        may_begin: bool,
    ) -> Result<Step, ConnectError> {
        let mut state = self.lock();
        state.drop_idle();
        if let Some(sender) = state.idle_http1() {
            return Ok(Step::Use(Lease::Http1 {
                pool: Arc::clone(self),
                sender: Some(sender),
            }));
        }
        if let Some(connection) = state.free_http2() {
            if connection.free_streams() > 0 {
                // The end of a request wakes one waiting request. That one wakes the next while streams are free.
                self.changed.notify_one();
            }
            return Ok(Step::Use(Lease::Http2 {
                pool: Arc::clone(self),
                connection,
            }));
        }
        let connected = !state.http2.is_empty() || state.http1_open > 0;
        if let Some((error, at)) = &state.last_failure {
            // Also while another attempt is being made: new requests start one all the time.
            if !connected && state.failures > failures_before {
                return Err(error.clone());
            }
            let left = RETRY_AFTER.saturating_sub(at.elapsed());
            if connected && !left.is_zero() {
                return Ok(Step::WaitFor(left));
            }
        }
        let may_open = if state.speaks_http1 {
            state.opening < OPENING_HTTP1 && state.http1_open + state.opening < self.sizes.http1
        } else {
            state.opening == 0 && state.http2.len() < self.sizes.http2
        };
        if may_begin && may_open {
            state.opening += 1;
            return Ok(Step::Open);
        }
        Ok(Step::Wait)
    }

    async fn open(self: Arc<Self>, started: Arc<()>) {
        let opened = self.connector.open(&self.origin).await;
        let mut state = self.lock();
        state.opening -= 1;
        match opened {
            Ok(Opened::Http2(connection)) => {
                state.speaks_http1 = false;
                state.http2.push((connection, Instant::now()));
            }
            Ok(Opened::Http1(sender)) => {
                state.speaks_http1 = true;
                state.http1_open += 1;
                state.http1_idle.push((sender, Instant::now()));
            }
            Err(error) => {
                state.failures += 1;
                state.last_failure = Some((error, Instant::now()));
            }
        }
        drop(state);
        drop(started);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets closed connections, and closes those that have been idle for long.
    fn drop_idle(&mut self) {
        let now = Instant::now();
        let fresh = |used: &Instant| now.duration_since(*used) < IDLE;
        self.http2.retain(|(connection, used)| {
            !connection.sender.is_closed() && (!connection.is_idle() || fresh(used))
        });
        let before = self.http1_idle.len();
        self.http1_idle
            .retain(|(sender, used)| !sender.is_closed() && fresh(used));
        self.http1_open -= before - self.http1_idle.len();
    }

    /// Takes a stream on the fullest HTTP/2 connection that has a free one: the emptiest can then become idle.
    fn free_http2(&mut self) -> Option<Arc<Http2>> {
        let free = self
            .http2
            .iter_mut()
            .filter(|(connection, _)| connection.free_streams() > 0);
        let (connection, used) = free.min_by_key(|(connection, _)| connection.free_streams())?;
        *used = Instant::now();
        connection.enter();
        Some(Arc::clone(connection))
    }

    fn idle_http1(&mut self) -> Option<http1::SendRequest<Full<Bytes>>> {
        let ready = self
            .http1_idle
            .iter()
            .rposition(|(sender, _)| sender.is_ready())?;
        Some(self.http1_idle.swap_remove(ready).0)
    }
}

/// The use of a connection for one request. Dropped, it is given back.
pub(super) enum Lease {
    Http1 {
        pool: Arc<Pool>,
        sender: Option<http1::SendRequest<Full<Bytes>>>,
    },
    Http2 {
        pool: Arc<Pool>,
        connection: Arc<Http2>,
    },
}

impl Lease {
    /// Gives an HTTP/1.1 connection back for the next request, after the answer was read to its end. Without this call,
    /// a dropped lease closes the connection: part of an answer may still be on it.
    pub(super) async fn done(mut self) {
        let Self::Http1 { pool, sender } = &mut self else {
            return;
        };
        let ready = match sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if ready && let Some(sender) = sender.take() {
            pool.lock().http1_idle.push((sender, Instant::now()));
            pool.changed.notify_waiters();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self {
            Self::Http1 { pool, sender } => {
                if sender.take().is_some() {
                    pool.lock().http1_open -= 1;
                    pool.changed.notify_waiters();
                }
            }
            Self::Http2 { pool, connection } => {
                connection.leave();
                pool.changed.notify_one();
            }
        }
    }
}
