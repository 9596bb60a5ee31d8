//! Time that passes when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// 2027-01-15T08:00:00Z.
const BEGIN: i64 = 1_800_000_000_000;

/// The time, which passes when the test says so.
#[derive(Debug, Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(BEGIN)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        let millis = self.0.load(Ordering::Relaxed);
        Timestamp::from_millisecond(millis).expect("a time")
    }

    /// How much has passed since the beginning.
    pub(crate) fn passed(&self) -> Duration {
        let millis = self.0.load(Ordering::Relaxed) - BEGIN;
        Duration::from_millis(millis.try_into().expect("it passes"))
    }

    pub(super) fn later(&self, by: Duration) -> Timestamp {
        let by = SignedDuration::try_from(by).expect("hours at most");
        self.now().checked_add(by).expect("hours at most")
    }

    /// Some time passes.
    pub(crate) fn pass(&self, by: Duration) {
        self.until(self.later(by));
    }

    /// Waits without waiting.
    pub(super) fn until(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millisecond(), Ordering::Relaxed);
    }
}
