//! `send`: a message -> one person's devices, now.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{Next as Then, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::auth::ApiToken;
use crate::clock::Clock;
use crate::edge::Body;
use crate::problem::Problem;
use crate::push::{Pusher, Report};
use crate::registration::{MAX_USER_LEN, endpoint_text};
use crate::settle::settle;
use crate::store::row::{Row, RowError};
use crate::store::{Store, StoreError};
use crate::webpush::endpoint::EndpointError;
use crate::webpush::message::DEFAULT_TTL;
use crate::webpush::{AllowList, MAX_PLAINTEXT, Message, Notification, Outcome};
use crate::wire::{Invalid, Members};

/// Devices of one user that are read, and pushed to, at a time.
const PAGE: i32 = 100;

/// The longest TTL that fits what services read: 31 bits (RFC 8030, section 5.2).
const MAX_TTL: u64 = (1 << 31) - 1;

/// What sending needs.
#[derive(Debug)]
pub struct Send {
    /// Who is subscribed.
    pub store: Store,
    /// Encrypts, signs, posts.
    pub pusher: Pusher,
    /// Where messages may be sent: checked again, rows can be older than the rules.
    pub allowed: AllowList,
    /// Who may send.
    pub token: ApiToken,
    /// The time.
    pub clock: Clock,
}

/// `POST /push/send`.
pub fn router(state: Send) -> Router {
    let state = Arc::new(state);
    Router::new()
        .route("/push/send", post(send))
        .route_layer(from_fn_with_state(Arc::clone(&state), with_token))
        .with_state(state)
}

