//! What the table says about a subscriber, as far as belief needs it, and what a campaign writes back.

use std::sync::Arc;

/// A mark counts after so many days: an outage of a push service, or of ours, is over by then.
const MARK_DAYS: i32 = 7;

/// A row that was never reached goes after so many failures, each on a day of its own.
const FAILURES: u8 = 3;

/// Days since 1970-01-01, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i32);

/// One subscriber. `R` is how the caller finds it again.
#[derive(Debug, Clone)]
pub struct Row<R> {
    /// The caller's name for it.
    pub key: R,
    /// Scheme, host and port of its endpoint.
    pub origin: Arc<str>,
    /// What earlier campaigns wrote down.
    pub history: History,
}

/// What earlier campaigns wrote down about a subscriber.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct History {
    /// It was accepted at least once, or it was imported.
    pub reached: bool,
    /// The mark: the day on which a push service first called it gone.
    pub gone_on: Option<Day>,
    /// Failures of a row that was never reached.
    pub failures: Failures,
}

/// How often a row that was never reached failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// Days with a failure.
    pub number: u8,
    /// The last of them.
    pub last: Option<Day>,
}

/// The column of the table in which a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Reached before. A younger mark changes nothing yet.
    Reached,
    /// Reached before, and marked at least seven days ago.
    Marked,
    /// Never reached: anybody may have added it.
    NeverReached,
}

/// A change of the subscriber's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// `unproven` becomes `reached_at`; mark and failures go.
    Reached,
    /// Mark and failures go.
    Clear,
    /// `gone_on` is today, unless there is an older mark.
    Mark,
    /// One more failure: these are its failures now.
    Fail(Failures),
    /// The row is removed.
    Remove,
}

impl History {
    /// Where the row stands today.
    pub fn standing(&self, today: Day) -> Standing {
        match (self.reached, self.gone_on) {
            (false, _) => Standing::NeverReached,
            (true, Some(Day(on))) if today.0.saturating_sub(on) >= MARK_DAYS => Standing::Marked,
            (true, _) => Standing::Reached,
        }
    }

    /// The note after an acceptance.
    pub fn accepted(&self) -> Option<Note> {
        if !self.reached {
            return Some(Note::Reached);
        }
        (*self
            != Self {
                reached: true,
                ..Self::default()
            })
        .then_some(Note::Clear)
    }

    /// The note after a failure. A second failure on one day, or one by a clock that runs behind, does not count.
    pub fn failed(&self, today: Day) -> Option<Note> {
        if self.reached || self.failures.last.is_some_and(|last| last >= today) {
            return None;
        }
        let number = self.failures.number.saturating_add(1);
        let failures = Failures {
            number,
            last: Some(today),
        };
        Some(if number >= FAILURES {
            Note::Remove
        } else {
            Note::Fail(failures)
        })
    }

    /// The note where a push service called the row gone and nothing more is believed: a mark on a row that was reached, a
    /// failure of one that was not, if its origin accepted others today.
    pub fn called_gone(&self, origin_accepted: bool, today: Day) -> Option<Note> {
        if self.reached {
            return Some(Note::Mark);
        }
        if origin_accepted {
            self.failed(today)
        } else {
            None
        }
    }
}
