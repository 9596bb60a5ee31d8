//! Does one job: from the queue to the end of its part, or until the worker must stop.

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::batch::Dispatcher;
use super::work::{Deliver, DeliverError, Work};
use crate::campaign::{Job, PartKey};
use crate::queue::{Queue, Stop};
use crate::time::until;

impl<Q: Queue> Deliver<Q> {
    /// Does one job, or as much of it as possible until `stop`. `is_redelivered` says that an earlier delivery of the
    /// job has failed. Its worker may have died after it wrote a part and before it queued the part's job.
    ///
    /// # Errors
    /// When the job failed, and the queue must deliver it again.
    pub async fn handle(
        &self,
        job: &Job,
        is_redelivered: bool,
        stop: Stop,
    ) -> Result<(), DeliverError> {
        // At level error: a filter that passes only errors must not drop the span, which names the job of each line.
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
            // The worker that ended the campaign may have died before it announced the end.
            self.broadcast.finish(&campaign.id).await?;
            return Ok(());
        }
        if is_redelivered {
            self.recover(job).await?;
        }
        // A remembered refusal of KMS must not halt a campaign that the operator has resumed.
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

    /// Queues the segment's other open parts, since they may have no job. The ledger limits how often:
    /// after many failed deliveries, each job would queue all the others.
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
