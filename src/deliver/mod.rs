//! `deliver`: a job -> a part of a campaign -> page -> push -> settle -> checkpoint -> next page.
//!
//! | file | owns |
//! |---|---|
//! | this one | what is to be done with one job |
//! | `segment` | a segment, page by page, from its checkpoint |
//! | `retry` | a list of endpoints that are pushed to again |
//! | `pages` | reading ahead |
//! | `pace` | keeping to a rate |
//! | `page` | pushing one page, and who may be left under way |
//! | `slow` | services that get nothing for a while |
//! | `tally` | what its answers add up to |
//! | [`lambda`] | SQS's batches, record by record |
//!
//! What a crash may repeat is what was pushed and is not written down: one page of this process. Everything else is
//! in the ledger before the next page begins.

pub mod lambda;
mod pace;
mod page;
mod pages;
mod push_to_row;
mod retry;
mod segment;
mod slow;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinError;
use tracing::Instrument as _;

use self::page::Push;
pub use self::push_to_row::push_to_row;
pub use self::slow::Slow;
use crate::broadcast::{Broadcast, BroadcastError, until};
use crate::campaign::verdict::spread;
use crate::campaign::{Campaign, CampaignId, Faults, Job, PAGE, PartKey};
use crate::dynamo::StoreError;
use crate::json::Invalid;
use crate::ledger::{Lease, NewPart, Worker};
use crate::queue::{Queue, QueueError, Stop};
use webpush::Pusher;
use webpush::{AllowList, Message};

/// A lease is given for this long, and renewed with every page: longer than a page can take with everything at its
/// slowest.
pub const LEASE: Duration = Duration::from_secs(90);

/// Who could not be taken a job off is asked again after this long, at least.
const HELD: Duration = Duration::from_secs(1);

/// What delivering needs.
#[derive(Debug, Clone)]
pub struct Deliver<Q> {
    /// Ledger, queue, clock, and the end of campaigns.
    pub broadcast: Broadcast<Q>,
    /// Encrypts, signs, posts.
    pub pusher: Pusher,
    /// Where messages may be sent: checked again, rows can be older than the rules.
    pub allowed: AllowList,
    /// Who holds the leases.
    pub worker: Worker,
    /// Jobs that this process works on at a time: they share what a crash may repeat.
    pub at_once: usize,
    /// Services that hold others up.
    pub slow: Slow,
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
    /// What the ledger holds is no message.
    #[error("the campaign's message is wrong")]
    Message(#[from] Invalid),
    /// A bug.
    #[error("a part of the work panicked")]
    Panicked(#[source] JoinError),
}

/// What one job may have under way: together a crash repeats no more.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// Rows of one page.
    page: usize,
    /// Pushes of earlier pages that may be left under way: as many as a push service gets at once before anything is
    /// known of it, so that one that does not answer holds up no other.
    left: usize,
    /// How many a page leaves where nobody else is held up: the rest is waited for.
    few: usize,
}

/// One part that is being worked on.
struct Work<'a, Q> {
    deliver: &'a Deliver<Q>,
    campaign: &'a Campaign,
    push: Push,
    stop: Stop,
}

impl<Q: Queue> Deliver<Q> {
    /// Does one job, or as much of it as there is time for until `stop`. `again`: it was delivered before, and
    /// whoever had it may have died between writing and queueing.
    ///
    /// # Errors
    /// When the job is to be delivered again.
    pub async fn handle(&self, job: &Job, again: bool, stop: Stop) -> Result<(), DeliverError> {
        // As loud as the loudest line about it, or that would not say which job it is.
        let span = tracing::error_span!("job", campaign = %job.campaign, part = %job.part);
        let work = async {
            let worked = self.work_on(job, again, stop).await;
            if let Err(error) = &worked {
                tracing::error!(error = error as &dyn std::error::Error, "a job comes again");
            }
            worked
        };
        work.instrument(span).await
    }

    async fn work_on(&self, job: &Job, again: bool, stop: Stop) -> Result<(), DeliverError> {
        let Some(campaign) = self.store().ledger.campaign(&job.campaign).await? else {
            tracing::warn!("a job of an unknown campaign");
            return Ok(());
        };
        if !campaign.status().is_under_way() {
            // Whoever ended it may have died before anybody was told.
            self.broadcast.finish(&campaign.id).await?;
            return Ok(());
        }
        if again {
            self.recover(job).await?;
        }
        let message = Arc::new(campaign.to_message()?);
        let work = Work {
            deliver: self,
            campaign: &campaign,
            push: self.push(message),
            stop,
        };
        match &job.part {
            PartKey::Segment(segment) => work.segment(*segment).await,
            PartKey::Retry { .. } => work.retry(&job.part).await,
        }
    }

