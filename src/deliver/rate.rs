//! Sending slots: they keep a campaign to its rate, so that its readers do not overload the site.
//!
//! Each segment gets an equal part of the rate. Before a worker pushes a batch of a segment or of one of its retry
//! parts, it reserves a slot in the ledger: a span of time after all slots that were reserved before. So all workers
//! together never exceed the rate.

use std::time::Duration;

use tokio::time::Instant;

use super::work::{DeliverError, Work};
use crate::queue::Queue;
use crate::time::until;

/// Maximum length of a slot. A lease must last for several slots.
const MAX_SLOT: Duration = Duration::from_secs(5);

/// When the pushes of one batch start.
pub(super) struct Slot {
    first: Option<(Instant, Duration)>,
    /// Time from now until the last push starts.
    pub(super) spread: Duration,
}

impl Slot {
    /// Returns when each push starts, one after the other. None when the campaign has no rate: push at once.
    pub(super) fn starts(&self) -> impl FnMut() -> Option<Instant> + use<> {
        let mut first = self.first;
        move || {
            let (start, step) = first?;
            first = Some((start + step, step));
            Some(start)
        }
    }
}

impl<Q: Queue> Work<Q> {
    /// Maximum pushes of one segment in a second, including its retries. None when the campaign has no rate.
    fn segment_rate(&self) -> Option<f64> {
        let segments = f64::from(self.campaign.segments.max(1));
        self.campaign.rate.map(|rate| f64::from(rate) / segments)
    }

    /// Maximum rows of one slot. None when the campaign has no rate.
    pub(super) fn slot_size(&self) -> Option<usize> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of seconds times a rate of at most a u32"
        )]
        let rows = |rate: f64| (rate * MAX_SLOT.as_secs_f64()) as usize;
        self.segment_rate().map(|rate| rows(rate).max(1))
    }

    /// How long a job should wait in the queue before a worker reserves a slot for it. A job that waits in the queue
    /// does not occupy a worker.
    pub(super) async fn time_to_slot(&self, segment: u32) -> Result<Duration, DeliverError> {
        if self.segment_rate().is_none() {
            return Ok(Duration::ZERO);
        }
        let (ledger, now) = (&self.deliver.store().ledger, self.deliver.now());
        let segment = ledger.segment(&self.campaign.id, segment).await?;
        let reserved_to = segment.and_then(|segment| segment.paced_to);
        let wait = reserved_to.map_or(Duration::ZERO, |reserved_to| until(reserved_to, now));
        Ok(wait.saturating_sub(MAX_SLOT))
    }

    /// Reserves a slot for a batch of `rows` rows.
    pub(super) async fn reserve_slot(
        &self,
        segment: u32,
        rows: usize,
    ) -> Result<Slot, DeliverError> {
        let (Some(rate), Ok(rows @ 1..)) = (self.segment_rate(), u32::try_from(rows)) else {
            return Ok(Slot {
                first: None,
                spread: Duration::ZERO,
            });
        };
        let step = Duration::from_secs_f64(1.0 / rate);
        let (ledger, now) = (&self.deliver.store().ledger, self.deliver.now());
        let slot = ledger.take_turn(&self.campaign.id, segment, step * rows, now);
        let wait = until(slot.await?, now);
        Ok(Slot {
            first: Some((Instant::now() + wait, step)),
            spread: wait + step * rows,
        })
    }
}
