//! What one exchange and one origin may take.

use std::time::Duration;

/// What one exchange and one origin may take.
///
/// ```
/// use std::time::Duration;
///
/// use webpush::Limits;
///
/// let limits = Limits { total: Duration::from_secs(10), ..Limits::default() };
/// assert_eq!(limits.connect, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time to open a connection: DNS, TCP and TLS. 5 s by default.
    pub connect: Duration,
    /// Time from the request's first byte to the answer's last one. 15 s by default.
    pub total: Duration,
    /// Bytes of an answer's body that are read; the rest is discarded. 16 KiB by default.
    pub body: usize,
    /// Upper bound of the concurrency limit at one origin, in requests. 500 by default.
    pub per_origin: usize,
    /// HTTP/2 connections to one origin. 8 by default; services allow about 100 streams on each.
    pub http2_connections: usize,
    /// HTTP/1.1 connections to one origin. 64 by default; Apple allows 100 requests in flight.
    pub http1_connections: usize,
}

impl Limits {
    /// Time that a request may wait for a connection. A connection is opened, or a request on another one ends, long
    /// before: only at a service that takes no requests at all does this time pass.
    pub(super) fn wait(&self) -> Duration {
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
