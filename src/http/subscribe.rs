//! `subscribe`: a browser's subscription -> check -> store. A browser unsubscribes here, too.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use crate::auth::UserSecret;
use crate::clock::Clock;
use crate::http::middleware::Body;
use crate::json::Members;
use crate::problem::Problem;
use crate::store::Store;
use crate::subscribers::registration::{Refusal, Registration, endpoint_text};
use webpush::{AllowList, Keyring};

/// The state of the `subscribe` handlers.
#[derive(Debug)]
pub struct Subscribe {
    /// Stores the subscriptions.
    pub store: Store,
    /// VAPID keys. A browser subscribes with the current one.
    pub keyring: Arc<Keyring>,
    /// Push services that messages may be sent to.
    pub allowed: AllowList,
    /// Checks the signature of a user id.
    pub user_secret: UserSecret,
    /// Tells the time.
    pub clock: Clock,
}

/// `GET /push/key`, `POST /push/subscribe`, `POST /push/unsubscribe`.
pub fn router(state: Subscribe) -> Router {
    Router::new()
        .route("/push/key", get(key))
        .route("/push/subscribe", post(subscribe))
        .route("/push/unsubscribe", post(unsubscribe))
        .with_state(Arc::new(state))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    public_key: String,
}

async fn key(State(state): State<Arc<Subscribe>>) -> Json<PublicKey> {
    Json(PublicKey {
        public_key: state.keyring.current().public_base64url(),
    })
}

/// The number of subscriptions after the change.
#[derive(Serialize)]
struct Counted {
    ok: bool,
    count: u64,
}

async fn subscribe(
    State(state): State<Arc<Subscribe>>,
    Body(body): Body,
) -> Result<Json<Counted>, Problem> {
    let Subscribe {
        store,
        keyring,
        allowed,
        user_secret,
        clock,
    } = &*state;
    let (members, now) = (Members::of(&body)?, clock.now());
    let registration = Registration::from_browser(members, allowed, keyring, user_secret, now)?;
    match endpoint_text(members, "replaces")? {
        Some(old) => store.subscribers.replace(old, &registration, now).await?,
        None => store.subscribers.subscribe(&registration, now).await?,
    };
    Ok(Json(Counted {
        ok: true,
        count: store.subscribers.count().await?,
    }))
}

async fn unsubscribe(
    State(state): State<Arc<Subscribe>>,
    Body(body): Body,
) -> Result<Json<Counted>, Problem> {
    let members = Members::of(&body)?;
    let endpoint = endpoint_text(members, "endpoint")?;
    let endpoint = endpoint.ok_or_else(|| members.invalid("endpoint", "is required"))?;
    let now = state.clock.now();
    state.store.subscribers.unsubscribe(endpoint, now).await?;
    Ok(Json(Counted {
        ok: true,
        count: state.store.subscribers.count().await?,
    }))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(invalid) => invalid.into(),
            Refusal::UserNotProven => Self::user_not_proven(),
        }
    }
}
