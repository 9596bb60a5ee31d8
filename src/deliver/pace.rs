//! Keeping to a campaign's rate, so that a site is not stampeded by its own readers.
//!
//! The rate is shared out among the segments. Whoever pushes for a segment, its reader or one of its retries, takes a
//! turn first: a stretch of time that is reserved in the ledger, after everyone else's. So all of them together never
//! exceed it, wherever they work.

use std::time::Duration;

use tokio::time::Instant;

use super::{DeliverError, Work};
use crate::queue::Queue;
use crate::time::until;

/// The longest turn: a lease lasts for several.
const TURN: Duration = Duration::from_secs(5);

/// A turn: when its pushes start.
pub(super) struct Pace {
    first: Option<(Instant, Duration)>,
    /// Until the last one starts.
    pub(super) takes: Duration,
}

impl Pace {
    /// When each push may start.
    pub(super) fn starts(&self) -> impl FnMut() -> Option<Instant> + use<> {
        let mut first = self.first;
        move || {
            let (start, step) = first?;
            first = Some((start + step, step));
            Some(start)
        }
    }
}

impl<Q: Queue> Work<'_, Q> {
    /// Messages a second that one segment may send, with its retries.
    fn rate(&self) -> Option<f64> {
        let segments = f64::from(self.campaign.segments.max(1));
        self.campaign.rate.map(|rate| f64::from(rate) / segments)
    }

    /// Rows of one turn; without a rate, as many as there are.
    pub(super) fn turn(&self) -> Option<usize> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of seconds times a rate of at most a u32"
        )]
        let rows = |rate: f64| (rate * TURN.as_secs_f64()) as usize;
        self.rate().map(|rate| rows(rate).max(1))
    }

    /// How long to wait before a turn is taken at all: while others wait for theirs, a place in the queue costs less.
    pub(super) async fn next_turn(&self, segment: u32) -> Result<Duration, DeliverError> {
        if self.rate().is_none() {
            return Ok(Duration::ZERO);
        }
        let (store, now) = (self.deliver.store(), self.deliver.now());
        let segment = store.ledger.segment(&self.campaign.id, segment).await?;
        let taken_to = segment.and_then(|segment| segment.paced_to);
        let wait = taken_to.map_or(Duration::ZERO, |taken_to| until(taken_to, now));
        Ok(wait.saturating_sub(TURN))
    }

    /// Takes a turn for so many rows.
    pub(super) async fn take_turn(&self, segment: u32, rows: usize) -> Result<Pace, DeliverError> {
        let (Some(rate), Ok(rows @ 1..)) = (self.rate(), u32::try_from(rows)) else {
            return Ok(Pace {
                first: None,
                takes: Duration::ZERO,
            });
        };
        let step = Duration::from_secs_f64(1.0 / rate);
        let (store, now) = (self.deliver.store(), self.deliver.now());
        let turn = store
            .ledger
            .take_turn(&self.campaign.id, segment, step * rows, now);
        let wait = until(turn.await?, now);
        Ok(Pace {
            first: Some((Instant::now() + wait, step)),
            takes: wait + step * rows,
        })
    }
}
