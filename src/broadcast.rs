//! `broadcast`: a message to an audience -> a campaign: its plan in the ledger, a job for each segment in the queue.
//!
//! Everything here can be done again: the same order, event or firing is the same campaign, and what a crash has left
//! out is made up for.

use crate::problem::Problem;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::announce::{AnnounceError, Announcer};
use crate::campaign::request::Order;
use crate::campaign::view::view;
use crate::campaign::{Campaign, CampaignId, Job, PartKey, State, Status, Transition, segments};
use crate::clock::{Chance, Clock};
use crate::dynamo::StoreError;
use crate::json::{Invalid, Members};
use crate::ledger::Planned;
use crate::queue::{Queue, QueueError};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use webpush::Topic;

/// What starting and steering campaigns needs.
#[derive(Debug, Clone)]
pub struct Broadcast<Q> {
    /// Ledger and subscriptions.
    pub store: Store,
    /// Where jobs go.
    pub queue: Q,
    /// Who is told of an end.
    pub announcer: Arc<Announcer>,
    /// Where figures go.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// For ids.
    pub chance: Chance,
    /// Segments of one campaign, at most.
    pub most_segments: u32,
}

/// Why a campaign was not started or steered.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastError {
    /// The event or the message is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Nobody was told of the end.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// There is no such campaign.
    #[error("there is no campaign with this id")]
    Unknown,
    /// It cannot be cancelled or resumed any more.
    #[error("the campaign is {} and cannot be {wanted}", .status.label())]
    TooLate {
        /// How far it is.
        status: Status,
        /// What was asked for.
        wanted: &'static str,
    },
}

impl<Q: Queue> Broadcast<Q> {
    /// Takes EventBridge's event (the message is a rule's `detail`), Scheduler's input
    /// (`{"schedule": <ARN>, "scheduled_time": .., "message": ..}`) or the bare message. A second delivery of the same
    /// event is the same campaign; `request_id` tells deliveries of a bare message apart.
    ///
    /// # Errors
    /// [`BroadcastError`]; what is wrong with the event, by member.
    pub async fn handle(
        &self,
        event: &Value,
        request_id: &str,
    ) -> Result<Campaign, BroadcastError> {
        let members = Members::of(event)?;
        if members.get("schedule").is_some() {
            let schedule = members.string("schedule")?;
            let time = members.string("scheduled_time")?;
            let message = members.object("message", "message.")?;
            let id = firing(schedule, time)
                .map_err(|reason| members.invalid("scheduled_time", reason))?;
            return self.start(Order::read(message)?, id).await;
        }
        if members.get("detail-type").is_some() {
            let order = Order::read(members.object("detail", "detail.")?)?;
            let event_id = members.string("id")?.parse();
            let event_id = event_id.map_err(|error| members.invalid("id", error))?;
            let id = order.id.clone().unwrap_or(event_id);
            return self.start(order, id).await;
        }
        let order = Order::read(members)?;
        let id = match &order.id {
            Some(id) => id.clone(),
            None => request_id.parse().unwrap_or_else(|_| self.new_id()),
        };
        self.start(order, id).await
    }

    /// Starts the campaign `id`, unless there is one: then goes on with it, where it was only planned.
    ///
    /// # Errors
    /// When ledger or queue fail. To start it again goes on.
    pub async fn start(&self, order: Order, id: CampaignId) -> Result<Campaign, BroadcastError> {
        let subscribers = self.store.subscribers.count().await?;
        let campaign = Campaign {
            state: State::Planned,
            message: order.message_of(&id),
            audience: order.audience,
            rate: order.rate,
            created_at: self.clock.now(),
            subscribers,
            segments: segments(subscribers, order.rate, self.most_segments),
            segments_done: 0,
            resumed: 0,
            id,
        };
        let campaign = match self.store.ledger.plan(&campaign).await? {
            Planned::New => campaign,
            Planned::Known => self.known(&campaign.id).await?,
        };
        if campaign.status() != Status::Planned {
            return Ok(campaign);
        }
        self.store
            .ledger
            .plan_segments(&campaign.id, campaign.segments)
            .await?;
        let job = |segment| Job {
            campaign: campaign.id.clone(),
            part: PartKey::Segment(segment),
        };
        let jobs: Vec<_> = (0..campaign.segments)
            .map(|segment| (job(segment), Duration::ZERO))
            .collect();
        self.queue.send(&jobs).await?;
        let started = self
            .store
            .ledger
            .move_campaign(&campaign.id, Transition::Start)
            .await?;
        tracing::info!(campaign = %campaign.id, subscribers, segments = campaign.segments, "campaign started");
        match started {
            Some(campaign) => Ok(campaign),
            // So fast that it is done already, or somebody else has started it too.
            None => self.known(&campaign.id).await,
        }
    }

    /// Stops a campaign, until it is resumed; what is being pushed at this moment still is.
    ///
    /// # Errors
    /// [`BroadcastError::TooLate`] when it is done.
    pub async fn cancel(&self, id: &CampaignId) -> Result<Campaign, BroadcastError> {
        let cancel = Transition::Cancel {
            at: self.clock.now(),
        };
        let cancelled = self.store.ledger.move_campaign(id, cancel).await?;
        let campaign = match cancelled {
            // Somebody may have resumed it since.
            Some(campaign) if campaign.status() != Status::Cancelled => return Ok(campaign),
            Some(campaign) => campaign,
            None => self.known(id).await?,
        };
        if campaign.status() != Status::Cancelled {
            return Err(BroadcastError::TooLate {
                status: campaign.status(),
                wanted: "cancelled",
            });
        }
        self.announce(campaign).await
    }

