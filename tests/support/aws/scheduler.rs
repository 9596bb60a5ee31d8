//! EventBridge Scheduler with one group. Schedules never fire, lists have short pages, and prepared faults come in
//! order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Schedules per page of a list.
const PAGE: usize = 7;

/// Runs until the test ends.
#[derive(Clone)]
pub(crate) struct Scheduler {
    pub(crate) url: String,
    group: &'static str,
    kept: Arc<Mutex<Kept>>,
}

/// The schedules, and the prepared faults.
#[derive(Default)]
pub(crate) struct Kept {
    /// Schedules by name.
    pub(crate) schedules: BTreeMap<String, Value>,
    /// Status, code and message of the next errors.
    pub(crate) faults: VecDeque<(u16, &'static str, &'static str)>,
    /// A schedule that is deleted as soon as a list has named it.
    pub(crate) vanishes: Option<String>,
}

type Asked = Query<BTreeMap<String, String>>;

fn error(status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = Json(json!({"Message": message}));
    (status, [("x-amzn-errortype", code.to_owned())], body).into_response()
}

fn unknown() -> Response {
    error(404, "ResourceNotFoundException", "Schedule does not exist.")
}

impl Scheduler {
    /// Starts the scheduler with one group.
    pub(crate) async fn start(group: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let scheduler = Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            group,
            kept: Arc::default(),
        };
        let one = post(create).put(update).get(read).delete(delete);
        let app = Router::new()
            .route("/schedules", get(list))
            .route("/schedules/{name}", one)
            .layer(from_fn_with_state(scheduler.clone(), fail))
            .with_state(scheduler.clone());
        tokio::spawn(axum::serve(listener, app).into_future());
        scheduler
    }

    /// The current state.
    pub(crate) fn state(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic while it is held")
    }

    fn put(&self, name: &str, body: &Value) -> Response {
        let group = self.group;
        assert_eq!(body["GroupName"], group);
        self.state().schedules.insert(name.to_owned(), body.clone());
        let arn = format!("arn:aws:scheduler:eu-west-1:0:schedule/{group}/{name}");
        Json(json!({"ScheduleArn": arn})).into_response()
    }
}

async fn fail(scheduler: State<Scheduler>, request: Request, next: Next) -> Response {
    let fault = scheduler.state().faults.pop_front();
    match fault {
        Some((status, code, message)) => error(status, code, message),
        None => next.run(request).await,
    }
}

async fn create(scheduler: State<Scheduler>, name: Path<String>, body: Json<Value>) -> Response {
    if scheduler.state().schedules.contains_key(&*name) {
        return error(409, "ConflictException", "Schedule already exists.");
    }
    scheduler.put(&name, &body)
}

async fn update(scheduler: State<Scheduler>, name: Path<String>, body: Json<Value>) -> Response {
    if !scheduler.state().schedules.contains_key(&*name) {
        return unknown();
    }
    scheduler.put(&name, &body)
}

async fn read(scheduler: State<Scheduler>, name: Path<String>, asked: Asked) -> Response {
    assert_eq!(asked["groupName"], scheduler.group);
    let found = scheduler.state().schedules.get(&*name).cloned();
    found.map_or_else(unknown, |schedule| Json(schedule).into_response())
}

async fn delete(scheduler: State<Scheduler>, name: Path<String>, asked: Asked) -> Response {
    assert_eq!(asked["groupName"], scheduler.group);
    let removed = scheduler.state().schedules.remove(&*name);
    removed.map_or_else(unknown, |_| Json(json!({})).into_response())
}

async fn list(scheduler: State<Scheduler>, asked: Asked) -> Response {
    assert_eq!(asked["ScheduleGroup"], scheduler.group);
    let from = asked.get("NextToken").cloned().unwrap_or_default();
    let mut kept = scheduler.state();
    let names = kept.schedules.keys().filter(|name| **name > from);
    let page: Vec<String> = names.take(PAGE).cloned().collect();
    let named = page
        .iter()
        .map(|name| json!({"Name": name, "GroupName": scheduler.group}));
    let mut answer = json!({"Schedules": named.collect::<Vec<_>>()});
    if page.len() == PAGE {
        answer["NextToken"] = json!(page.last());
    } else if let Some(name) = kept.vanishes.take() {
        kept.schedules.remove(&name);
    }
    Json(answer).into_response()
}
