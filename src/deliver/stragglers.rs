//! Stragglers: pushes of a segment that are still in flight when the next batch begins. The worker puts the stragglers
//! of each batch into retry parts, and holds these parts until the answers come.

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
use crate::campaign::retry_state::RetryState;
use crate::ledger::Lease;
use crate::queue::Queue;
use webpush::Origin;

/// The stragglers of one segment, with one task for each batch that has stragglers.
#[derive(Default)]
pub(super) struct Stragglers {
    tasks: JoinSet<Result<(), DeliverError>>,
    batches: HashMap<Id, BatchStragglers>,
}

/// The stragglers of one batch.
struct BatchStragglers {
    number: usize,
    /// Push services that have answered no push of the batch.
    silent: HashSet<Origin>,
}

impl Stragglers {
    /// Number of pushes in flight.
    pub(super) fn count(&self) -> usize {
        self.batches.values().map(|batch| batch.number).sum()
    }

    /// Push services that have answered no push of a batch whose stragglers are in flight.
    pub(super) fn silent(&self) -> HashSet<Origin> {
        let silent = self.batches.values().flat_map(|batch| &batch.silent);
        silent.cloned().collect()
    }

    /// Starts a task that waits for the stragglers of a batch and settles them, while the worker pushes the next
    /// batches.
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
        self.batches
            .insert(task.id(), BatchStragglers { number, silent });
    }

    /// Removes the batches whose stragglers are settled.
    pub(super) fn reap(&mut self) -> Result<(), DeliverError> {
        while let Some(settled) = self.tasks.try_join_next_with_id() {
            let (id, settled) = settled.map_err(DeliverError::Panicked)?;
            self.batches.remove(&id);
            settled?;
        }
        Ok(())
    }

    /// Waits for all tasks. If one fails, the others still write their checkpoints.
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
            // The push in flight is the first attempt.
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
