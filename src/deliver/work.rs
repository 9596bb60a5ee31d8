//! What a worker needs for one job, and what every job does with the queue and the leases.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinError;

use super::batch::Dispatcher;
use super::circuit::CircuitBreaker;
use crate::broadcast::{Broadcast, BroadcastError};
use crate::campaign::checkpoint::IncompatibleDelta;
use crate::campaign::{Campaign, Job, PAGE, PartKey};
use crate::dynamo::StoreError;
use crate::json::Invalid;
use crate::ledger::{Lease, Worker};
use crate::queue::{Queue, QueueError, Stop};
use crate::store::Store;
use crate::time::until;
use webpush::{AllowList, Pusher};

/// A lease lasts for so long, and each checkpoint renews it: longer than a batch takes when everything is at its
/// slowest.
pub(super) const LEASE: Duration = Duration::from_secs(90);

/// Minimum delay before a job is queued again when another worker holds its part.
const MIN_HELD_DELAY: Duration = Duration::from_secs(1);

/// What delivering needs.
#[derive(Debug, Clone)]
pub struct Deliver<Q> {
    /// Ledger, queue, clock, and the end of campaigns.
    pub broadcast: Broadcast<Q>,
    /// Encrypts, signs, posts.
    pub pusher: Pusher,
    /// Where messages may be sent: rows are checked again, since they can be older than the rules.
    pub allowed: AllowList,
    /// Who holds the leases.
    pub worker: Worker,
    /// Jobs that this process works on at a time: they share what a crash may repeat.
    pub at_once: usize,
    /// Push services that get no pushes for a while.
    pub circuits: CircuitBreaker,
}

/// Why a job was not done. It is to be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The campaign could not be moved on.
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    /// The ledger holds a message that breaks a rule of today.
    #[error("the campaign's message is wrong")]
    Message(#[from] Invalid),
    /// A bug: the outcome of a batch does not fit its part.
    #[error("the outcome of a batch does not fit its part")]
    Checkpoint(#[from] IncompatibleDelta),
    /// A bug: a task panicked.
    #[error("a task of the job panicked")]
    Panicked(#[source] JoinError),
}

/// How many pushes one job may have in flight. A crash of the process repeats no more than all jobs together have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Maximum rows of one batch.
    pub(super) batch: usize,
    /// Maximum stragglers of earlier batches: as many as a push service gets before anything is known of it, so that a
    /// service that does not answer holds up no other.
    pub(super) stragglers: usize,
    /// Stragglers that one batch may leave where no other service waits for it.
    pub(super) batch_stragglers: usize,
}

impl Share {
    /// The smallest share: each of its fifths is at least one push.
    const MIN: usize = 5;

    fn of_one_in(jobs: usize) -> Self {
        let share = (PAGE / jobs.max(1)).max(Self::MIN);
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

    /// The share of one job in what this process may have in flight.
    pub(super) fn share(&self) -> Share {
        Share::of_one_in(self.at_once)
    }
}

/// One job under way. A clone does the same job.
#[derive(Clone)]
pub(super) struct Work<Q> {
    pub(super) deliver: Deliver<Q>,
    pub(super) campaign: Arc<Campaign>,
    pub(super) dispatcher: Dispatcher,
    pub(super) stop: Stop,
}

impl<Q: Queue> Work<Q> {
    /// Queues the same job again, to be delivered after `delay`.
    pub(super) async fn queue_again(
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

    /// Another worker holds the part: the job comes again when that worker is done, or dead.
    pub(super) async fn queue_when_free(
        &self,
        part: &PartKey,
        free_at: Timestamp,
    ) -> Result<(), DeliverError> {
        let wait = until(free_at, self.deliver.now()).max(MIN_HELD_DELAY);
        self.queue_again(part, wait).await
    }

    /// A part is done: closes its segment if all its parts are, and then ends the campaign if all its segments are.
    pub(super) async fn close(&self, segment: u32) -> Result<(), DeliverError> {
        let id = &self.campaign.id;
        let ledger = &self.deliver.store().ledger;
        if ledger.close_segment(id, segment).await? {
            self.deliver.broadcast.finish(id).await?;
        }
        Ok(())
    }

    /// Gives a lease back before its time. Where that fails, the lease ends by itself.
    pub(super) async fn give_back(&self, lease: &Lease) {
        let ledger = &self.deliver.store().ledger;
        if let Err(error) = ledger.give_back(&self.campaign.id, lease).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a lease could not be given back, it ends by itself"
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

    /// Whether the worker must stop.
    pub(super) fn is_over(&self) -> bool {
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
                (share.batch + share.stragglers) * jobs <= PAGE,
                "{jobs} jobs"
            );
        }
    }
}
