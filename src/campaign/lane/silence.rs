//! A key that cannot sign says nothing about a subscription: its lanes are silent, and parked after ten minutes.

use std::time::Duration;

use super::action::At;

/// Rows that are tried when a wait is over.
const TRIES: u8 = 16;
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
const PARKED_AFTER: Duration = Duration::from_secs(10 * 60);

/// The lane could not be signed for, since then.
#[derive(Debug)]
pub(super) struct Silence {
    since: At,
    /// Settlements of other workers when it began: they sign as long as the number moves.
    others: u64,
    wait: Duration,
    next: At,
    left: u8,
}

impl Silence {
    pub(super) fn new(now: At, others: u64) -> Self {
        Self {
            since: now,
            others,
            wait: FIRST_WAIT,
            next: now + FIRST_WAIT,
            left: TRIES,
        }
    }

    /// Whether one row may try now.
    pub(super) fn may_try(&mut self, now: At) -> bool {
        if now < self.next || self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }

    /// Another row could not be signed for; answers whether nobody signed for ten minutes.
    pub(super) fn failed(&mut self, now: At, others: u64) -> bool {
        // Rows that were in flight when the silence began, or when the last wait ended, do not lengthen it.
        if now >= self.next {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
            self.next = now + self.wait;
            self.left = TRIES;
        }
        if others != self.others {
            (self.since, self.others) = (now, others);
        }
        now.saturating_sub(self.since) >= PARKED_AFTER
    }
}
