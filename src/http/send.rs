//! `send`: a message -> one user's devices, now; or -> an audience, as a campaign.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use http::header::LOCATION;
use serde::Serialize;
use serde_json::json;

use crate::auth::ApiToken;
use crate::broadcast::Broadcast;
use crate::campaign::message::read_message;
use crate::campaign::request::CampaignRequest;
use crate::campaign::retry_policy::{RowAction, decide};
use crate::deliver::Recipient;
use crate::dynamo::StoreError;
use crate::http::middleware::{Body, require_token};
use crate::json::{Invalid, Members};
use crate::problem::Problem;
use crate::queue::Queue;
use crate::subscribers::registration::{MAX_USER_LEN, endpoint_text};
use crate::subscribers::{Pruned, Row};
use crate::telemetry::metrics::Pushes;
use webpush::{AllowList, Dispatched, Message, Pusher, Report};

/// Devices of one user that are read and pushed to at a time.
const DEVICES_AT_ONCE: i32 = 100;

/// The state of the `send` handler.
#[derive(Debug)]
pub struct Send<Q> {
    /// Reads the subscribers, and starts campaigns.
    pub broadcast: Broadcast<Q>,
    /// Encrypts, signs and posts a message.
    pub pusher: Pusher,
    /// Push services that messages may be sent to. Rows are checked again: they may be older than the list.
    pub allowed: AllowList,
}

/// `POST /push/send`.
pub fn router<Q: Queue>(state: Send<Q>, token: &ApiToken) -> Router {
    let router = Router::new()
        .route("/push/send", post(send::<Q>))
        .with_state(Arc::new(state));
    require_token(router, token)
}

#[derive(Serialize)]
struct Results {
    results: Vec<PushResult>,
}

/// Result of the push to one device.
#[derive(Debug, Serialize)]
struct PushResult {
    endpoint: String,
    outcome: &'static str,
    /// HTTP status of the push service's answer.
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Seconds that the push service asks the sender to wait (`Retry-After`).
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

async fn send<Q: Queue>(
    State(state): State<Arc<Send<Q>>>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let members = Members::of(&body)?;
    let results = match To::read(members)? {
        To::Endpoint(endpoint) => {
            let message = read_message(members)?;
            let row = state.broadcast.store.subscribers.get(endpoint).await?;
            let row = row.ok_or_else(Problem::no_such_subscription)?;
            state.send_to_all(vec![row], &message).await
        }
        To::User(user) => state.send_to_user(user, &read_message(members)?).await?,
        To::Audience => {
            return state
                .send_to_audience(CampaignRequest::read(members)?)
                .await;
        }
    };
    Ok(Json(Results { results }).into_response())
}

impl<Q: Queue> Send<Q> {
    async fn send_to_audience(&self, request: CampaignRequest) -> Result<Response, Problem> {
        let id = request.id.clone();
        let id = id.unwrap_or_else(|| self.broadcast.new_id());
        let campaign = self.broadcast.start(request, id).await?;
        let location = [(LOCATION, format!("/push/campaigns/{}", campaign.id))];
        let answer = Json(json!({"campaign": campaign.id}));
        Ok((StatusCode::ACCEPTED, location, answer).into_response())
    }

    async fn send_to_user(
        &self,
        user: &str,
        message: &Message,
    ) -> Result<Vec<PushResult>, StoreError> {
        let mut results = Vec::new();
        let mut from = None;
        loop {
            let page = self
                .broadcast
                .store
                .subscribers
                .of_user(user, from, DEVICES_AT_ONCE)
                .await?;
            results.extend(self.send_to_all(page.rows, message).await);
            from = page.next;
            if from.is_none() {
                return Ok(results);
            }
        }
    }

    /// Pushes to all rows at the same time, and logs one line of metrics.
    async fn send_to_all(&self, rows: Vec<Row>, message: &Message) -> Vec<PushResult> {
        let pushes: FuturesUnordered<_> = rows
            .into_iter()
            .map(|row| self.send_to(Recipient::new(row, &self.allowed), message))
            .collect();
        let (mut results, mut figures) = (Vec::new(), Pushes::default());
        for (recipient, report, is_pruned) in pushes.collect::<Vec<_>>().await {
            figures.push(recipient.service(), report.outcome(), report.latency());
            if is_pruned {
                figures.pruned();
            }
            results.push(PushResult::new(&recipient, &report));
        }
        let now = self.broadcast.clock.now();
        self.broadcast.metrics.request(&figures, now);
        results
    }

    /// Pushes to one device, and settles its row. The flag says whether the row was removed.
    async fn send_to(&self, recipient: Recipient, message: &Message) -> (Recipient, Report, bool) {
        let (now, dispatched) = (self.broadcast.clock.now(), Dispatched::default());
        let report = recipient
            .push(&self.pusher, message, now, &dispatched)
            .await;
        let is_pruned = self.settle(&recipient, &report).await;
        // The push was made: with an error the client would send the message again. The next push settles the row.
        let is_pruned = is_pruned.unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the row could not be updated after a push"
            );
            false
        });
        (recipient, report, is_pruned)
    }

    /// Updates or removes the row as the outcome requires. True when the row was removed; a row that was renewed
    /// since it was read is kept.
    async fn settle(&self, recipient: &Recipient, report: &Report) -> Result<bool, StoreError> {
        let (subscribers, row) = (&self.broadcast.store.subscribers, recipient.row());
        match decide(report, recipient.made_with()).row {
            RowAction::Keep => {}
            RowAction::RememberKey(key) => subscribers.remember_key(row, &key).await?,
            RowAction::Remove => {
                let now = self.broadcast.clock.now();
                return Ok(subscribers.prune(row, now).await? == Pruned::Removed);
            }
        }
        Ok(false)
    }
}

impl PushResult {
    fn new(recipient: &Recipient, report: &Report) -> Self {
        Self {
            endpoint: recipient.endpoint().to_owned(),
            outcome: report.outcome().label(),
            status: report.status(),
            detail: report.detail(),
            retry_after: report.outcome().retry_after().map(|after| after.as_secs()),
        }
    }
}

/// The receiver of a message: the member `to`.
#[derive(Debug, Clone, Copy)]
enum To<'a> {
    Endpoint(&'a str),
    User(&'a str),
    Audience,
}

impl<'a> To<'a> {
    fn read(message: Members<'a>) -> Result<Self, Invalid> {
        let to = message.object("to", "to.")?;
        let endpoint = endpoint_text(to, "endpoint")?;
        let user = to.optional_string("user")?;
        match (endpoint, user, to.optional_string("audience")?) {
            (Some(endpoint), None, None) => Ok(Self::Endpoint(endpoint)),
            (None, Some(user), None) if (1..=MAX_USER_LEN).contains(&user.len()) => {
                Ok(Self::User(user))
            }
            (None, Some(_), None) => {
                Err(to.invalid("user", format!("must be 1 to {MAX_USER_LEN} bytes")))
            }
            (None, None, Some(_)) => Ok(Self::Audience),
            (None, None, None) => {
                Err(message.invalid("to", "must hold endpoint, user or audience"))
            }
            _ => Err(message.invalid("to", "must hold one of endpoint, user and audience")),
        }
    }
}
