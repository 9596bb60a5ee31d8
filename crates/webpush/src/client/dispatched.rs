//! Whether the push service may have seen a message.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set when a request is about to be handed to a connection, before any byte of it can leave.
///
/// While [`is_set`](Self::is_set) is false, the push may be dropped and the service never hears of it: it waits for a
/// permit or for a connection. Once true it stays true, and only the answer tells what became of the message. Look once
/// more after the drop: until then the push may be dispatched on another thread.
#[derive(Debug, Default)]
pub struct Dispatched(AtomicBool);

impl Dispatched {
    /// Whether the service may have seen the message.
    pub fn is_set(&self) -> bool {
        // The drop itself orders a caller who looks after it.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
