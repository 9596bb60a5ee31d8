//! The progress of a part of a campaign, and the change that one batch makes. Both are plain values; the ledger stores
//! them.
//!
//! A [`Checkpoint`] plus a [`Delta`] is the next checkpoint, or an error:
//!
//! | checkpoint | step | next checkpoint |
//! |---|---|---|
//! | reading after `a` | advance to `b` | reading after `b` |
//! | reading after `a` | advance, and nothing follows | read |
//! | reading after `a` | remove rows | reading after `a` |
//! | retrying endpoints | remove some of them | retrying the others |
//! | retrying endpoints | finish | done |
//! | anything else | | [`IncompatibleDelta::WrongStep`] |
//!
//! Each row is counted exactly once, by the batch that reads it. If that batch counts it as `retrying`, the retry part
//! that ends it moves it to another count.
//!
//! A crash repeats the pushes that no checkpoint records yet: at most [`MAX_UNRECORDED_PUSHES`] of one process.

use std::collections::{BTreeMap, BTreeSet};

use super::faults::Faults;
use super::figures::{Figures, Tally};
use super::part::{HeldPart, NewPart};
use webpush::PushService;

/// The most pushes of one process that are in flight, or answered, and that no checkpoint records: what a crash repeats.
pub const MAX_UNRECORDED_PUSHES: usize = 500;

/// Maximum number of rows that one transaction removes. A transaction holds 100 items.
pub const MAX_REMOVED: usize = 60;

/// Maximum number of retry parts that one delta opens. They share a transaction with the removed rows.
pub const MAX_OPENED: usize = 30;

/// The progress of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// A segment that workers are still reading, from its beginning or from an endpoint on.
    Reading {
        /// The last endpoint of the previous batch. `None` at the beginning.
        after: Option<String>,
    },
    /// A segment that was read to its end. Some of its retry parts may still be open.
    Read,
    /// A retry part that still has endpoints to push to.
    Retrying {
        /// Endpoints to push to, each counted as `retrying`.
        endpoints: BTreeSet<String>,
    },
    /// A finished retry part. Its item is deleted.
    Done,
}

/// How a delta moves the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The worker pushed a batch of a segment.
    Advance {
        /// The last endpoint of the batch; `None` if the batch does not move the position.
        cursor: Option<String>,
        /// Whether this batch is the last of the segment.
        is_last: bool,
        /// Rows in the batch. This delta counts each of them.
        rows: usize,
        /// Rows that the scan looked at, including rows outside the audience.
        scanned: u64,
    },
    /// Removes some rows of a batch before the rest of the batch is written.
    Remove,
    /// The worker pushed a retry part. Each of its endpoints is now counted, or waits in another part.
    Finish,
}

/// What one batch changes.
#[derive(Debug, Clone)]
pub struct Delta<Row> {
    /// How the checkpoint moves.
    pub step: Step,
    /// Changes to the campaign's figures.
    pub figures: Figures,
    /// Each origin's answers, and how many of them report a fault of ours.
    pub faults: Faults,
    /// New retry parts. The worker queues a job for each, for when it is due.
    pub opened: Vec<NewPart>,
    /// New retry parts for stragglers. The worker keeps their leases.
    pub held: Vec<HeldPart>,
    /// Rows to remove, by endpoint. A row that its browser has written again since stays.
    pub gone: BTreeMap<String, Row>,
}

/// Why a delta does not fit a checkpoint. This is always a bug, and nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncompatibleDelta {
    /// The part is done, or is of another kind.
    #[error("the part is not at a checkpoint from which this step leads on")]
    WrongStep,
    /// The delta removes a row that the part does not hold.
    #[error("a row is to be removed that is not in the part")]
    ForeignRow,
    /// The delta counts some rows twice or not at all.
    #[error("the step adds {rows} rows, but the figures grow by {counted}")]
    Unbalanced {
        /// Rows that the step adds to the figures.
        rows: usize,
        /// Rows that the delta adds to the figures.
        counted: i64,
    },
    /// The delta opens more retry parts than fit into one transaction.
    #[error("{0} retry parts are opened at once: at most {MAX_OPENED} are")]
    TooManyParts(usize),
}

impl Checkpoint {
    /// The checkpoint after `delta`.
    ///
    /// # Errors
    /// When the step does not fit this checkpoint (see the table of this module), or the counts are wrong.
    pub fn try_apply<Row>(&self, delta: &Delta<Row>) -> Result<Self, IncompatibleDelta> {
        let opened = delta.opened.len() + delta.held.len();
        if opened > MAX_OPENED {
            return Err(IncompatibleDelta::TooManyParts(opened));
        }
        let (next, rows) = match (self, &delta.step) {
            (
                Self::Reading { after },
                Step::Advance {
                    cursor,
                    is_last,
                    rows,
                    ..
                },
            ) => {
                let after = cursor.as_ref().or(after.as_ref()).cloned();
                let next = if *is_last {
                    Self::Read
                } else {
                    Self::Reading { after }
                };
                (next, *rows)
            }
            (Self::Reading { .. }, Step::Remove) => (self.clone(), delta.gone.len()),
            (Self::Retrying { endpoints }, Step::Remove | Step::Finish) => {
                if !delta.gone.keys().all(|gone| endpoints.contains(gone)) {
                    return Err(IncompatibleDelta::ForeignRow);
                }
                let left = |endpoint: &&String| !delta.gone.contains_key(*endpoint);
                let next = match delta.step {
                    Step::Finish => Self::Done,
                    Step::Remove | Step::Advance { .. } => Self::Retrying {
                        endpoints: endpoints.iter().filter(left).cloned().collect(),
                    },
                };
                (next, 0)
            }
            (Self::Reading { .. }, Step::Finish)
            | (Self::Retrying { .. }, Step::Advance { .. })
            | (Self::Read | Self::Done, _) => return Err(IncompatibleDelta::WrongStep),
        };
        let counted = delta.figures.total();
        if i64::try_from(rows) != Ok(counted) {
            return Err(IncompatibleDelta::Unbalanced { rows, counted });
        }
        Ok(next)
    }
}

impl<Row> Delta<Row> {
    /// Splits the change into deltas that each remove at most `max` rows. All but the last only remove rows and count
    /// them.
    pub fn split(mut self, max: usize) -> Vec<Self> {
        let mut pieces = Vec::new();
        while self.gone.len() > max
            && let Some(end) = self.gone.keys().nth(max).cloned()
        {
            let rest = self.gone.split_off(&end);
            let gone = std::mem::replace(&mut self.gone, rest);
            let figures = self.counts_of(&gone);
            self.figures.subtract(&figures);
            if let Step::Advance { rows, scanned, .. } = &mut self.step {
                *rows = rows.saturating_sub(gone.len());
                *scanned = scanned.saturating_sub(gone.len() as u64);
            }
            pieces.push(Self {
                step: Step::Remove,
                figures,
                faults: Faults::default(),
                opened: Vec::new(),
                held: Vec::new(),
                gone,
            });
        }
        pieces.push(self);
        pieces
    }

    /// The figures for removing `gone`. The rows of a retry part are so far counted as `retrying`.
    fn counts_of(&self, gone: &BTreeMap<String, Row>) -> Figures {
        let mut figures = Figures::default();
        for endpoint in gone.keys() {
            let service = PushService::of_url(endpoint);
            figures.add(service, Tally::Gone, 1);
            if self.step == Step::Finish {
                figures.add(service, Tally::Retrying, -1);
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests;
