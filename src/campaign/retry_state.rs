//! Decides when a push is retried: attempts and deferrals, their backoff, and when the worker gives up.
//!
//! An *attempt* is a push that the worker dispatched. A *deferral* is a push that it did not dispatch, because the push
//! service had no free slot or the worker had no time left. A deferral does not count as an attempt.

use std::time::Duration;

use jiff::Timestamp;

use super::figures::Tally;
use super::retry_policy::MessageAction;
use crate::time::after;

/// Maximum number of attempts for one subscriber, the first push included.
pub const MAX_ATTEMPTS: u32 = 5;

/// Minimum waits before the second, third, fourth and last attempt. Their sum, 78 minutes, is longer than known outages
/// of push services. A longer `Retry-After` takes precedence.
const BACKOFF: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(3 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

/// Waits are rounded up to a multiple of about an eighth of their length, so that retries due at almost the same time
/// share one part.
const ROUNDING: u64 = 8;

/// Wait after the first deferral. It doubles with each further deferral.
const FIRST_DEFERRAL: Duration = Duration::from_secs(5);
/// Maximum wait after a deferral.
const MAX_DEFERRAL: Duration = Duration::from_secs(5 * 60);
/// Ten deferrals, 5 s doubling to 5 min, take about 25 minutes. A push service without a free slot for that long is
/// down. The next deferral then counts as an attempt; otherwise a campaign might never end.
const MAX_DEFERRALS: u32 = 10;
/// Minimum time for which a push may be deferred before its first attempt, even if its TTL is shorter.
const MIN_DEFERRAL_TIME: Duration = Duration::from_secs(60 * 60);

/// The number of attempts of a push, and when the next is due. Pushes with the same state share a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryState {
    /// Attempts so far.
    pub attempts: u32,
    /// Deferrals since the last attempt.
    pub deferrals: u32,
    /// When the next attempt is due.
    pub not_before: Timestamp,
    /// When the message expires: its TTL counts from the first push. `None` for a new push, and after a fault of ours.
    pub expires: Option<Timestamp>,
}

/// What happens next to one subscriber's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The worker counts the result and does not push again.
    Count(Tally),
    /// A worker pushes again.
    Retry(RetryState),
}

impl RetryState {
    /// The state of a push without an attempt.
    pub fn new(now: Timestamp) -> Self {
        Self {
            attempts: 0,
            deferrals: 0,
            not_before: now,
            expires: None,
        }
    }

    /// When a message with `ttl` seconds to live expires, if it is pushed at `now`: the TTL counts from the first push.
    pub fn expiry(&self, ttl: u32, now: Timestamp) -> Timestamp {
        let first_push = self.expires.filter(|_| self.attempts > 0);
        first_push.unwrap_or_else(|| after(now, seconds(ttl)))
    }

    /// The worker did not dispatch the push. The wait is twice that of the last deferral.
    pub fn defer(self, ttl: u32, now: Timestamp) -> Next {
        let wait = FIRST_DEFERRAL.saturating_mul(2_u32.saturating_pow(self.deferrals));
        let patience = seconds(ttl).max(MIN_DEFERRAL_TIME);
        let mut next = Self {
            deferrals: self.deferrals + 1,
            not_before: after(now, wait.min(MAX_DEFERRAL)),
            expires: self.expires.or(Some(after(now, patience))),
            ..self
        };
        if next.deferrals > MAX_DEFERRALS {
            next.attempts += 1;
            next.deferrals = 0;
        }
        if next.attempts >= MAX_ATTEMPTS {
            return Next::Count(Tally::Failed);
        }
        Next::Retry(next)
    }

