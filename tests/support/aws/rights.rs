//! Caller, action and resource of a call, as an IAM policy names them.

use http::{HeaderMap, Method};
use serde_json::Value;

use super::template::Right;

/// One call. The caller's policy must allow it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// The access key that signed the call. Each function of a test has its own.
    pub(crate) by: String,
    /// For example `dynamodb:UpdateItem` on `Subscriptions`.
    pub(crate) right: Right,
}

pub(super) fn scheduler_operation(method: &Method, path: &str) -> &'static str {
    match (method.as_str(), path) {
        ("GET", "/schedules") => "ListSchedules",
        ("GET", _) => "GetSchedule",
        ("POST", _) => "CreateSchedule",
        ("PUT", _) => "UpdateSchedule",
        ("DELETE", _) => "DeleteSchedule",
        (other, _) => panic!("{other} {path} is called"),
    }
}

/// Access key and service of a signed request (Signature Version 4).
pub(super) fn signer(headers: &HeaderMap) -> (String, String) {
    let authorization = headers.get("authorization").expect("it is signed");
    let authorization = authorization.to_str().expect("text");
    let scope = authorization.split("Credential=").nth(1).expect("a scope");
    let parts: Vec<&str> = scope
        .split(',')
        .next()
        .unwrap_or_default()
        .split('/')
        .collect();
    (parts[0].to_owned(), parts[3].to_owned())
}

/// The rights that a policy must grant for a call.
pub(super) fn rights(service: &str, operation: &str, body: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let last = |value: &Value| {
        text(value)
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let one = |resource: String| vec![(operation.to_owned(), resource)];
    match (service, operation) {
        // A transaction needs the rights of its parts.
        ("dynamodb", "TransactWriteItems") => {
            let items = body["TransactItems"].as_array().expect("items").iter();
            let parts = items.flat_map(|item| item.as_object().expect("an item"));
            let action = |name: &str| match name {
                "ConditionCheck" => "ConditionCheckItem".to_owned(),
                name => format!("{name}Item"),
            };
            parts
                .map(|(name, item)| (action(name), text(&item["TableName"])))
                .collect()
        }
        ("dynamodb", "BatchGetItem") => {
            let tables = body["RequestItems"].as_object().expect("tables").keys();
            tables
                .map(|table| (operation.to_owned(), table.clone()))
                .collect()
        }
        ("dynamodb", _) => match body["IndexName"].as_str() {
            Some(index) => one(format!("{}/index/{index}", text(&body["TableName"]))),
            None => one(text(&body["TableName"])),
        },
        ("sqs", "SendMessageBatch") => vec![("SendMessage".to_owned(), last(&body["QueueUrl"]))],
        ("sqs", _) => one(last(&body["QueueUrl"])),
        ("kms", _) => one(text(&body["KeyId"])),
        ("secretsmanager", _) => one(text(&body["SecretId"])),
        // Creating a schedule also passes a role to it.
        ("scheduler", "ListSchedules") => one("*".to_owned()),
        ("scheduler", _) => one("Schedules/*".to_owned()),
        ("events", _) => {
            let entries = body["Entries"].as_array().expect("entries").iter();
            let bus = |entry: &Value| {
                entry["EventBusName"]
                    .as_str()
                    .unwrap_or("default")
                    .to_owned()
            };
            entries
                .map(|entry| (operation.to_owned(), bus(entry)))
                .collect()
        }
        (other, _) => panic!("{other} is called"),
    }
}
