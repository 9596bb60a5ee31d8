//! The connections to one push service.
//!
//! A few HTTP/2 connections, opened on need and filled to the service's stream limit. One is opened at a time: while it
//! is on its way everyone waits for it, since its hundred streams serve a hundred of them, and a connection for each early
//! request would cost a handshake each. Over HTTP/1.1, where a connection serves one, several are opened at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use tokio::sync::Notify;

use super::connection::{ConnectError, Connector, Http2, Opened};
use crate::Origin;

/// A connection nobody has used for this long is closed.
const IDLE: Duration = Duration::from_secs(90);
/// HTTP/1.1 connections that may be on their way at once.
const OPENING_HTTP1: usize = 8;

/// After a connection failed, those that stand do the work for this long before another is tried.
const REST: Duration = Duration::from_secs(1);

/// How many connections one origin may have.
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
    /// What the service spoke last.
    speaks_http1: bool,
    /// Attempts to connect that failed, and how the last one did.
    failures: u64,
    last_failure: Option<(ConnectError, Instant)>,
}

enum Found {
    Lease(Lease),
    Open,
    Wait,
    /// For a change, or until another connection may be tried.
    Rest(Duration),
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

    /// Whether it holds nothing that would be missed.
    pub(super) fn is_unused(&self) -> bool {
        let mut state = self.lock();
        state.drop_idle();
        state.http2.is_empty() && state.http1_open == 0 && state.opening == 0
    }

    /// A place on a connection, as soon as there is one.
    ///
    /// An attempt to connect that fails, fails everyone who waits: each would only repeat it.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, ConnectError> {
        let failures_before = self.lock().failures;
        // Held by the attempt that this call has dispatched: while there is one, it begins no other.
        let mut attempt = Weak::new();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change between looking and waiting is missed.
            changed.as_mut().enable();
            match self.find(failures_before, attempt.strong_count() == 0)? {
                Found::Lease(lease) => return Ok(lease),
                Found::Open => {
                    let under_way = Arc::new(());
                    attempt = Arc::downgrade(&under_way);
                    // On a task of its own: it goes on for the others when this one gives up.
                    tokio::spawn(Arc::clone(self).open(under_way));
                }
                Found::Wait => changed.await,
                Found::Rest(left) => {
                    // Either way: look again.
                    let _rested = tokio::time::timeout(left, changed).await;
                }
            }
        }
    }

    fn find(
        self: &Arc<Self>,
        failures_before: u64,
        may_begin: bool,
    ) -> Result<Found, ConnectError> {
        let mut state = self.lock();
        state.drop_idle();
        if let Some(sender) = state.idle_http1() {
            return Ok(Found::Lease(Lease::Http1 {
                pool: Arc::clone(self),
                sender: Some(sender),
            }));
        }
        // The fullest that still has room: the emptiest can then be closed.
        let with_room = state
            .http2
            .iter_mut()
            .filter(|(connection, _)| connection.room() > 0);
        if let Some((connection, used)) = with_room.min_by_key(|(connection, _)| connection.room())
        {
            *used = Instant::now();
            connection.enter();
            if connection.room() > 0 {
                // One release wakes one: whoever finds room to spare wakes the next.
                self.changed.notify_one();
            }
            let connection = Arc::clone(connection);
            return Ok(Found::Lease(Lease::Http2 {
                pool: Arc::clone(self),
                connection,
            }));
        }
        let connected = !state.http2.is_empty() || state.http1_open > 0;
        if let Some((error, at)) = &state.last_failure {
            // Not only when nobody else is trying: those who come anew always are.
            if !connected && state.failures > failures_before {
                return Err(error.clone());
            }
            let left = REST.saturating_sub(at.elapsed());
            if connected && !left.is_zero() {
                return Ok(Found::Rest(left));
            }
        }
        let may_open = if state.speaks_http1 {
            state.opening < OPENING_HTTP1 && state.http1_open + state.opening < self.sizes.http1
        } else {
            state.opening == 0 && state.http2.len() < self.sizes.http2
        };
        if may_begin && may_open {
            state.opening += 1;
            return Ok(Found::Open);
        }
        Ok(Found::Wait)
    }

    async fn open(self: Arc<Self>, under_way: Arc<()>) {
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
        drop(under_way);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Forgets what is closed, and closes what has been idle for long.
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

    fn idle_http1(&mut self) -> Option<http1::SendRequest<Full<Bytes>>> {
        let ready = self
            .http1_idle
            .iter()
            .rposition(|(sender, _)| sender.is_ready())?;
        Some(self.http1_idle.swap_remove(ready).0)
    }
}

/// A place on a connection, given back when it is dropped.
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
    /// Gives an HTTP/1.1 connection back for the next request, once the answer was read to its end. One that is
    /// dropped without this is closed: part of an answer may still be on it.
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
