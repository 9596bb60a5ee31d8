//! `/push/schedules`: the operator lists, creates, replaces and deletes schedules.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{delete, get};
use axum::{Json, Router};
use http::StatusCode;
use serde::Serialize;

use crate::auth::ApiToken;
use crate::clock::Clock;
use crate::http::middleware::{Body, require_token};
use crate::json::Members;
use crate::problem::Problem;
use crate::schedule::{Listed, Schedule, Schedules, Stored, is_name};

struct ScheduleApi<S> {
    schedules: S,
    clock: Clock,
}

/// `GET` and `POST /push/schedules`, `DELETE /push/schedules/{name}`.
pub fn router<S: Schedules>(schedules: S, clock: Clock, token: &ApiToken) -> Router {
    let router = Router::new()
        .route("/push/schedules", get(list::<S>).post(create::<S>))
        .route("/push/schedules/{name}", delete(remove::<S>))
        .with_state(Arc::new(ScheduleApi { schedules, clock }));
    require_token(router, token)
}

#[derive(Serialize)]
struct List {
    schedules: Vec<Listed>,
}

async fn list<S: Schedules>(State(api): State<Arc<ScheduleApi<S>>>) -> Result<Json<List>, Problem> {
    let schedules = api.schedules.list(api.clock.now()).await?;
    Ok(Json(List { schedules }))
}

async fn create<S: Schedules>(
    State(api): State<Arc<ScheduleApi<S>>>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Listed>), Problem> {
    let members = Members::of(&body)?;
    let schedule = Schedule::read(members)?;
    let now = api.clock.now();
    let Some(next) = schedule.next_after(now, now) else {
        let zone = schedule.zone_name();
        let reason = format!("has no future time in the time zone {zone}");
        return Err(members.invalid("expression", reason).into());
    };
    let status = match api.schedules.create(&schedule, now).await? {
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
    State(api): State<Arc<ScheduleApi<S>>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    // EventBridge Scheduler answers a text that cannot be a name with a validation error, not with 404.
    if is_name(&name) && api.schedules.delete(&name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::no_such_schedule())
}
