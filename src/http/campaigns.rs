//! `/push/campaigns`: the operator lists, shows, cancels and resumes campaigns.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

use crate::auth::ApiToken;
use crate::broadcast::Broadcast;
use crate::campaign::{Campaign, CampaignId};
use crate::http::middleware::require_token;
use crate::json::Invalid;
use crate::ledger::is_listed;
use crate::problem::Problem;
use crate::queue::Queue;

const CAMPAIGNS_PER_PAGE: i32 = 20;

/// `GET /push/campaigns`, `GET /push/campaigns/{id}`, `POST /push/campaigns/{id}/cancel` and `.../resume`.
pub fn router<Q: Queue>(broadcast: Broadcast<Q>, token: &ApiToken) -> Router {
    let router = Router::new()
        .route("/push/campaigns", get(list::<Q>))
        .route("/push/campaigns/{id}", get(show::<Q>))
        .route("/push/campaigns/{id}/cancel", post(cancel::<Q>))
        .route("/push/campaigns/{id}/resume", post(resume::<Q>))
        .with_state(Arc::new(broadcast));
    require_token(router, token)
}

#[derive(Serialize)]
struct Campaigns {
    campaigns: Vec<Value>,
    /// The next page's `from`. None on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

async fn list<Q: Queue>(
    State(broadcast): State<Arc<Broadcast<Q>>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Json<Campaigns>, Problem> {
    let from = query.get("from").map(String::as_str);
    // DynamoDB rejects a wrong start key, and the client would get 500 instead of 400.
    if !from.is_none_or(is_listed) {
        return Err(Invalid::new("from", "must be the next value of an earlier page").into());
    }
    let page = broadcast
        .store
        .ledger
        .campaigns(from, CAMPAIGNS_PER_PAGE)
        .await?;
    let mut campaigns = Vec::with_capacity(page.campaigns.len());
    for campaign in &page.campaigns {
        campaigns.push(broadcast.view(campaign).await?);
    }
    Ok(Json(Campaigns {
        campaigns,
        next: page.next,
    }))
}

async fn show<Q: Queue>(
    State(broadcast): State<Arc<Broadcast<Q>>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let campaign = broadcast.store.ledger.campaign(&campaign_id(id)?).await?;
    let campaign = campaign.ok_or_else(Problem::no_such_campaign)?;
    Ok(Json(broadcast.view(&campaign).await?))
}

async fn cancel<Q: Queue>(
    State(broadcast): State<Arc<Broadcast<Q>>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let campaign: Campaign = broadcast.cancel(&campaign_id(id)?).await?;
    Ok(Json(broadcast.view(&campaign).await?))
}

async fn resume<Q: Queue>(
    State(broadcast): State<Arc<Broadcast<Q>>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let campaign: Campaign = broadcast.resume(&campaign_id(id)?).await?;
    Ok(Json(broadcast.view(&campaign).await?))
}

/// The id in the path. A text that cannot be an id is answered like the id of an unknown campaign: 404.
fn campaign_id(id: Result<Path<String>, PathRejection>) -> Result<CampaignId, Problem> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(Problem::no_such_campaign)
}
