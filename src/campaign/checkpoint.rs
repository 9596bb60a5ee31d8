//! How far a part of a campaign is, and the change that one batch makes: values, which the ledger writes down.
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
//! Whatever the step, each row is counted exactly once: by the batch that reads it, and moved from `retrying` to another
//! count by the part that ends it.

use std::collections::{BTreeMap, BTreeSet};

use super::faults::Faults;
use super::figures::{Figures, Tally};
use super::part::{HeldPart, NewPart};
use webpush::PushService;

/// Rows that one transaction removes, at most: a transaction holds 100 items.
pub const MAX_REMOVED: usize = 60;

/// Retry parts that one delta opens, at most: they share a transaction with the rows that are removed.
pub const MAX_OPENED: usize = 30;

/// How far a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// A segment that is read, from its beginning or after an endpoint.
    Reading {
        /// The last endpoint of the batch before.
        after: Option<String>,
    },
    /// A segment that is read to its end. Retry parts of it may be open.
    Read,
    /// A retry part whose endpoints are not counted yet.
    Retrying {
        /// Whom to push to.
        endpoints: BTreeSet<String>,
    },
    /// A retry part that is done: its item is deleted.
    Done,
}

/// How a delta moves the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A batch of a segment was pushed.
    Advance {
        /// The last endpoint read. None while nothing was read yet.
        cursor: Option<String>,
        /// Nothing comes after it.
        is_last: bool,
        /// Rows in the batch: each is counted by this delta.
        rows: usize,
        /// Rows that were looked at: more than `rows` where the audience has only some of them.
        scanned: u64,
    },
    /// Rows of a batch are removed before the rest of it is written.
    Remove,
    /// A retry part was pushed: each of its endpoints is counted, or waits in another part.
    Finish,
}

/// What one batch changes.
#[derive(Debug, Clone)]
pub struct Delta<Row> {
    /// How the checkpoint moves.
    pub step: Step,
    /// Changes of the campaign's figures.
    pub figures: Figures,
    /// What each origin has answered.
    pub faults: Faults,
    /// Retry parts that are opened, and queued for when they are due.
    pub opened: Vec<NewPart>,
    /// Retry parts that are opened for stragglers, and held by the worker.
    pub held: Vec<HeldPart>,
    /// Rows to be removed, by endpoint, unless their browser has written them again.
    pub gone: BTreeMap<String, Row>,
}

/// Why a delta does not fit a checkpoint. Always a bug: nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncompatibleDelta {
    /// The part is done, or is of another kind.
    #[error("the part is not at a checkpoint from which this step leads on")]
    WrongStep,
    /// A row is removed that the part does not hold.
    #[error("a row is to be removed that is not in the part")]
    ForeignRow,
    /// Rows are counted twice, or not at all.
    #[error("{rows} rows are counted {counted} times")]
    Unbalanced {
        /// Rows that the step adds to the figures.
        rows: usize,
        /// What the figures grow by.
        counted: i64,
    },
    /// More than one transaction takes.
    #[error("{0} retry parts are opened at once: at most {MAX_OPENED} are")]
    TooManyParts(usize),
}

impl Checkpoint {
    /// The checkpoint after `delta`.
    ///
    /// # Errors
    /// When the delta does not lead on from here; see the table of this module.
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
    /// The same change as several deltas, of which each removes at most `max` rows. All but the last only remove rows,
    /// and count them.
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

    /// How the rows in `gone` are counted: a retry part has counted them as `retrying` before.
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
