//! `send`: a message -> one person's devices, now; or an audience, as a campaign.

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
use crate::deliver::push_to_row;
use crate::dynamo::StoreError;
use crate::http::middleware::{Body, require_token};
use crate::json::{Invalid, Members};
use crate::problem::Problem;
use crate::queue::Queue;
use crate::settle::{Next, settle};
use crate::subscribers::Row;
use crate::subscribers::registration::{MAX_USER_LEN, endpoint_text};
use crate::telemetry::metrics::Pushes;
use webpush::{AllowList, Message, PushService};
use webpush::{Dispatched, Pusher, Report};

/// Devices of one user that are read, and pushed to, at a time.
const PAGE: i32 = 100;

/// What sending needs.
#[derive(Debug)]
pub struct Send<Q> {
    /// Who is subscribed, and what starts campaigns.
    pub broadcast: Broadcast<Q>,
    /// Encrypts, signs, posts.
    pub pusher: Pusher,
    /// Where messages may be sent: checked again, rows can be older than the rules.
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
    results: Vec<Sent>,
}

/// What became of the message to one device.
#[derive(Debug, Serialize)]
struct Sent {
    endpoint: String,
    outcome: &'static str,
    /// HTTP status of the push service's answer.
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Seconds that the push service asks to wait.
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
            state.send_to_all(&[row], &message).await
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

    async fn send_to_user(&self, user: &str, message: &Message) -> Result<Vec<Sent>, StoreError> {
        let mut results = Vec::new();
        let mut from = None;
        loop {
            let page = self
                .broadcast
                .store
                .subscribers
                .of_user(user, from, PAGE)
                .await?;
            results.extend(self.send_to_all(&page.rows, message).await);
            from = page.next;
            if from.is_none() {
                return Ok(results);
            }
        }
    }

    /// To all at once, and their figures to the log.
    async fn send_to_all(&self, rows: &[Row], message: &Message) -> Vec<Sent> {
        let pushes: FuturesUnordered<_> = rows
            .iter()
            .map(async |row| (row, self.send_to(row, message).await))
            .collect();
        let (mut results, mut figures) = (Vec::with_capacity(rows.len()), Pushes::default());
        for (row, (report, next)) in pushes.collect::<Vec<_>>().await {
            let service = PushService::of_url(&row.endpoint);
            figures.push(service, report.outcome(), report.latency());
            if next == Some(Next::Prune) {
                figures.pruned();
            }
            results.push(Sent::new(row, &report));
        }
        let now = self.broadcast.clock.now();
        self.broadcast.metrics.request(&figures, now);
        results
    }

    /// What became of the push, and what was done about it, if that could be written.
    async fn send_to(&self, row: &Row, message: &Message) -> (Report, Option<Next>) {
        let (now, begun) = (self.broadcast.clock.now(), Dispatched::default());
        let report = push_to_row(&self.pusher, row, &self.allowed, message, now, &begun).await;
        // The message is out: who sent it must hear so, or would send it again. A prune can wait for the next push.
        let settled = settle(&self.broadcast.store, row, &report, now).await;
        if let Err(error) = &settled {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a push could not be settled"
            );
        }
        (report, settled.ok())
    }
}

impl Sent {
    fn new(row: &Row, report: &Report) -> Self {
        Self {
            endpoint: row.endpoint.clone(),
            outcome: report.outcome().label(),
            status: report.status(),
            detail: report.detail(),
            retry_after: report.outcome().retry_after().map(|after| after.as_secs()),
        }
    }
}

/// Whom a message is for.
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
