//! The declarative notification: one payload that Safari shows by itself and that every other
//! browser hands to its service worker (Declarative Web Push, "Declarative push message").

use std::fmt;

use serde_json::{Map, Value, json};
use url::Url;

/// A notification that was checked.
#[derive(Clone, PartialEq)]
pub struct Notification(Map<String, Value>);

/// Which member is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct NotificationError {
    /// Path of the member, from the message: `notification.actions[0].title`.
    pub field: String,
    /// What it must be.
    pub reason: &'static str,
}

const STRINGS: [&str; 6] = ["body", "tag", "lang", "icon", "image", "badge"];
const BOOLEANS: [&str; 3] = ["silent", "requireInteraction", "renotify"];
/// Members of older drafts, that no browser reads any more.
const STALE: [(&str, &str); 3] = [
    ("default_action_url", "is of an older draft: write navigate"),
    ("url", "is of an older draft: write navigate"),
    (
        "options",
        "is of an older draft: write its members beside title",
    ),
];

impl Notification {
    /// Checks a notification: `title` and `navigate` (an absolute URL) are required, the known members must
    /// have their types, others are passed on.
    ///
    /// # Errors
    /// [`NotificationError`] names the first member that is wrong.
    pub fn from_json(value: &Value) -> Result<Self, NotificationError> {
        let field = |name: &str| format!("notification.{name}");
        let fail = |name: &str, reason| {
            Err(NotificationError {
                field: field(name),
                reason,
            })
        };
        let Some(members) = value.as_object() else {
            return Err(NotificationError {
                field: "notification".to_owned(),
                reason: "must be an object",
            });
        };
        if let Some((name, hint)) = STALE.iter().find(|(name, _)| members.contains_key(*name)) {
            return fail(name, hint);
        }
        check_title(members, &field("title"))?;
        check_navigate(members, &field("navigate"))?;
        for name in STRINGS {
            if members.get(name).is_some_and(|value| !value.is_string()) {
                return fail(name, "must be a string");
            }
        }
        for name in BOOLEANS {
            if members.get(name).is_some_and(|value| !value.is_boolean()) {
                return fail(name, "must be true or false");
            }
        }
        if members
            .get("dir")
            .is_some_and(|dir| !matches!(dir.as_str(), Some("auto" | "ltr" | "rtl")))
        {
            return fail("dir", "must be one of auto, ltr, rtl");
        }
        if members
            .get("timestamp")
            .is_some_and(|timestamp| !timestamp.is_u64())
        {
            return fail(
                "timestamp",
                "must be a whole number of milliseconds since 1970",
            );
        }
        if let Some(vibrate) = members.get("vibrate") {
            let durations = vibrate
                .as_array()
                .is_some_and(|all| all.iter().all(Value::is_u64));
            if !durations && !vibrate.is_u64() {
                return fail("vibrate", "must be a list of milliseconds");
            }
        }
        if let Some(actions) = members.get("actions") {
            check_actions(actions)?;
        }
        // Browsers throw on these two, and then show nothing (Notifications API, section 2.6).
        let is_true = |name: &str| members.get(name) == Some(&Value::Bool(true));
        if is_true("renotify") && !members.get("tag").is_some_and(|tag| tag != "") {
            return fail(
                "renotify",
                "needs a tag: it is about replacing a notification",
            );
        }
        if is_true("silent") && members.contains_key("vibrate") {
            return fail("vibrate", "cannot stand beside silent");
        }
        Ok(Self(members.clone()))
    }

    /// The payload: `{"web_push": 8030, "notification": {..}}`, with the two members that stand beside it.
    pub fn to_payload(&self, app_badge: Option<u64>, mutable: Option<bool>) -> Vec<u8> {
        let mut payload = json!({"web_push": 8030, "notification": self.0});
        if let Some(app_badge) = app_badge {
            payload["app_badge"] = app_badge.into();
        }
        if let Some(mutable) = mutable {
            payload["mutable"] = mutable.into();
        }
        payload.to_string().into_bytes()
    }
}

fn check_title(members: &Map<String, Value>, field: &str) -> Result<(), NotificationError> {
    match members.get("title").and_then(Value::as_str) {
        Some(title) if !title.is_empty() => Ok(()),
        _ => Err(NotificationError {
            field: field.to_owned(),
            reason: "is required: a string that is not empty",
        }),
    }
}

fn check_navigate(members: &Map<String, Value>, field: &str) -> Result<(), NotificationError> {
    let url = members
        .get("navigate")
        .and_then(Value::as_str)
        .map(Url::parse);
    match url {
        Some(Ok(url)) if matches!(url.scheme(), "http" | "https") => Ok(()),
        _ => Err(NotificationError {
            field: field.to_owned(),
            reason: "is required: an absolute http(s) URL, the page that a click opens",
        }),
    }
}

fn check_actions(actions: &Value) -> Result<(), NotificationError> {
    let fail = |field: String, reason| Err(NotificationError { field, reason });
    let Some(actions) = actions.as_array() else {
        return fail("notification.actions".to_owned(), "must be a list");
    };
    for (i, action) in actions.iter().enumerate() {
        let field = |name: &str| format!("notification.actions[{i}]{name}");
        let Some(members) = action.as_object() else {
            return fail(field(""), "must be an object");
        };
        check_title(members, &field(".title"))?;
        if !members.get("action").is_some_and(Value::is_string) {
            return fail(field(".action"), "is required: a string");
        }
        check_navigate(members, &field(".navigate"))?;
        if members.get("icon").is_some_and(|icon| !icon.is_string()) {
            return fail(field(".icon"), "must be a string");
        }
    }
    Ok(())
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notification(..)")
    }
}
