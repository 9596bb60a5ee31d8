//! Saturating arithmetic with timestamps: a result out of range becomes the nearest value.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Time from `now` until `at`. Zero when `at` has passed.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// The time `wait` after `now`.
pub(crate) fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).ok();
    wait.and_then(|wait| now.checked_add(wait).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_and_after_are_inverse_and_never_fail() {
        let now = Timestamp::UNIX_EPOCH;
        let minute = Duration::from_secs(60);
        assert_eq!(until(after(now, minute), now), minute);
        assert_eq!(until(now, after(now, minute)), Duration::ZERO);
        assert_eq!(after(now, Duration::MAX), Timestamp::MAX);
    }
}
