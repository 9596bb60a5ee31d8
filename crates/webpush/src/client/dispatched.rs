//! Whether the push service may have seen a message.

use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is set when a request is about to be handed to a connection, before any byte of it can leave.
///
/// While the flag is not set, the push waits for a permit or for a connection. It may then be dropped, and the service
/// never hears of it. Once set, the flag stays set, and only the answer tells what became of the message. Look once more
/// after the drop: until then, another thread may dispatch the push.
#[derive(Debug, Default)]
pub struct Dispatched(AtomicBool);

impl Dispatched {
    /// Whether the service may have seen the message.
    pub fn is_set(&self) -> bool {
        // A caller that looks after the drop is ordered by the drop itself.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
