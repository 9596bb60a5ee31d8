//! Steers campaigns after their start: cancel, resume, recover after a restart, halt, finish, announce the end.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Broadcast, BroadcastError};
use crate::campaign::view::view;
use crate::campaign::{Campaign, CampaignId, Job, PartKey, Status, Transition};
use crate::queue::Queue;
use crate::time::until;

impl<Q: Queue> Broadcast<Q> {
    /// Stops a campaign until the operator resumes it. Workers still complete the pushes in flight.
    ///
    /// # Errors
    /// [`BroadcastError::TooLate`] when it is done.
    pub async fn cancel(&self, id: &CampaignId) -> Result<Campaign, BroadcastError> {
        let cancel = Transition::Cancel {
            at: self.clock.now(),
        };
        let cancelled = self.store.ledger.move_campaign(id, cancel).await?;
        let campaign = match cancelled {
            // Another call may have resumed it since.
            Some(campaign) if campaign.status() != Status::Cancelled => return Ok(campaign),
            Some(campaign) => campaign,
            None => self.load(id).await?,
        };
        if campaign.status() != Status::Cancelled {
            return Err(BroadcastError::TooLate {
                status: campaign.status(),
                wanted: "cancelled",
            });
        }
        self.announce(campaign).await
    }

    /// Continues a campaign that was halted or cancelled, from its checkpoints. For a campaign under way, this queues
    /// every job again, which is harmless.
    ///
    /// # Errors
    /// [`BroadcastError::TooLate`] when it is done.
    pub async fn resume(&self, id: &CampaignId) -> Result<Campaign, BroadcastError> {
        let ledger = &self.store.ledger;
        let resumed = ledger.move_campaign(id, Transition::Resume).await?;
        let campaign = match resumed {
            Some(campaign) => {
                tracing::info!(campaign = %id, "campaign resumed");
                campaign
            }
            None => self.load(id).await?,
        };
        if !campaign.status().is_under_way() {
            return Err(BroadcastError::TooLate {
                status: campaign.status(),
                wanted: "resumed",
            });
        }
        self.continue_campaign(&campaign).await?;
        self.load(id).await
    }

    /// Queues the open parts of a campaign under way. If the operator cancels it meanwhile, it stays cancelled.
    async fn continue_campaign(&self, campaign: &Campaign) -> Result<(), BroadcastError> {
        let Campaign { id, segments, .. } = campaign;
        self.store.ledger.plan_segments(id, *segments).await?;
        self.requeue(id).await?;
        self.store
            .ledger
            .move_campaign(id, Transition::Start)
            .await?;
        // When all segments are done, no job is left to finish the campaign.
        self.finish(id).await
    }

    /// Queues a job for every open part.
    async fn requeue(&self, id: &CampaignId) -> Result<(), BroadcastError> {
        let now = self.clock.now();
        let open = self.store.ledger.open_parts(id, None).await?;
        let job = |(part, due): (PartKey, Option<Timestamp>)| {
            let job = Job {
                campaign: id.clone(),
                part,
            };
            (job, due.map_or(Duration::ZERO, |due| until(due, now)))
        };
        let jobs: Vec<_> = open.into_iter().map(job).collect();
        self.queue.send(&jobs).await?;
        Ok(())
    }

    /// Recovers after a restart of the only process: queues the open parts of every campaign, and makes the
    /// announcements that are missing.
    ///
    /// # Errors
    /// When one campaign fails; the others are recovered nevertheless. The caller may repeat the call.
    pub async fn recover(&self) -> Result<(), BroadcastError> {
        let mut recovered = Ok(());
        for id in self.store.ledger.unfinished_campaigns().await? {
            recovered = recovered.and(self.recover_one(&id).await);
        }
        recovered
    }

    async fn recover_one(&self, id: &CampaignId) -> Result<(), BroadcastError> {
        let campaign = self.load(id).await?;
        if !campaign.status().is_under_way() {
            return self.finish(id).await;
        }
        tracing::info!(campaign = %id, "campaign continues after a restart");
        self.continue_campaign(&campaign).await
    }

    /// Ends a campaign whose segments are all done, and announces the end. A second call only repeats an announcement
    /// that has failed.
    ///
    /// # Errors
    /// When the ledger or the announcement fails: the caller repeats the call.
    pub async fn finish(&self, id: &CampaignId) -> Result<(), BroadcastError> {
        let campaign = self.load(id).await?;
        if campaign.status().is_under_way() && campaign.segments_done >= campaign.segments {
            let finish = Transition::Finish {
                at: self.clock.now(),
            };
            self.store.ledger.move_campaign(id, finish).await?;
        }
        let campaign = self.load(id).await?;
        if !campaign.status().is_under_way() {
            self.announce(campaign).await?;
        }
        Ok(())
    }

    /// Halts a campaign because of a fault of our own. If the operator has resumed the campaign since `campaign` was
    /// read, it is not halted: the operator has repaired the fault.
    ///
    /// # Errors
    /// When the ledger or the announcement fails.
    pub async fn halt(&self, campaign: &Campaign, reason: &str) -> Result<(), BroadcastError> {
        let id = &campaign.id;
        let halt = Transition::Halt {
            at: self.clock.now(),
            reason,
            resumed: campaign.resumed,
        };
        self.store.ledger.move_campaign(id, halt).await?;
        let campaign = self.load(id).await?;
        if campaign.status() == Status::Halted {
            self.announce(campaign).await?;
        }
        Ok(())
    }

    /// A campaign as the API shows it.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn view(&self, campaign: &Campaign) -> Result<Value, BroadcastError> {
        let progress = self.store.ledger.progress(&campaign.id).await?;
        Ok(view(campaign, &progress.figures, progress.scanned))
    }

    pub(super) async fn load(&self, id: &CampaignId) -> Result<Campaign, BroadcastError> {
        let campaign = self.store.ledger.campaign(id).await?;
        campaign.ok_or(BroadcastError::Unknown)
    }

    async fn announce(&self, campaign: Campaign) -> Result<Campaign, BroadcastError> {
        if campaign.state.end().is_some_and(|end| !end.announced) {
            self.announcer.ended(&self.view(&campaign).await?).await?;
            self.store.ledger.mark_announced(&campaign).await?;
            let status = campaign.status().label();
            self.metrics.campaign_ended(status, self.clock.now());
        }
        Ok(campaign)
    }
}
