//! EventBridge Scheduler as it answers on the wire: one group, short pages, faults in order. Its schedules never fire.

use std::collections::{BTreeMap, VecDeque};

use axum::Json;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

/// The only group.
pub(crate) const GROUP: &str = "Schedules";
/// Schedules that one page of the list names.
const PAGE: usize = 7;

#[derive(Default)]
pub(crate) struct Scheduler {
    /// By name, as they were given.
    pub(crate) schedules: BTreeMap<String, Value>,
    /// Answers that are errors, before others: status, code, message.
    pub(crate) faults: VecDeque<(u16, &'static str, &'static str)>,
    /// Deleted once the list has named it.
    pub(crate) vanishes: Option<String>,
}

/// The operation that a request asks for.
pub(crate) fn operation(method: &Method, path: &str) -> &'static str {
    match (method.as_str(), path) {
        ("GET", "/schedules") => "ListSchedules",
        ("GET", _) => "GetSchedule",
        ("POST", _) => "CreateSchedule",
        ("PUT", _) => "UpdateSchedule",
        ("DELETE", _) => "DeleteSchedule",
        (other, _) => panic!("{other} {path} is called"),
    }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let body = Json(json!({"Message": message}));
    (status, [("x-amzn-errortype", code.to_owned())], body).into_response()
}

impl Scheduler {
    pub(crate) fn answer(&mut self, method: &Method, uri: &Uri, body: Value) -> Response {
        if let Some((status, code, message)) = self.faults.pop_front() {
            return error(status, code, message);
        }
        let asked: Query<BTreeMap<String, String>> = Query::try_from_uri(uri).expect("a query");
        let name = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
        let known = self.schedules.contains_key(&name);
        match (operation(method, uri.path()), known) {
            ("ListSchedules", _) => self.list(&asked),
            ("CreateSchedule", true) => error(409, "ConflictException", "Schedule already exists."),
            ("CreateSchedule", false) | ("UpdateSchedule", true) => self.put(name, body),
            ("GetSchedule", true) => {
                assert_eq!(asked["groupName"], GROUP);
                Json(&self.schedules[&name]).into_response()
            }
            ("DeleteSchedule", true) => {
                assert_eq!(asked["groupName"], GROUP);
                self.schedules.remove(&name);
                Json(json!({})).into_response()
            }
            _ => error(404, "ResourceNotFoundException", "Schedule does not exist."),
        }
    }

    fn put(&mut self, name: String, body: Value) -> Response {
        assert_eq!(body["GroupName"], GROUP);
        let arn = format!("arn:aws:scheduler:eu-west-1:0:schedule/{GROUP}/{name}");
        self.schedules.insert(name, body);
        Json(json!({"ScheduleArn": arn})).into_response()
    }

    fn list(&mut self, asked: &BTreeMap<String, String>) -> Response {
        assert_eq!(asked["ScheduleGroup"], GROUP);
        let from = asked.get("NextToken").cloned().unwrap_or_default();
        let names = self.schedules.keys().filter(|name| **name > from);
        let page: Vec<String> = names.take(PAGE).cloned().collect();
        let named = page
            .iter()
            .map(|name| json!({"Name": name, "GroupName": GROUP}));
        let mut answer = json!({"Schedules": named.collect::<Vec<_>>()});
        if page.len() == PAGE {
            answer["NextToken"] = json!(page.last());
        } else if let Some(name) = self.vanishes.take() {
            self.schedules.remove(&name);
        }
        Json(answer).into_response()
    }
}
