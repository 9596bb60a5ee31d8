//! The end of every batch, whether of first pushes, retries or stragglers: its outcome becomes a checkpoint, and the
//! checkpoint's retry parts get their jobs.

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

/// Keys that are written at a time.
const KEYS_AT_ONCE: usize = 32;

/// A job is delayed by chance, by up to one part in so many of its wait: parts that are due together do not start
/// together.
const JITTER: u64 = 10;

/// A batch that was pushed.
pub(super) struct Pushed<'a> {
    /// The part that it belongs to, and the right to write it.
    pub(super) lease: &'a Lease,
    /// How far the part was before the batch.
    pub(super) checkpoint: &'a Checkpoint,
    /// How the batch moves it.
    pub(super) step: Step,
    /// Whether the worker goes on with the part, and needs its lease.
    pub(super) renew: bool,
    /// What has landed.
    pub(super) landed: Landed,
    /// What the batch has come to beside what has landed.
    pub(super) outcome: BatchOutcome,
}

/// A batch that is in the ledger.
pub(super) struct Settled {
    /// How far the part is now.
    pub(super) checkpoint: Checkpoint,
    /// Retry parts of stragglers.
    pub(super) held: Vec<HeldPart>,
    /// Why the campaign halts.
    pub(super) halt: Option<String>,
    jobs: Vec<(PartKey, Timestamp)>,
    metrics: metrics::Pushes,
    other_keys: Vec<(Row, KeyId)>,
}

impl<Q: Queue> Work<Q> {
    /// Writes the checkpoint of a batch. None when another worker holds the part: then nothing is written.
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

    /// What follows from a checkpoint: figures in the log, jobs for its retry parts, keys, and the campaign's halt.
    pub(super) async fn follow_up(&self, settled: Settled) -> Result<(), DeliverError> {
        let now = self.deliver.now();
        self.deliver.broadcast.metrics.page(&settled.metrics, now);
        let job = |(part, due)| {
            let campaign = self.campaign.id.clone();
            (Job { campaign, part }, until(due, now))
        };
        let jobs: Vec<_> = settled.jobs.into_iter().map(job).collect();
        self.deliver.broadcast.queue.send(&jobs).await?;
        if !self.is_over() {
            self.deliver.remember_keys(&settled.other_keys).await;
        }
        if let Some(reason) = &settled.halt {
            self.deliver.broadcast.halt(&self.campaign, reason).await?;
        }
        Ok(())
    }
}

impl<Q: Queue> Deliver<Q> {
    /// Why the campaign is to halt, now that these faults were met beside all that the ledger knows of.
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

    /// Writes the key into each row, so that the next push begins with it. A key that cannot be written is found again
    /// by the next push. With one key, there is nothing to remember.
    async fn remember_keys(&self, rows: &[(Row, KeyId)]) {
        if self.pusher.has_one_key() {
            return;
        }
        let remember = async |(row, key): &(Row, KeyId)| {
            if let Err(error) = self.store().subscribers.remember_key(row, key).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the key of a subscription could not be remembered"
                );
            }
        };
        for rows in rows.chunks(KEYS_AT_ONCE) {
            join_all(rows.iter().map(remember)).await;
        }
    }
}

/// The job of each new part, and when it is due: for a part that is held, when its lease ends.
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
    let wait = u64::try_from(until(due, now).as_millis()).unwrap_or(u64::MAX);
    after(due, Duration::from_millis(chance.up_to(wait / JITTER)))
}
