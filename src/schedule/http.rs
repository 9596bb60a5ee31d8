//! `/push/schedules`: listed, created, replaced, deleted; with the API token.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use http::StatusCode;
use serde::Serialize;

use super::{Listed, Schedule, Schedules, Stored};
use crate::auth::ApiToken;
use crate::clock::Clock;
use crate::edge::Body;
use crate::problem::Problem;
use crate::wire::Members;

/// What the routes need.
#[derive(Debug)]
pub struct SchedulesApi<S> {
    /// The room.
    pub schedules: S,
    /// Who may enter.
    pub token: ApiToken,
    /// The time.
    pub clock: Clock,
}

/// `GET` and `POST /push/schedules`, `DELETE /push/schedules/{name}`.
pub fn router<S: Schedules>(state: SchedulesApi<S>) -> Router {
    let state = Arc::new(state);
    Router::new()
        .route("/push/schedules", get(list::<S>).post(create::<S>))
        .route("/push/schedules/{name}", delete(remove::<S>))
        .route_layer(from_fn_with_state(Arc::clone(&state), with_token::<S>))
        .with_state(state)
}

/// Before anything of the request is read.
async fn with_token<S: Schedules>(
    State(state): State<Arc<SchedulesApi<S>>>,
    request: Request,
    next: Next,
) -> Response {
    if !state.token.admits(request.headers()) {
        return Problem::unauthorized().into_response();
    }
    next.run(request).await
}

#[derive(Serialize)]
struct List {
    schedules: Vec<Listed>,
}

async fn list<S: Schedules>(
    State(state): State<Arc<SchedulesApi<S>>>,
) -> Result<Json<List>, Problem> {
    let schedules = state.schedules.list(state.clock.now()).await?;
    Ok(Json(List { schedules }))
}

async fn create<S: Schedules>(
    State(state): State<Arc<SchedulesApi<S>>>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Listed>), Problem> {
    let members = Members::of(&body)?;
    let schedule = Schedule::read(members)?;
    let now = state.clock.now();
    let Some(next) = schedule.next_after(now, now) else {
        let zone = schedule.zone_name();
        let reason = format!("names no time to come on the clocks of {zone}");
        return Err(members.invalid("expression", reason).into());
    };
    let status = match state.schedules.create(&schedule, now).await? {
        Stored::New => StatusCode::CREATED,
        Stored::Replaced => StatusCode::OK,
    };
    let listed = Listed {
        timezone: schedule.zone_name().to_owned(),
        name: schedule.name,
        expression: schedule.expression.to_string(),
        message: schedule.message,
        next: Some(next),
    };
    Ok((status, Json(listed)))
}

async fn remove<S: Schedules>(
    State(state): State<Arc<SchedulesApi<S>>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    // What cannot be a name is not asked for: AWS would call it invalid.
    if super::is_name(&name) && state.schedules.delete(&name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::no_such_schedule())
}
