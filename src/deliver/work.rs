//! The state of one job, and its work with the queue and the leases.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinError;

use super::batch::Dispatcher;
use super::circuit::CircuitBreaker;
use crate::broadcast::{Broadcast, BroadcastError};
use crate::campaign::checkpoint::IncompatibleDelta;
use crate::campaign::{Campaign, Job, MAX_UNRECORDED_PUSHES, PartKey};
use crate::dynamo::StoreError;
use crate::json::Invalid;
use crate::ledger::{Lease, Worker};
use crate::queue::{Queue, QueueError, Stop};
use crate::store::Store;
use crate::time::until;
use webpush::{AllowList, Pusher};

/// How long a lease lasts: longer than the slowest batch. Each checkpoint renews it.
pub(super) const LEASE: Duration = Duration::from_secs(90);

/// Minimum delay before a job is queued again when another worker holds its part.
const MIN_HELD_DELAY: Duration = Duration::from_secs(1);

/// Does jobs. A clone shares the store, the queue, the pusher and the circuit breakers.
#[derive(Debug, Clone)]
pub struct Deliver<Q> {
    /// Ledger, queue and clock. Halts and finishes campaigns.
    pub broadcast: Broadcast<Q>,
    /// Encrypts, signs and posts a message.
    pub pusher: Pusher,
    /// Push services that messages may be sent to. Rows are checked again: they may be older than the list.
    pub allowed: AllowList,
    /// The owner of this process's leases.
    pub worker: Worker,
    /// Jobs that this process does at a time. They share the pushes that it may have in flight.
    pub at_once: usize,
    /// Circuit breakers of the push services.
    pub circuits: CircuitBreaker,
}

/// Why a job failed. The queue must deliver it again.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The campaign could not be halted or finished.
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    /// The campaign's message breaks a rule that is newer than the campaign.
    #[error("the campaign's message is wrong")]
    Message(#[from] Invalid),
    /// A bug: the outcome of a batch does not fit its part.
    #[error("the outcome of a batch does not fit its part")]
    Checkpoint(#[from] IncompatibleDelta),
    /// A bug: a task panicked.
    #[error("a task of the job panicked")]
    Panicked(#[source] JoinError),
}

/// Pushes that one job may have in flight. After a crash, at most the pushes in flight of all jobs are repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Maximum rows of one batch.
    pub(super) batch: usize,
    /// Maximum stragglers of earlier batches, so that a push service that does not answer holds up no other.
    pub(super) stragglers: usize,
    /// Maximum stragglers of one batch, when it holds up no other push service.
    pub(super) batch_stragglers: usize,
}

impl Share {
    /// The smallest share. A fifth of it is one push.
    const MIN: usize = 5;

    fn of_one_in(jobs: usize) -> Self {
        let share = (MAX_UNRECORDED_PUSHES / jobs.max(1)).max(Self::MIN);
        let fifths = |n: usize| share * n / 5;
        Self {
            batch: fifths(3),
            stragglers: fifths(2),
            batch_stragglers: fifths(1),
        }
    }
}

impl<Q: Queue> Deliver<Q> {
    pub(super) fn store(&self) -> &Store {
        &self.broadcast.store
    }

    pub(super) fn now(&self) -> Timestamp {
        self.broadcast.clock.now()
    }

    /// The share of one job in the pushes that this process may have in flight.
    pub(super) fn share(&self) -> Share {
        Share::of_one_in(self.at_once)
    }
}

/// One job under way. A clone belongs to the same job.
#[derive(Clone)]
pub(super) struct Work<Q> {
    pub(super) deliver: Deliver<Q>,
    pub(super) campaign: Arc<Campaign>,
    pub(super) dispatcher: Dispatcher,
    pub(super) stop: Stop,
}

impl<Q: Queue> Work<Q> {
    /// Queues the job again, to be delivered after `delay`.
    pub(super) async fn requeue(
        &self,
        part: &PartKey,
        delay: Duration,
    ) -> Result<(), DeliverError> {
        let job = Job {
            campaign: self.campaign.id.clone(),
            part: part.clone(),
        };
        self.deliver.broadcast.queue.send(&[(job, delay)]).await?;
        Ok(())
    }

    /// Queues the job again, to be delivered when another worker's lease of the part ends at `free_at`.
    pub(super) async fn requeue_when_free(
        &self,
        part: &PartKey,
        free_at: Timestamp,
    ) -> Result<(), DeliverError> {
        let wait = until(free_at, self.deliver.now()).max(MIN_HELD_DELAY);
        self.requeue(part, wait).await
    }

    /// Closes the segment if all its parts are done. Then finishes the campaign if all its segments are done.
    pub(super) async fn close(&self, segment: u32) -> Result<(), DeliverError> {
        let id = &self.campaign.id;
        let ledger = &self.deliver.store().ledger;
        if ledger.close_segment(id, segment).await? {
            self.deliver.broadcast.finish(id).await?;
        }
        Ok(())
    }

    /// Gives a lease back before its time. If that fails, the lease expires.
    pub(super) async fn give_back(&self, lease: &Lease) {
        let ledger = &self.deliver.store().ledger;
        if let Err(error) = ledger.give_back(&self.campaign.id, lease).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "lease could not be given back, it will expire"
            );
        }
    }

    /// A key for a new retry part of a segment.
    pub(super) fn new_retry(&self, segment: u32) -> PartKey {
        self.deliver.store().ledger.new_retry(segment)
    }

    /// The message's TTL, in seconds.
    pub(super) fn ttl(&self) -> u32 {
        self.dispatcher.message.ttl
    }

    pub(super) fn must_stop(&self) -> bool {
        self.stop.is_reached()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_jobs_together_have_no_more_in_flight_than_a_page() {
        for jobs in 1..=100 {
            let share = Share::of_one_in(jobs);
            assert!(share.batch_stragglers >= 1 && share.batch_stragglers <= share.stragglers);
            assert!(
                (share.batch + share.stragglers) * jobs <= MAX_UNRECORDED_PUSHES,
                "{jobs} jobs"
            );
        }
    }
}
