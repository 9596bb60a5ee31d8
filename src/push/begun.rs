//! Whether a push can still be given up without a trace.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set when a request is about to be handed to a connection, before any byte of it can leave.
///
/// While [`is_begun`](Self::is_begun) is false, the push may be dropped, and nobody ever hears of it: it waits for its
/// turn or for a connection. Once true it stays so, and what becomes of the message is known only from the answer.
/// Look once more after the drop: until then the push may begin on another thread.
#[derive(Debug, Default)]
pub struct Begun(AtomicBool);

impl Begun {
    /// Whether the service may have heard of the message.
    pub fn is_begun(&self) -> bool {
        // Whoever asks after the drop is ordered after it by the drop itself.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
