//! What one push asks of its campaign: to be counted, or to be made again, and when.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::figures::Tally;
use crate::clock::Chance;
use crate::time::after;
use webpush::Outcome;

/// Pushes to one subscriber, the first included.
pub const ATTEMPTS: u32 = 5;

/// Waits before the second, third, fourth and last attempt. In all more than an hour, which is how long outages of
/// push services have lasted: nobody is given up for one. A `Retry-After` that asks for more gets more.
const WAITS: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(3 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(60 * 60),
];

/// Waits within this share of each other end together: those who wait are few parts, not many.
const TOGETHER: u32 = 8;

/// What is to become of one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The push is over.
    Counted(Tally),
    /// To be pushed to again.
    Again(Again),
}

/// When, and how often it was tried. Those with the same one travel together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Again {
    /// Attempts so far.
    pub attempts: u32,
    /// How often since the last attempt no place was found for one.
    pub waits: u32,
    /// Not before.
    pub not_before: Timestamp,
    /// When there is no point in it any more: the TTL counts from the first push. Without, there was none that counts.
    pub expires: Option<Timestamp>,
}

impl Again {
    /// Somebody who was not pushed to, for want of a place or of time: no attempt, and a longer wait each time. The TTL
    /// has not begun for who was never pushed to. A service that has no place for so many times is away: that counts as an
    /// attempt, or a campaign would never end.
    pub fn put_aside(self, ttl: u32, now: Timestamp) -> Verdict {
        let wait = ASIDE.saturating_mul(2_u32.saturating_pow(self.waits));
        let patience = Duration::from_secs(u64::from(ttl)).max(LONGEST_ASIDE);
        let mut again = Self {
            waits: self.waits + 1,
            not_before: after(now, wait.min(MOST_ASIDE)),
            expires: self.expires.or(Some(after(now, patience))),
            ..self
        };
        if again.waits > MOST_WAITS {
            again.attempts += 1;
            again.waits = 0;
        }
        if again.attempts >= ATTEMPTS {
            return Verdict::Counted(Tally::Failed);
        }
        Verdict::Again(again)
    }
}

/// The first wait of who found no place; it doubles.
const ASIDE: Duration = Duration::from_secs(5);
const MOST_ASIDE: Duration = Duration::from_secs(5 * 60);
/// As many waits as five and twenty minutes hold: five times that is longer than outages last.
const MOST_WAITS: u32 = 10;
/// Who was never pushed to waits so long for a place, at least.
const LONGEST_ASIDE: Duration = Duration::from_secs(60 * 60);

/// Reads an outcome after `attempts` pushes, this one included. `expires` is when the message's TTL has run out for
/// this subscriber.
pub fn judge(outcome: &Outcome, attempts: u32, expires: Timestamp, now: Timestamp) -> Verdict {
    let again = |wait: Duration| Again {
        attempts,
        waits: 0,
        not_before: after(now, wait),
        expires: Some(expires),
    };
    let retry = |wanted| {
        let again = again(wait(attempts, wanted));
        // Later than that, the message is of no use.
        if again.not_before >= expires {
            return Verdict::Counted(Tally::Failed);
        }
        Verdict::Again(again)
    };
    match outcome {
        Outcome::Accepted => Verdict::Counted(Tally::Accepted),
        Outcome::Gone => Verdict::Counted(Tally::Gone),
        Outcome::Mismatched => Verdict::Counted(Tally::Mismatched),
        Outcome::TooLarge => Verdict::Counted(Tally::TooLarge),
        Outcome::Refused => Verdict::Counted(Tally::Refused),
        Outcome::Throttled(_)
        | Outcome::Unavailable(_)
        | Outcome::Unreachable
        | Outcome::OurFault
            if attempts >= ATTEMPTS =>
        {
            Verdict::Counted(Tally::Failed)
        }
        Outcome::Throttled(after) | Outcome::Unavailable(after) => retry(*after),
        Outcome::Unreachable => retry(None),
        // The campaign may halt for it, and stand still for longer than the TTL: that is no reason to give anyone up.
        Outcome::OurFault => Verdict::Again(Again {
            expires: None,
            ..again(wait(attempts, None))
        }),
    }
}

/// How long to wait after `attempts` pushes: at least as long as the service asks, rounded up so that those who wait
/// almost as long wait together.
fn wait(attempts: u32, wanted: Option<Duration>) -> Duration {
    let ours = WAITS[(attempts.max(1) as usize - 1).min(WAITS.len() - 1)];
    let asked = wanted.unwrap_or_default().max(ours);
    let seconds = asked.as_secs() + u64::from(asked.subsec_nanos() > 0);
    let step = (seconds.next_power_of_two() / u64::from(TOGETHER)).max(1);
    Duration::from_secs(seconds.div_ceil(step) * step)
}

/// A little later than `at`, by chance: parts that became due together do not start together.
pub fn spread(at: Timestamp, now: Timestamp, chance: &Chance) -> Timestamp {
    let wait = u64::try_from(at.duration_since(now).as_millis()).unwrap_or_default();
    let more = i64::try_from(chance.up_to(wait / 10)).unwrap_or_default();
    at.checked_add(SignedDuration::from_millis(more))
        .unwrap_or(at)
}
