//! The end of every batch of first pushes, retries or stragglers: the worker writes its outcome as a checkpoint, and
//! queues jobs for the checkpoint's retry parts.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::batch::Landed;
use super::outcome::BatchOutcome;
use super::work::{Deliver, DeliverError, LEASE, Work};
use crate::campaign::checkpoint::{Checkpoint, Delta, Step};
use crate::campaign::part::HeldPart;
use crate::campaign::{Campaign, Faults, Job, PartKey};
use crate::clock::Chance;
use crate::ledger::{Lease, Written};
use crate::queue::Queue;
use crate::subscribers::Row;
use crate::telemetry::metrics;
use crate::time::{after, until};
use webpush::KeyId;

/// Rows whose key is written at a time.
const KEYS_AT_ONCE: usize = 32;

/// A retry waits longer by a random time, up to 1/10 of its delay, so that retries due together do not start together.
const JITTER_DIVISOR: u64 = 10;

/// A batch that was pushed.
pub(super) struct Pushed<'a> {
    /// Lease of the batch's part.
    pub(super) lease: &'a Lease,
    /// The part's checkpoint before the batch.
    pub(super) checkpoint: &'a Checkpoint,
    /// How the batch changes the checkpoint.
    pub(super) step: Step,
    /// Whether to renew the lease, because the worker continues with the part.
    pub(super) renew: bool,
    /// Pushes that are no longer in flight.
    pub(super) landed: Landed,
    /// The outcome of the batch without `landed`.
    pub(super) outcome: BatchOutcome,
}

/// A batch whose checkpoint is in the ledger.
pub(super) struct Settled {
    /// The part's checkpoint after the batch.
    pub(super) checkpoint: Checkpoint,
    /// Retry parts of the batch's stragglers.
    pub(super) held: Vec<HeldPart>,
    /// Why the campaign must halt, if it must.
    pub(super) halt: Option<String>,
    jobs: Vec<(PartKey, Timestamp)>,
    metrics: metrics::Pushes,
    other_keys: Vec<(Row, KeyId)>,
}

impl<Q: Queue> Work<Q> {
    /// Writes the checkpoint of a batch. Writes nothing and returns None when another worker holds the part.
    pub(super) async fn settle(&self, pushed: Pushed<'_>) -> Result<Option<Settled>, DeliverError> {
        let Pushed {
            lease, mut outcome, ..
        } = pushed;
        let faults = pushed.landed.faults();
        let halt = self.deliver.halt_reason(&self.campaign, &faults).await?;
        outcome.add(pushed.landed, halt.is_some());
        let segment = lease.part.segment();
        let delta = Delta {
            step: pushed.step,
            opened: outcome.take_retries(|| self.new_retry(segment)),
            held: outcome.held.clone(),
            figures: outcome.figures,
            faults,
            gone: outcome.gone,
        };
        let checkpoint = pushed.checkpoint.try_apply(&delta)?;
        let now = self.deliver.now();
        let jobs = jobs(&delta, now, &self.deliver.broadcast.chance);
        let renew = (pushed.renew && halt.is_none()).then(|| after(now, LEASE));
        let ledger = &self.deliver.store().ledger;
        let written = ledger.checkpoint(&self.campaign, lease, delta, renew, now);
        Ok(match written.await? {
            Written::Fenced => None,
            Written::Done => Some(Settled {
                checkpoint,
                held: outcome.held,
                halt,
                jobs,
                metrics: outcome.metrics,
                other_keys: outcome.other_keys,
            }),
        })
    }

    /// Logs the metrics of a settled batch, queues jobs for its retry parts, stores its keys, and halts the campaign if
    /// needed.
    pub(super) async fn follow_up(&self, settled: Settled) -> Result<(), DeliverError> {
        let now = self.deliver.now();
        self.deliver.broadcast.metrics.page(&settled.metrics, now);
        let job = |(part, due)| {
            let campaign = self.campaign.id.clone();
            (Job { campaign, part }, until(due, now))
        };
        let jobs: Vec<_> = settled.jobs.into_iter().map(job).collect();
        self.deliver.broadcast.queue.send(&jobs).await?;
        if !self.must_stop() {
            self.deliver.remember_keys(&settled.other_keys).await;
        }
        if let Some(reason) = &settled.halt {
            self.deliver.broadcast.halt(&self.campaign, reason).await?;
        }
        Ok(())
    }
}

impl<Q: Queue> Deliver<Q> {
    /// Why the campaign must halt, by these faults and those in the ledger. None if it need not.
    async fn halt_reason(
        &self,
        campaign: &Campaign,
        faults: &Faults,
    ) -> Result<Option<String>, DeliverError> {
        if !faults.is_any() {
            return Ok(None);
        }
        let ledger = &self.store().ledger;
        let mut all = ledger.faults(&campaign.id, campaign.resumed).await?;
        all.merge(faults);
        Ok(all.halt_reason())
    }

    /// Writes into each row the key that its push service accepted, so that the next push tries it first. If that
    /// fails, the next push finds the key again. A pusher with only one key needs no such note.
    async fn remember_keys(&self, rows: &[(Row, KeyId)]) {
        if self.pusher.has_one_key() {
            return;
        }
        let remember = async |(row, key): &(Row, KeyId)| {
            if let Err(error) = self.store().subscribers.remember_key(row, key).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the key of a subscription could not be stored"
                );
            }
        };
        for rows in rows.chunks(KEYS_AT_ONCE) {
            join_all(rows.iter().map(remember)).await;
        }
    }
}

/// The keys of the new parts, each with when its job is due. The job of a held part is due when the lease ends.
fn jobs(delta: &Delta<Row>, now: Timestamp, chance: &Chance) -> Vec<(PartKey, Timestamp)> {
    let opened = delta.opened.iter().map(|part| {
        let due = with_jitter(part.retry.state.not_before, now, chance);
        (part.key.clone(), due)
    });
    let held = delta.held.iter();
    let held = held.map(|held| (held.part.key.clone(), held.until));
    opened.chain(held).collect()
}

fn with_jitter(due: Timestamp, now: Timestamp, chance: &Chance) -> Timestamp {
    let delay = u64::try_from(until(due, now).as_millis()).unwrap_or(u64::MAX);
    after(
        due,
        Duration::from_millis(chance.up_to(delay / JITTER_DIVISOR)),
    )
}
