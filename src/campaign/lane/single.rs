//! A single send has no campaign around it: what its answer does to the row (DESIGN.md, section 4, "A single send").

use std::time::Duration;

use super::answer::Answer;
use super::row::{Day, History, Note, Standing};

/// An acceptance is this long a proof that the lane works.
const PROOF: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Single sends write an acceptance into the lane's item at most this often.
const REFRESH: Duration = Duration::from_secs(60 * 60);

/// What a single send knows about its lane. Times are since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneAccepted {
    /// When the lane last accepted anybody, by its item.
    pub last: Option<Duration>,
    /// Now.
    pub now: Duration,
}

impl LaneAccepted {
    fn is_proven(self) -> bool {
        self.last
            .is_some_and(|last| self.now.saturating_sub(last) <= PROOF)
    }

    /// Whether an acceptance is to be written into the lane's item.
    pub fn is_refresh_due(self) -> bool {
        self.last
            .is_none_or(|last| self.now.saturating_sub(last) >= REFRESH)
    }
}

/// What is written to the row. Failures are counted by campaigns only.
pub fn note(answer: Answer, history: History, lane: LaneAccepted, today: Day) -> Option<Note> {
    match (answer, history.standing(today)) {
        (Answer::Accepted, Standing::Reached | Standing::Marked | Standing::NeverReached) => {
            history.accepted()
        }
        (Answer::Gone, Standing::Reached | Standing::Marked | Standing::NeverReached)
            if lane.is_proven() =>
        {
            Some(Note::Remove)
        }
        // A service that calls everybody gone for eight days removes nobody: the proof is older than that.
        (Answer::NotFound, Standing::Marked) if lane.is_proven() => Some(Note::Remove),
        (Answer::Gone | Answer::NotFound, Standing::Reached | Standing::Marked) => Some(Note::Mark),
        (Answer::Gone | Answer::NotFound, Standing::NeverReached)
        | (
            Answer::Mismatch | Answer::Auth | Answer::Refused | Answer::Unconnected | Answer::Other,
            Standing::Reached | Standing::Marked | Standing::NeverReached,
        ) => None,
    }
}
