//! `/push/stats`: numbers of subscribers by push service, tag and day. `/push/audience`: the size of an audience.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use crate::audience::Audience;
use crate::auth::ApiToken;
use crate::clock::Clock;
use crate::http::middleware::{Body, require_token};
use crate::json::Members;
use crate::problem::Problem;
use crate::store::Store;
use crate::subscribers::Day;

/// `GET /push/stats` and `POST /push/audience`.
pub fn router(store: Store, clock: Clock, token: &ApiToken) -> Router {
    let router = Router::new()
        .route("/push/stats", get(stats))
        .route("/push/audience", post(audience))
        .with_state(Arc::new((store, clock)));
    require_token(router, token)
}

#[derive(Serialize)]
struct Stats {
    count: u64,
    services: BTreeMap<&'static str, u64>,
    tags: BTreeMap<String, u64>,
    tags_exact: bool,
    days: Vec<Day>,
}

async fn stats(State(state): State<Arc<(Store, Clock)>>) -> Result<Json<Stats>, Problem> {
    let (store, clock) = &*state;
    let now = clock.now();
    let totals = store.subscribers.totals().await?;
    let (days, tags) = tokio::try_join!(
        store.subscribers.days(&totals, now),
        store.subscribers.tags(totals.count, now)
    )?;
    Ok(Json(Stats {
        count: totals.count,
        services: totals.services(),
        tags: tags.subscribers,
        tags_exact: tags.exact,
        days,
    }))
}

#[derive(Serialize)]
struct AudienceSize {
    subscribers: u64,
    exact: bool,
}

async fn audience(
    State(state): State<Arc<(Store, Clock)>>,
    Body(body): Body,
) -> Result<Json<AudienceSize>, Problem> {
    let members = Members::of(&body)?;
    let audience: Audience = members
        .string("audience")?
        .parse()
        .map_err(|error| members.invalid("audience", error))?;
    let estimate = state.0.subscribers.estimate(&audience).await?;
    Ok(Json(AudienceSize {
        subscribers: estimate.subscribers,
        exact: estimate.exact,
    }))
}
