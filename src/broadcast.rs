//! `broadcast`: a message to an audience -> a campaign: its plan in the ledger, and one job per segment in the queue.
//!
//! Every step is idempotent: the same request, event or firing always leads to the same campaign, and a repeated call
//! completes the steps that a crash left out. `steer` cancels, resumes, halts and finishes campaigns.

mod steer;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

use crate::announce::{AnnounceError, Announcer};
use crate::campaign::request::CampaignRequest;
use crate::campaign::{Campaign, CampaignId, Job, PartKey, State, Status, Transition, segments};
use crate::clock::{Chance, Clock};
use crate::dynamo::StoreError;
use crate::json::{Invalid, Members};
use crate::ledger::Planned;
use crate::problem::Problem;
use crate::queue::{Queue, QueueError};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use webpush::Topic;

/// Starts and steers campaigns.
#[derive(Debug, Clone)]
pub struct Broadcast<Q> {
    /// Ledger and subscriptions.
    pub store: Store,
    /// Queue of jobs.
    pub queue: Q,
    /// Announces the end of a campaign to other systems.
    pub announcer: Arc<Announcer>,
    /// Writes metrics.
    pub metrics: Metrics,
    /// Tells the time.
    pub clock: Clock,
    /// Draws ids.
    pub chance: Chance,
    /// Maximum number of segments of one campaign.
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
    /// The end of the campaign could not be announced.
    #[error(transparent)]
    Announce(#[from] AnnounceError),
    /// The ledger holds no campaign with this id.
    #[error("there is no campaign with this id")]
    Unknown,
    /// The campaign is over: it cannot be cancelled or resumed.
    #[error("the campaign is {} and cannot be {wanted}", .status.label())]
    TooLate {
        /// Its status.
        status: Status,
        /// The operator's request: `cancelled` or `resumed`.
        wanted: &'static str,
    },
}

impl<Q: Queue> Broadcast<Q> {
    /// Starts the campaign of an event. The event is one of EventBridge (the message is its `detail`), the input from
    /// EventBridge Scheduler (`{"schedule": <ARN>, "scheduled_time": .., "message": ..}`) or the bare message.
    ///
    /// A second delivery of the same event leads to the same campaign. A bare message without an id takes `request_id`
    /// as its id.
    ///
    /// # Errors
    /// [`BroadcastError::Invalid`] names the member of the event that is wrong; else the ledger or the queue failed.
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
            return self.start(CampaignRequest::read(message)?, id).await;
        }
        if members.get("detail-type").is_some() {
            let request = CampaignRequest::read(members.object("detail", "detail.")?)?;
            let event_id = members.string("id")?.parse();
            let event_id = event_id.map_err(|error| members.invalid("id", error))?;
            let id = request.id.clone().unwrap_or(event_id);
            return self.start(request, id).await;
        }
        let request = CampaignRequest::read(members)?;
        let id = match &request.id {
            Some(id) => id.clone(),
            None => request_id.parse().unwrap_or_else(|_| self.new_id()),
        };
        self.start(request, id).await
    }

    /// Starts the campaign `id`. If the ledger holds it already, completes its start.
    ///
    /// # Errors
    /// When the ledger or the queue fails. The caller repeats the call to complete the start.
    pub async fn start(
        &self,
        request: CampaignRequest,
        id: CampaignId,
    ) -> Result<Campaign, BroadcastError> {
        let subscribers = self.store.subscribers.count().await?;
        let campaign = Campaign {
            state: State::Planned,
            message: request.members_for(&id),
            audience: request.audience,
            rate: request.rate,
            created_at: self.clock.now(),
            subscribers,
            segments: segments(subscribers, request.rate, self.most_segments),
            segments_done: 0,
            resumed: 0,
            id,
        };
        let campaign = match self.store.ledger.plan(&campaign).await? {
            Planned::New => campaign,
            Planned::Known => self.load(&campaign.id).await?,
        };
        if campaign.status() != Status::Planned {
            return Ok(campaign);
        }
        self.queue_segments(&campaign).await?;
        let started = self
            .store
            .ledger
            .move_campaign(&campaign.id, Transition::Start)
            .await?;
        tracing::info!(campaign = %campaign.id, subscribers, segments = campaign.segments, "campaign started");
        match started {
            Some(campaign) => Ok(campaign),
            // Another call has started the campaign meanwhile, or the campaign is over.
            None => self.load(&campaign.id).await,
        }
    }

    /// Writes the campaign's segments, and queues a job for each.
    async fn queue_segments(&self, campaign: &Campaign) -> Result<(), BroadcastError> {
        let Campaign { id, segments, .. } = campaign;
        self.store.ledger.plan_segments(id, *segments).await?;
        let job = |segment| Job {
            campaign: id.clone(),
            part: PartKey::Segment(segment),
        };
        let jobs: Vec<_> = (0..*segments)
            .map(|segment| (job(segment), Duration::ZERO))
            .collect();
        self.queue.send(&jobs).await?;
        Ok(())
    }

    /// A random id, for a request without one.
    pub fn new_id(&self) -> CampaignId {
        let id = format!("{:016x}{:016x}", self.chance.draw(), self.chance.draw());
        id.parse().expect("32 hexadecimal digits")
    }
}

/// The campaign id of one firing of a schedule: the schedule's name, the scheduled time, and a hash of the ARN, since a
/// schedule of another group may have the same name. EventBridge Scheduler's execution id would not do: it changes with
/// every attempt.
///
/// # Errors
/// When `scheduled_time` is not a time.
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
                    "the queue or the event bus failed, the campaign waits for a repeated request"
                );
                Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "urn:pushcast:queue-failed",
                    "The queue or the event bus failed",
                    "The campaign is stored. Repeat the same request to continue it.".to_owned(),
                )
            }
        }
    }
}
