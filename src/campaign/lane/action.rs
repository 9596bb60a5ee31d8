//! The actions that the state machine asks of the worker around it.

use super::answer::Tally;
use super::item::Reason;
use super::row::Note;

/// Time since any fixed moment, by one clock of this worker: only differences count.
pub type At = std::time::Duration;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<R> {
    /// The row is over: count it, and write the note.
    Count {
        /// Which row.
        row: R,
        /// As what.
        tally: Tally,
        /// The change of the subscriber's row.
        note: Option<Note>,
    },
    /// Write the note; the row was counted before.
    Note {
        /// Which row.
        row: R,
        /// The change of the subscriber's row.
        note: Note,
    },
    /// Put the row into a retry part.
    Retry {
        /// Which row.
        row: R,
        /// When the part is due.
        when: When,
    },
    /// The policy of retries decides (throttled, unavailable, timed out, too large).
    Policy {
        /// Which row.
        row: R,
    },
    /// The row was not posted and lost no attempt: skip it, and note the place.
    Skip {
        /// Which row.
        row: R,
        /// Why.
        skip: Skip,
    },
    /// Post nothing in this lane; at that time read the lane's item and bring it as news.
    Pause {
        /// Until then.
        until: At,
    },
    /// This process is wrong (its clock, its key): fail the job and exit.
    FailJob,
    /// Park the lane, if its item still has this epoch and this number of settlements. If not, bring the item as news.
    Park {
        /// Why, for people.
        reason: Reason,
        /// The item's epoch.
        epoch: u32,
        /// The item's settlements with acceptances.
        settlements: u64,
    },
    /// Open the parked lane, if its item still has this epoch; the campaign goes on.
    Open {
        /// The item's epoch.
        epoch: u32,
    },
    /// Give reserved posts of unproven rows back to the lane's item.
    GiveBack(u32),
}

/// When a retry part is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// As after a 503: 30 s, 3 min, 15 min, 1 h.
    Like503,
    /// In 30 s, as the one more try of a marked row.
    OneMore,
    /// Once the lane has accepted anybody in this campaign, or was opened again: its epoch is later than this one.
    /// Without the second, ten rows that all wait would wait for each other after the key was repaired.
    OnceAccepted {
        /// The item's epoch now.
        epoch: u32,
    },
}

/// Why a row is not posted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The lane is parked: skip all its rows.
    Parked,
    /// The lane's key cannot sign: skip all its rows.
    Silent,
    /// Enough rows that were never reached were tried, and nobody was accepted yet: skip those only.
    Unproven,
}

/// Whether a row may be posted for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Post it.
    Post,
    /// Reserve so many unproven rows in the lane's item, report what was granted, and ask again.
    Reserve(u32),
    /// Keep it in memory until then: the lane is being checked.
    Later(At),
    /// Skip it, and note the place.
    Skip(Skip),
    /// This process is wrong and posts nothing more.
    Stop,
}
