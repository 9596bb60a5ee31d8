//! The lane's item: what all workers of a campaign know about one lane. The shell keeps it in the ledger and makes each
//! method one conditional write.

use std::fmt;

/// Unproven rows that a campaign may post in a lane that accepted nobody yet.
const UNPROVEN_LIMIT: u32 = 1000;

/// How the lane's rows are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its rows are sent.
    Open,
    /// Its rows are sent at a learned rate. For belief this is the same as open.
    Paced,
    /// Its rows are skipped, at no cost to anybody.
    Parked(Reason),
}

/// Why a lane is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Too many first posts of reached rows were rejected.
    Rejected {
        /// Because of another key.
        mismatches: u32,
        /// Because of our token, key or headers.
        auths: u32,
        /// The lane had accepted somebody before.
        accepted_before: bool,
    },
    /// Nobody could sign with the lane's key for ten minutes.
    KeyCannotSign,
    /// The service served nobody for six hours.
    ServedNobody,
    /// By the end of the campaign nobody was accepted, and somebody was refused or mismatched.
    NobodyAccepted {
        /// Rows that were refused or mismatched.
        rejected: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected {
                mismatches,
                auths,
                accepted_before,
            } => {
                write!(
                    f,
                    "{} subscribers in a row were rejected ({mismatches} as subscribed under another VAPID key, \
                     {auths} because of our token, key or headers)",
                    mismatches + auths
                )?;
                f.write_str(if *accepted_before {
                    " after others had been accepted. Was the key changed?"
                } else {
                    " and nobody was accepted. Is this the right key, and is the clock right?"
                })
            }
            Self::KeyCannotSign => f.write_str("nobody could sign with this key for ten minutes"),
            Self::ServedNobody => f.write_str("the push service served nobody for six hours"),
            Self::NobodyAccepted { rejected } => write!(
                f,
                "nobody was accepted, and {rejected} subscribers were refused or subscribed under another VAPID key"
            ),
        }
    }
}

/// The lane's item of one campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// How its rows are sent.
    pub state: State,
    /// How often the lane was opened again.
    pub epoch: u32,
    /// Settlements with acceptances, of all workers. A number, not a time: clocks may be wrong.
    pub settlements: u64,
    /// Unproven rows that were reserved while nobody was accepted.
    pub unproven: u32,
    /// A person said that this lane's mismatches are right.
    pub believed: bool,
}

impl Default for Item {
    fn default() -> Self {
        Self {
            state: State::Open,
            epoch: 0,
            settlements: 0,
            unproven: 0,
            believed: false,
        }
    }
}

impl Item {
    /// Whether the lane accepted anybody in this campaign.
    pub fn accepted(&self) -> bool {
        self.settlements > 0
    }

    /// Reserves posts of unproven rows; answers how many were granted.
    pub fn reserve(&mut self, wanted: u32) -> u32 {
        let granted = wanted.min(UNPROVEN_LIMIT.saturating_sub(self.unproven));
        self.unproven += granted;
        granted
    }

    /// Whether a reservation would grant anything.
    pub fn may_reserve(&self) -> bool {
        self.unproven < UNPROVEN_LIMIT
    }

    /// Takes back what a job reserved and did not use.
    pub fn give_back(&mut self, unused: u32) {
        self.unproven = self.unproven.saturating_sub(unused);
    }

    /// A settlement with acceptances.
    pub fn settled(&mut self) {
        self.settlements += 1;
    }

    /// Parks the lane, unless somebody was accepted or opened it meanwhile; answers whether it did.
    pub fn park(&mut self, reason: Reason, epoch: u32, settlements: u64) -> bool {
        let unchanged = self.epoch == epoch && self.settlements == settlements;
        if unchanged {
            self.state = State::Parked(reason);
        }
        unchanged
    }

    /// Opens a parked lane after an acceptance; answers whether it did.
    pub fn open(&mut self, epoch: u32) -> bool {
        let unchanged = self.epoch == epoch && matches!(self.state, State::Parked(_));
        if unchanged {
            self.state = State::Open;
            self.epoch += 1;
        }
        unchanged
    }

    /// A person's `resume`: the lane opens, and may try unproven rows anew. `believe` stays until the campaign ends.
    pub fn resume(&mut self, believe: bool) {
        if matches!(self.state, State::Parked(_)) {
            self.state = State::Open;
        }
        self.epoch += 1;
        self.unproven = 0;
        self.believed |= believe;
    }
}
