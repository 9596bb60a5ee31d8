//! What the worker tells the state machine.

use super::action::At;
use super::answer::{Answer, Attempt};
use super::item::Item;
use super::row::{Day, Row};

/// What happened.
#[derive(Debug)]
pub enum Event<R> {
    /// A post was answered.
    Answered {
        /// Whose.
        row: Row<R>,
        /// How.
        answer: Answer,
        /// Which post of the row it was.
        attempt: Attempt,
        /// Attempts are used up, or the TTL ends before the next one.
        last: bool,
        /// When the post began.
        begun: At,
    },
    /// The lane's key could not sign; nothing was posted.
    CannotSign {
        /// Whose token it was for.
        row: R,
    },
    /// The lane's item granted so many unproven rows.
    Granted(u32),
    /// A settlement of this worker moved the number of settlements with acceptances.
    Moved,
    /// The lane's item was read: at the start of a job, with a settlement, after a pause.
    News(Item),
    /// The mark must move: answers that arrived until then wait elsewhere.
    HandOver {
        /// Until then.
        answered: At,
    },
    /// The job ends.
    JobEnds,
}

/// The row that the caller wants to post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A row that this campaign has not tried.
    First {
        /// Whether it was ever reached.
        reached: bool,
    },
    /// A row of a retry part.
    Again,
    /// The one row that a halted campaign tries in a parked lane.
    Probe,
}

/// When an event happens.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// By the worker's own clock.
    pub at: At,
    /// By the calendar.
    pub today: Day,
}