/// Before anything of the request is read.
async fn with_token(State(state): State<Arc<Send>>, request: Request, then: Then) -> Response {
    if !state.token.admits(request.headers()) {
        return Problem::unauthorized().into_response();
    }
    then.run(request).await
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

async fn send(State(state): State<Arc<Send>>, Body(body): Body) -> Result<Json<Results>, Problem> {
    let members = Members::of(&body)?;
    let to = To::read(members)?;
    let message = read_message(members)?;
    let results = match to {
        To::Endpoint(endpoint) => {
            let row = state.store.get(endpoint).await?;
            let row = row.ok_or_else(Problem::no_such_subscription)?;
            vec![state.send_to(&row, &message).await]
        }
        To::User(user) => state.send_to_user(user, &message).await?,
    };
    Ok(Json(Results { results }))
}

impl Send {
    async fn send_to_user(&self, user: &str, message: &Message) -> Result<Vec<Sent>, StoreError> {
        let mut results = Vec::new();
        let mut from = None;
        loop {
            let page = self.store.of_user(user, from, PAGE).await?;
            let pushes: FuturesUnordered<_> = page
                .rows
                .iter()
                .map(|row| self.send_to(row, message))
                .collect();
            results.extend(pushes.collect::<Vec<_>>().await);
            from = page.next;
            if from.is_none() {
                return Ok(results);
            }
        }
    }

    async fn send_to(&self, row: &Row, message: &Message) -> Sent {
        let report = self.push(row, message, self.clock.now()).await;
        // The message is out: who sent it must hear so, or would send it again. A prune can wait for the next push.
        if let Err(error) = settle(&self.store, row, &report).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a push could not be settled"
            );
        }
        Sent {
            endpoint: row.endpoint.clone(),
            outcome: report.outcome.label(),
            status: report.status(),
            detail: report.detail(),
            retry_after: report.outcome.retry_after().map(|after| after.as_secs()),
        }
    }

    async fn push(&self, row: &Row, message: &Message, now: Timestamp) -> Report {
        if row.expires_at.is_some_and(|end| end <= now) {
            return Report::not_sent(Outcome::Gone, "its expirationTime has passed");
        }
        match row.subscription(&self.allowed) {
            Ok(subscription) => {
                self.pusher
                    .push_made_with(row.vapid.as_ref(), &subscription, message)
                    .await
            }
            Err(error @ RowError::Endpoint(EndpointError::PermanentlyRemoved)) => {
                Report::not_sent(Outcome::Gone, error)
            }
            Err(error) => Report::not_sent(Outcome::Refused, error),
        }
    }
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy)]
enum To<'a> {
    Endpoint(&'a str),
    User(&'a str),
}

impl<'a> To<'a> {
    fn read(message: Members<'a>) -> Result<Self, Invalid> {
        let to = message.object("to", "to.")?;
        if to.get("audience").is_some() {
            return Err(to.invalid(
                "audience",
                "is not served by this version: give endpoint or user",
            ));
        }
        match (endpoint_text(to, "endpoint")?, to.optional_string("user")?) {
            (Some(endpoint), None) => Ok(Self::Endpoint(endpoint)),
            (None, Some(user)) if (1..=MAX_USER_LEN).contains(&user.len()) => Ok(Self::User(user)),
            (None, Some(_)) => {
                Err(to.invalid("user", format!("must be 1 to {MAX_USER_LEN} bytes")))
            }
            (Some(_), Some(_)) => {
                Err(message.invalid("to", "must hold endpoint or user, not both"))
            }
            (None, None) => Err(message.invalid("to", "must hold endpoint or user")),
        }
    }
}

/// Reads what is to be said, and how.
pub(crate) fn read_message(members: Members<'_>) -> Result<Message, Invalid> {
    let (member, payload) = payload(members)?;
    if payload.len() > MAX_PLAINTEXT {
        let over = payload.len() - MAX_PLAINTEXT;
        let size = payload.len();
        let reason = format!(
            "makes a payload of {size} bytes, {over} more than the {MAX_PLAINTEXT} that push services take"
        );
        return Err(members.invalid(member, reason));
    }
    let ttl = match members.get("ttl") {
        None => DEFAULT_TTL,
        Some(ttl) => ttl
            .as_u64()
            .filter(|ttl| *ttl <= MAX_TTL)
            .and_then(|ttl| u32::try_from(ttl).ok())
            .ok_or_else(|| {
                members.invalid(
                    "ttl",
                    format!("must be a whole number of seconds, 0 to {MAX_TTL}"),
                )
            })?,
    };
    let urgency = members
        .optional_string("urgency")?
        .map(str::parse)
        .transpose();
    let topic = members
        .optional_string("topic")?
        .map(str::parse)
        .transpose();
    Ok(Message {
        payload,
        ttl,
        urgency: urgency.map_err(|error| members.invalid("urgency", error))?,
        topic: topic.map_err(|error| members.invalid("topic", error))?,
        declarative: member == "notification",
        ..Message::default()
    })
}

/// The payload's bytes, and the member that they came from.
fn payload(members: Members<'_>) -> Result<(&'static str, Vec<u8>), Invalid> {
    match (members.get("notification"), members.get("data")) {
        (Some(notification), None) => {
            let notification = Notification::from_json(notification)
                .map_err(|error| Invalid::new(error.field, error.reason))?;
            let app_badge = optional(
                members,
                "app_badge",
                Value::as_u64,
                "must be a whole number",
            )?;
            let mutable = optional(members, "mutable", Value::as_bool, "must be true or false")?;
            Ok(("notification", notification.to_payload(app_badge, mutable)))
        }
        (None, Some(Value::String(text))) if text.is_empty() => {
            Err(members.invalid("data", "must not be empty"))
        }
        (None, Some(Value::String(text))) => Ok(("data", text.clone().into_bytes())),
        (None, Some(json)) => Ok(("data", json.to_string().into_bytes())),
        (Some(_), Some(_)) => {
            Err(members.invalid("data", "cannot stand beside notification: give one of them"))
        }
        (None, None) => Err(members.invalid("notification", "is required, or data")),
    }
}

fn optional<'a, T: Copy>(
    members: Members<'a>,
    name: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
    wrong: &str,
) -> Result<Option<T>, Invalid> {
    Ok(members.change(name, read, wrong)?.set().copied())
}