    /// The worker dispatched the push, and its outcome asks for `action`.
    pub fn attempted(self, action: &MessageAction, ttl: u32, now: Timestamp) -> Next {
        let attempts = self.attempts + 1;
        let expires = self.expiry(ttl, now);
        let (wanted, expires_at) = match action {
            MessageAction::Count(tally) => return Next::Count(*tally),
            MessageAction::Retry { after } => (*after, Some(expires)),
            // The campaign may halt for longer than the TTL. No subscriber is given up because of that.
            MessageAction::RetryAfterRepair => (None, None),
        };
        let not_before = after(now, backoff(attempts, wanted));
        let is_too_late = expires_at.is_some_and(|expires| not_before >= expires);
        if attempts >= MAX_ATTEMPTS || is_too_late {
            return Next::Count(Tally::Failed);
        }
        Next::Retry(Self {
            attempts,
            deferrals: 0,
            not_before,
            expires: expires_at,
        })
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(u64::from(ttl))
}

/// The wait after `attempts` attempts, at least as long as the push service asks, rounded up.
fn backoff(attempts: u32, wanted: Option<Duration>) -> Duration {
    let ours = BACKOFF[(attempts.max(1) as usize - 1).min(BACKOFF.len() - 1)];
    let asked = wanted.unwrap_or_default().max(ours);
    let seconds = asked.as_secs() + u64::from(asked.subsec_nanos() > 0);
    let step = (seconds.next_power_of_two() / ROUNDING).max(1);
    Duration::from_secs(seconds.div_ceil(step) * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const DAY: u32 = 24 * 60 * 60;
    const RETRY: MessageAction = MessageAction::Retry { after: None };

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn retried(next: Next) -> RetryState {
        match next {
            Next::Retry(state) => state,
            Next::Count(tally) => panic!("counted as {}", tally.label()),
        }
    }

    #[test]
    fn five_attempts_take_78_minutes_and_then_the_push_has_failed() {
        let (mut state, mut now) = (RetryState::new(NOW), NOW);
        for _ in 1..MAX_ATTEMPTS {
            state = retried(state.attempted(&RETRY, DAY, now));
            now = state.not_before;
        }
        let waited = now.duration_since(NOW);
        assert!((78 * 60..90 * 60).contains(&waited.as_secs()), "{waited}");
        let last = state.attempted(&RETRY, DAY, now);
        assert_eq!(last, Next::Count(Tally::Failed));
    }

    #[test]
    fn ten_deferrals_take_about_25_minutes_and_the_next_one_is_an_attempt() {
        let (mut state, mut now) = (RetryState::new(NOW), NOW);
        for n in 1..=MAX_DEFERRALS {
            state = retried(state.defer(DAY, now));
            assert_eq!((state.attempts, state.deferrals), (0, n));
            now = state.not_before;
        }
        let waited = now.duration_since(NOW);
        assert!((24 * 60..27 * 60).contains(&waited.as_secs()), "{waited}");
        state = retried(state.defer(DAY, now));
        assert_eq!((state.attempts, state.deferrals), (1, 0));
    }

    #[test]
    fn the_ttl_counts_from_the_first_push() {
        let first = retried(RetryState::new(NOW).attempted(&RETRY, 300, NOW));
        let expires = after(NOW, secs(300));
        assert_eq!(first.expires, Some(expires));
        assert_eq!(first.expiry(300, first.not_before), expires);
        // The third attempt would come after the message has expired.
        let second = retried(first.attempted(&RETRY, 300, first.not_before));
        let third = second.attempted(&RETRY, 300, second.not_before);
        assert_eq!(third, Next::Count(Tally::Failed));
    }

    #[test]
    fn a_fault_of_our_own_gives_nobody_up_for_the_ttl() {
        let state =
            retried(RetryState::new(NOW).attempted(&MessageAction::RetryAfterRepair, 0, NOW));
        assert_eq!((state.attempts, state.expires), (1, None));
    }

    #[test]
    fn a_service_gets_as_long_as_it_asks_for_and_a_little_more() {
        for asked in [0, 1, 30, 31, 100, 1_000, 50_000] {
            let after = Some(secs(asked));
            let waits = backoff(1, after).as_secs();
            let least = asked.max(30);
            assert!(
                (least..=least + least / 4).contains(&waits),
                "{asked} s: {waits} s"
            );
        }
    }
}
