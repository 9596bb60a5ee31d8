//! A clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// 2027-01-15T08:00:00Z.
const START: i64 = 1_800_000_000_000;

/// A clock that only the test moves.
#[derive(Debug, Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        let millis = self.0.load(Ordering::Relaxed);
        Timestamp::from_millisecond(millis).expect("a time")
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        let millis = self.0.load(Ordering::Relaxed) - START;
        Duration::from_millis(millis.try_into().expect("it passes"))
    }

    pub(super) fn later(&self, by: Duration) -> Timestamp {
        let by = SignedDuration::try_from(by).expect("hours at most");
        self.now().checked_add(by).expect("hours at most")
    }

    /// Moves the clock on.
    pub(crate) fn advance(&self, by: Duration) {
        self.advance_to(self.later(by));
    }

    /// Moves the clock on to `at`, instead of waiting.
    pub(super) fn advance_to(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millisecond(), Ordering::Relaxed);
    }
}
