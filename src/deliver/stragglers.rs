//! Stragglers: pushes of a segment that are still in flight when the next batch begins. Each batch's stragglers are in
//! retry parts of their own, which this worker holds until their answers come.

use std::collections::{HashMap, HashSet};

use tokio::task::{Id, JoinSet};
use tracing::Instrument as _;

use super::batch::Batch;
use super::in_flight::Bounds;
use super::outcome::BatchOutcome;
use super::settle::Pushed;
use super::work::{DeliverError, Work};
use crate::campaign::checkpoint::{Checkpoint, Step};
use crate::campaign::part::HeldPart;
use crate::campaign::retry::RetryState;
use crate::ledger::Lease;
use crate::queue::Queue;
use webpush::Origin;

/// The stragglers of one segment: a task for each batch that has left some.
#[derive(Default)]
pub(super) struct Stragglers {
    tasks: JoinSet<Result<(), DeliverError>>,
    batches: HashMap<Id, Left>,
}

/// Stragglers of one batch.
struct Left {
    number: usize,
    /// Push services that have answered nobody of the batch.
    silent: HashSet<Origin>,
}

impl Stragglers {
    /// How many pushes are in flight.
    pub(super) fn count(&self) -> usize {
        self.batches.values().map(|left| left.number).sum()
    }

    /// Push services that have answered nobody of a batch whose stragglers are in flight.
    pub(super) fn silent(&self) -> HashSet<Origin> {
        let silent = self.batches.values().flat_map(|left| &left.silent);
        silent.cloned().collect()
    }

    /// Waits for the stragglers of a batch beside the next batches, and settles them.
    pub(super) fn leave<Q: Queue>(
        &mut self,
        work: &Work<Q>,
        batch: Batch,
        parts: Vec<HeldPart>,
        silent: HashSet<Origin>,
    ) {
        let endpoints = parts.iter().map(|held| held.part.retry.endpoints.len());
        let number = endpoints.sum();
        if number == 0 {
            return;
        }
        let settling = work.clone().settle_stragglers(batch, parts);
        let task = self.tasks.spawn(settling.in_current_span());
        self.batches.insert(task.id(), Left { number, silent });
    }

    /// Removes those that are settled.
    pub(super) fn reap(&mut self) -> Result<(), DeliverError> {
        while let Some(settled) = self.tasks.try_join_next_with_id() {
            let (id, settled) = settled.map_err(DeliverError::Panicked)?;
            self.batches.remove(&id);
            settled?;
        }
        Ok(())
    }

    /// Waits for all of them. One that fails does not end the others: they are about to write a checkpoint.
    pub(super) async fn finish(&mut self) -> Result<(), DeliverError> {
        let mut finished = Ok(());
        while let Some(settled) = self.tasks.join_next().await {
            let settled = settled.map_err(DeliverError::Panicked);
            finished = finished.and(settled.and_then(|settled| settled));
        }
        finished
    }
}

impl<Q: Queue> Work<Q> {
    async fn settle_stragglers(
        self,
        mut batch: Batch,
        parts: Vec<HeldPart>,
    ) -> Result<(), DeliverError> {
        batch.wait(Bounds::default(), &self.stop).await;
        let mut landed = batch.take_landed();
        let unanswered = batch.endpoints();
        let now = self.deliver.now();
        for HeldPart { part, owner, .. } in parts {
            // The attempt in flight is their first one.
            let before = RetryState {
                attempts: 0,
                expires: None,
                ..part.retry.state
            };
            let mut outcome = BatchOutcome::of_retries(before, self.ttl(), now);
            let endpoints = part.retry.endpoints;
            for endpoint in endpoints.intersection(&unanswered) {
                outcome.unanswered(endpoint);
            }
            let part = part.key;
            let pushed = Pushed {
                lease: &Lease { part, owner },
                landed: landed.take(&endpoints),
                checkpoint: &Checkpoint::Retrying { endpoints },
                step: Step::Finish,
                renew: false,
                outcome,
            };
            if let Some(settled) = self.settle(pushed).await? {
                self.follow_up(settled).await?;
            }
        }
        Ok(())
    }
}