    /// Queues the segment's other parts that are open: they may have no job. Each of them once in a while only, since
    /// many deliveries may fail at once, and each would queue all the others.
    async fn recover(&self, job: &Job) -> Result<(), DeliverError> {
        let now = self.broadcast.clock.now();
        let segment = Some(job.part.segment());
        let open = self
            .store()
            .ledger
            .open_parts(&job.campaign, segment)
            .await?;
        let mut jobs = Vec::new();
        for (part, due) in open {
            let store = self.store();
            if part != job.part
                && store
                    .ledger
                    .note_recovery(&job.campaign, &part, now)
                    .await?
            {
                let campaign = job.campaign.clone();
                let delay = due.map_or(Duration::ZERO, |due| until(due, now));
                jobs.push((Job { campaign, part }, delay));
            }
        }
        self.broadcast.queue.send(&jobs).await?;
        Ok(())
    }

    /// Why to halt the campaign, now that these faults were met beside all that the ledger knows of.
    async fn verdict(
        &self,
        campaign: &Campaign,
        faults: &Faults,
    ) -> Result<Option<String>, DeliverError> {
        if !faults.is_any() {
            return Ok(None);
        }
        let mut all = self
            .store()
            .ledger
            .faults(&campaign.id, campaign.resumed)
            .await?;
        all.merge(faults);
        Ok(all.verdict())
    }

    fn push(&self, message: Arc<Message>) -> Push {
        Push {
            pusher: self.pusher.clone(),
            allowed: self.allowed.clone(),
            clock: self.broadcast.clock.clone(),
            message,
        }
    }

    fn store(&self) -> &crate::store::Store {
        &self.broadcast.store
    }

    fn now(&self) -> Timestamp {
        self.broadcast.clock.now()
    }

    /// Of what this process may have under way, the share of one job.
    fn share(&self) -> Share {
        let share = (PAGE / self.at_once.max(1)).max(5);
        Share {
            page: share * 3 / 5,
            left: share * 2 / 5,
            few: share / 5,
        }
    }

    /// Queues a job for each new part, when it is due; a part that is held, for when it would be free again.
    async fn queue_parts(&self, id: &CampaignId, parts: &[NewPart]) -> Result<(), DeliverError> {
        let now = self.now();
        let job = |part: &NewPart| {
            let due = match &part.held {
                Some((_, until)) => *until,
                None => spread(part.retry.again.not_before, now, &self.broadcast.chance),
            };
            let job = Job {
                campaign: id.clone(),
                part: part.key.clone(),
            };
            (job, until(due, now))
        };
        let jobs: Vec<_> = parts.iter().map(job).collect();
        self.broadcast.queue.send(&jobs).await?;
        Ok(())
    }
}

impl<Q: Queue> Work<'_, Q> {
    /// Delivers the same job again, after `delay`.
    async fn queue_again(&self, part: &PartKey, delay: Duration) -> Result<(), DeliverError> {
        let job = Job {
            campaign: self.campaign.id.clone(),
            part: part.clone(),
        };
        self.deliver.broadcast.queue.send(&[(job, delay)]).await?;
        Ok(())
    }

    /// Somebody works on the part: when they are done, or dead, we look again.
    async fn held(&self, part: &PartKey, free_at: Timestamp) -> Result<(), DeliverError> {
        let wait = until(free_at, self.deliver.now()).max(HELD);
        self.queue_again(part, wait).await
    }

    /// A part is done: perhaps its segment is, and the campaign with it.
    async fn close(&self, segment: u32) -> Result<(), DeliverError> {
        let id = &self.campaign.id;
        if self
            .deliver
            .store()
            .ledger
            .close_segment(id, segment)
            .await?
        {
            self.deliver.broadcast.finish(id).await?;
        }
        Ok(())
    }

    /// A lease is of no use to us any more. What fails here ends with the lease.
    async fn give_back(&self, lease: &Lease) {
        let store = self.deliver.store();
        if let Err(error) = store.ledger.give_back(&self.campaign.id, lease).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a lease could not be given back: it ends by itself"
            );
        }
    }

    fn is_over(&self) -> bool {
        self.stop.is_reached()
    }
}