    /// Goes on with a campaign that was halted or cancelled, from its checkpoints. One that is under way has every
    /// job queued again, which harms nothing.
    ///
    /// # Errors
    /// [`BroadcastError::TooLate`] when it is done.
    pub async fn resume(&self, id: &CampaignId) -> Result<Campaign, BroadcastError> {
        let resumed = self
            .store
            .ledger
            .move_campaign(id, Transition::Resume)
            .await?;
        let campaign = match resumed {
            Some(campaign) => {
                tracing::info!(campaign = %id, "campaign resumed");
                campaign
            }
            None => self.known(id).await?,
        };
        if !campaign.status().is_under_way() {
            return Err(BroadcastError::TooLate {
                status: campaign.status(),
                wanted: "resumed",
            });
        }
        self.go_on(&campaign).await?;
        self.known(id).await
    }

    /// Queues whatever is left of a campaign that is under way. One that is cancelled meanwhile stays so.
    async fn go_on(&self, campaign: &Campaign) -> Result<(), BroadcastError> {
        let Campaign { id, segments, .. } = campaign;
        self.store.ledger.plan_segments(id, *segments).await?;
        self.requeue(id, None).await?;
        self.store
            .ledger
            .move_campaign(id, Transition::Start)
            .await?;
        // Its last segment may be done, and nobody left to say so.
        self.finish(id).await
    }

    /// Queues every part again that is not done, of one segment or of all.
    ///
    /// # Errors
    /// When ledger or queue fail.
    pub async fn requeue(
        &self,
        id: &CampaignId,
        segment: Option<u32>,
    ) -> Result<(), BroadcastError> {
        let now = self.clock.now();
        let open = self.store.ledger.open_parts(id, segment).await?;
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

    /// After a restart of the only process there is: queues what the ledger says is not done, and tells of ends that
    /// nobody was told of.
    ///
    /// # Errors
    /// When the ledger fails, for one campaign: the others go on all the same. To do it again is harmless.
    pub async fn recover(&self) -> Result<(), BroadcastError> {
        let mut recovered = Ok(());
        for id in self.store.ledger.unfinished_campaigns().await? {
            recovered = recovered.and(self.recover_one(&id).await);
        }
        recovered
    }

    async fn recover_one(&self, id: &CampaignId) -> Result<(), BroadcastError> {
        let campaign = self.known(id).await?;
        if !campaign.status().is_under_way() {
            return self.finish(id).await;
        }
        tracing::info!(campaign = %id, "going on with a campaign");
        self.go_on(&campaign).await
    }

    /// Ends a campaign whose segments are all done. Whoever comes second changes nothing, but sees to it that the end
    /// is told.
    ///
    /// # Errors
    /// When the ledger or the announcement fail: to be done again.
    pub async fn finish(&self, id: &CampaignId) -> Result<(), BroadcastError> {
        let campaign = self.known(id).await?;
        if campaign.status().is_under_way() && campaign.segments_done >= campaign.segments {
            let finish = Transition::Finish {
                at: self.clock.now(),
            };
            self.store.ledger.move_campaign(id, finish).await?;
        }
        let campaign = self.known(id).await?;
        if !campaign.status().is_under_way() {
            self.announce(campaign).await?;
        }
        Ok(())
    }

    /// Stops a campaign for a fault of ours; not one that was resumed since `campaign` was read, since whoever did has
    /// repaired it.
    ///
    /// # Errors
    /// When the ledger or the announcement fail.
    pub async fn halt(&self, campaign: &Campaign, reason: &str) -> Result<(), BroadcastError> {
        let id = &campaign.id;
        let halt = Transition::Halt {
            at: self.clock.now(),
            reason,
            resumed: campaign.resumed,
        };
        self.store.ledger.move_campaign(id, halt).await?;
        let campaign = self.known(id).await?;
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

    /// A name for a campaign that was given none.
    pub fn new_id(&self) -> CampaignId {
        let id = format!("{:016x}{:016x}", self.chance.draw(), self.chance.draw());
        id.parse().expect("32 hexadecimal digits")
    }

    async fn known(&self, id: &CampaignId) -> Result<Campaign, BroadcastError> {
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

/// How long until `at`.
pub(crate) fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// The campaign of one firing of a schedule: its name and time, to be read, and a hash of the ARN, since schedules of
/// other groups may have the same name. Scheduler's execution id would change with every attempt.
///
/// # Errors
/// When the time is none.
pub fn firing(schedule: &str, scheduled_time: &str) -> Result<CampaignId, String> {
    let wrong = || "must be a time such as 2026-12-24T09:00:00Z".to_owned();
    let time: Timestamp = scheduled_time.parse().map_err(|_| wrong())?;
    let name = schedule.rsplit('/').next().unwrap_or_default();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = name.chars().filter(fits).take(64).collect();
    let hash = Topic::for_name(schedule);
    let hash = &hash.as_str()[..8];
    format!("{name}.{}.{hash}", time.strftime("%Y-%m-%dT%H:%M:%SZ"))
        .parse()
        .map_err(|_| wrong())
}

impl From<BroadcastError> for Problem {
    fn from(error: BroadcastError) -> Self {
        match error {
            BroadcastError::Invalid(invalid) => invalid.into(),
            BroadcastError::Store(error) => error.into(),
            BroadcastError::Unknown => Problem::no_such_campaign(),
            BroadcastError::TooLate { .. } => Problem::new(
                StatusCode::CONFLICT,
                "urn:pushcast:too-late",
                "The campaign is over",
                format!("{error}."),
            ),
            BroadcastError::Queue(_) | BroadcastError::Announce(_) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a campaign is held up"
                );
                Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "urn:pushcast:queue-failed",
                    "The queue or the event bus failed",
                    "The campaign is written down. The same request again goes on with it."
                        .to_owned(),
                )
            }
        }
    }
}
