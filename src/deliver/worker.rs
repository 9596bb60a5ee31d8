//! Does one job: from the queue to the end of its part, or as far as there is time.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::batch::Dispatcher;
use super::work::{Deliver, DeliverError, Work};
use crate::campaign::{Job, PartKey};
use crate::queue::{Queue, Stop};
use crate::time::until;

impl<Q: Queue> Deliver<Q> {
    /// Does one job, or as much of it as there is time for until `stop`. `is_redelivered`: an earlier delivery of the
    /// job has failed, and its worker may have died after it wrote a part and before it queued the part's job.
    ///
    /// # Errors
    /// When the job is to be delivered again.
    pub async fn handle(
        &self,
        job: &Job,
        is_redelivered: bool,
        stop: Stop,
    ) -> Result<(), DeliverError> {
        // At the level of the loudest line, or a filter would drop the span and the line would not name its job.
        let span = tracing::error_span!("job", campaign = %job.campaign, part = %job.part);
        let work = async {
            let worked = self.work_on(job, is_redelivered, stop).await;
            if let Err(error) = &worked {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "job failed, it will be redelivered"
                );
            }
            worked
        };
        work.instrument(span).await
    }

    async fn work_on(
        &self,
        job: &Job,
        is_redelivered: bool,
        stop: Stop,
    ) -> Result<(), DeliverError> {
        let Some(campaign) = self.store().ledger.campaign(&job.campaign).await? else {
            tracing::warn!("job of an unknown campaign");
            return Ok(());
        };
        if !campaign.status().is_under_way() {
            // The worker that ended it may have died before it announced the end.
            self.broadcast.finish(&campaign.id).await?;
            return Ok(());
        }
        if is_redelivered {
            self.recover(job).await?;
        }
        // A refusal of KMS from before must not halt a campaign that is resumed.
        self.pusher.forget_failures();
        let work = Work {
            deliver: self.clone(),
            dispatcher: Dispatcher {
                pusher: self.pusher.clone(),
                clock: self.broadcast.clock.clone(),
                message: Arc::new(campaign.to_message()?),
            },
            campaign: Arc::new(campaign),
            stop,
        };
        match &job.part {
            PartKey::Segment(segment) => work.segment(*segment).await,
            PartKey::Retry { .. } => work.retry(&job.part).await,
        }
    }

    /// Queues the segment's other open parts, since they may have no job. Each part at most once in a while: many
    /// deliveries may fail at once, and each of them would queue all the others.
    async fn recover(&self, job: &Job) -> Result<(), DeliverError> {
        let (ledger, now) = (&self.store().ledger, self.now());
        let segment = Some(job.part.segment());
        let mut jobs = Vec::new();
        for (part, due) in ledger.open_parts(&job.campaign, segment).await? {
            if part != job.part && ledger.note_recovery(&job.campaign, &part, now).await? {
                let campaign = job.campaign.clone();
                let delay = due.map_or(Duration::ZERO, |due| until(due, now));
                jobs.push((Job { campaign, part }, delay));
            }
        }
        self.broadcast.queue.send(&jobs).await?;
        Ok(())
    }
}
