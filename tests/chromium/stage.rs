//! The console over an API with canned figures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use jiff::SignedDuration;
use pushcast::clock::Clock;
use serde_json::{Value, json};

use crate::support::browsers::page::listen;

/// The console, an API with canned figures, and the requests that the API received.
pub(crate) struct CannedApi {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

pub(crate) const TOKEN: &str = "the-token-of-the-tests";

type Asked = Arc<Mutex<Vec<Value>>>;

fn campaign(id: &str, status: &str, share: f64) -> Value {
    let count = |n: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let n = (n * share) as i64;
        n
    };
    let counts = |all: f64, gone: f64, failed: f64, retrying: f64| {
        json!({"accepted": count(all), "gone": count(gone), "mismatched": 0, "too_large": 0, "refused": 0,
            "failed": count(failed), "retrying": if status == "done" { 0 } else { count(retrying) }})
    };
    let created = Clock::system().now() - SignedDuration::from_secs(17);
    let mut view = json!({
        "id": id, "status": status, "audience": "news && !(sports || beta)", "created_at": created.to_string(),
        "segments": {"total": 8, "done": count(8.0)}, "subscribers": 18_420, "scanned": count(18_420.0),
        "counts": counts(17_804.0, 302.0, 92.0, 222.0),
        "services": {
            "fcm": counts(11_690.0, 204.0, 12.0, 40.0), "mozilla": counts(2_911.0, 31.0, 0.0, 0.0),
            "apple": counts(2_604.0, 48.0, 80.0, 182.0), "wns": counts(599.0, 19.0, 0.0, 0.0),
        },
    });
    if status == "done" {
        view["finished_at"] = json!((created + SignedDuration::from_secs(41)).to_string());
    }
    if status == "halted" {
        view["reason"] = json!(
            "fcm.googleapis.com refuses our token: 61 of 80 answers were 403. Check the VAPID key and subject."
        );
    }
    view
}

fn stats() -> Value {
    let day = |i: i64| {
        let date = jiff::civil::date(2026, 8, 27) + jiff::Span::new().days(i);
        let count = 9_000 + 210 * i - 900 * i64::from(i > 52) + (i * i * 7) % 160;
        json!({"date": date.to_string(), "count": count, "new": 190 + (i * 37) % 120, "gone": 20 + (i * 13) % 45})
    };
    json!({
        "count": 26_877,
        "services": {"fcm": 17_420, "mozilla": 4_310, "apple": 3_902, "wns": 1_201, "other": 8},
        "tags": {"news": 18_204, "offers": 9_120, "events": 6_400, "beta": 802, "team:blue": 311},
        "tags_exact": false,
        "days": (0..90).map(day).collect::<Vec<_>>(),
    })
}

impl CannedApi {
    pub(crate) async fn start() -> Self {
        let asked = Asked::default();
        let api = Router::new()
            .route("/push/stats", get(async || Json(stats())))
            .route("/push/audience", post(estimate))
            .route("/push/send", post(send))
            .route("/push/campaigns", get(list))
            .route("/push/campaigns/{id}", get(show))
            .route("/push/campaigns/{id}/cancel", post(cancel))
            .route("/push/campaigns/{id}/resume", post(resume))
            .route("/push/schedules", get(scheduled).post(schedule))
            .route("/push/schedules/{name}", delete(unschedule))
            .layer(from_fn(admit))
            .with_state(Arc::clone(&asked))
            .merge(pushcast::http::assets::console());
        let url = listen(api).await;
        Self { url, asked }
    }

    /// Halts the campaign. The console did not ask for it.
    pub(crate) fn halt(&self, id: &str) {
        let halted = json!({"halted": id});
        self.asked.lock().expect("no panic").push(halted);
    }

    /// The requests that changed something, in order.
    pub(crate) fn sent(&self) -> Vec<Value> {
        let mut asked = self.asked.lock().expect("no panic").clone();
        asked.retain(|it| it.get("shown").is_none());
        asked
    }
}

async fn admit(request: Request, next: Next) -> axum::response::Response {
    let bearer = format!("Bearer {TOKEN}");
    if request
        .headers()
        .get("authorization")
        .is_some_and(|it| *it == *bearer)
    {
        return next.run(request).await;
    }
    StatusCode::UNAUTHORIZED.into_response()
}

async fn estimate(Json(body): Json<Value>) -> axum::response::Response {
    match body["audience"].as_str() {
        Some("all") => Json(json!({"subscribers": 26_877, "exact": true})).into_response(),
        Some("news && !offers") => {
            Json(json!({"subscribers": 11_300, "exact": false})).into_response()
        }
        Some(_) | None => {
            let detail = "audience at character 10: expected a tag, `!` or `(`, found the end";
            (
                StatusCode::BAD_REQUEST,
                Json(json!({"detail": detail, "field": "audience"})),
            )
                .into_response()
        }
    }
}

async fn send(State(asked): State<Asked>, Json(body): Json<Value>) -> axum::response::Response {
    let title = body["notification"]["title"].clone();
    let first = {
        let mut asked = asked.lock().expect("no panic");
        let first = !asked.iter().any(|it| it.get("notification").is_some());
        asked.push(body);
        first
    };
    if title == "The answer is lost" && first {
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    if title == "The answer is late" {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    (StatusCode::ACCEPTED, Json(json!({"campaign": "running"}))).into_response()
}

async fn list(Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    if query.get("from").is_some_and(|from| from == "cursor") {
        return Json(json!({"campaigns": [campaign("older", "done", 0.9)]}));
    }
    let all = [
        campaign("running", "running", 0.62),
        campaign("halted", "halted", 0.04),
        campaign("done", "done", 1.0),
        campaign("cancelled", "cancelled", 0.4),
    ];
    Json(json!({"campaigns": all, "next": "cursor"}))
}

/// A running campaign advances with every request.
async fn show(State(asked): State<Asked>, Path(id): Path<String>) -> Json<Value> {
    let mut asked = asked.lock().expect("no panic");
    asked.push(json!({"shown": id}));
    let looks = asked.iter().filter(|it| it["shown"] == *id).count();
    let share = match &*id {
        "done" => 1.0,
        "halted" => 0.04,
        _ => (0.3 + 0.002 * looks as f64).min(0.9),
    };
    let changed = asked.iter().rev().find_map(|it| {
        let to = |what: &str, status| (it[what] == *id).then_some(status);
        to("cancelled", "cancelled")
            .or(to("resumed", "running"))
            .or(to("halted", "halted"))
    });
    Json(campaign(&id, changed.unwrap_or(&id), share))
}

async fn cancel(State(asked): State<Asked>, Path(id): Path<String>) -> Json<Value> {
    let cancelled = json!({"cancelled": id});
    asked.lock().expect("no panic").push(cancelled);
    Json(campaign(&id, "cancelled", 0.7))
}

async fn resume(State(asked): State<Asked>, Path(id): Path<String>) -> Json<Value> {
    asked.lock().expect("no panic").push(json!({"resumed": id}));
    Json(campaign(&id, "running", 0.5))
}

async fn scheduled() -> Json<Value> {
    let message = |title: &str, audience: &str| json!({"to": {"audience": audience}, "notification": {"title": title, "navigate": "https://www.example.org/"}});
    Json(json!({"schedules": [
        {"name": "weekly-news", "expression": "cron(0 9 ? * MON *)", "timezone": "Europe/Paris", "message": message("This week", "news"), "next": "2026-11-30T08:00:00Z"},
        {"name": "christmas", "expression": "at(2026-12-24T18:00:00)", "timezone": "Europe/Berlin", "message": message("Merry Christmas", "all"), "next": "2026-12-24T17:00:00Z"},
    ]}))
}

async fn schedule(
    State(asked): State<Asked>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    asked.lock().expect("no panic").push(body.clone());
    (StatusCode::CREATED, Json(body))
}

async fn unschedule(State(asked): State<Asked>, Path(name): Path<String>) -> StatusCode {
    asked
        .lock()
        .expect("no panic")
        .push(json!({"deleted": name}));
    StatusCode::NO_CONTENT
}
