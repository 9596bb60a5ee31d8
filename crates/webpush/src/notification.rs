//! The declarative notification: Safari shows it by itself, and every other browser hands it to its service worker
//! (Push API, section "Declarative push message").

use std::fmt;

use serde_json::{Map, Value, json};

/// A declarative notification whose members were checked.
///
/// ```
/// use serde_json::json;
/// use webpush::{Message, Notification};
///
/// let notification = Notification::from_json(&json!({
///     "title": "Train 9:42", "navigate": "https://trains.pushcast.dev/942",
/// }))?;
/// let message = Message {
///     declarative: true,
///     ..Message::bytes(notification.to_payload(None, None))
/// };
/// assert!(message.payload.starts_with(br#"{"web_push":8030"#));
/// # Ok::<(), webpush::NotificationError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Notification(Map<String, Value>);

/// The first member that is wrong, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct NotificationError {
    /// Path of the member, from the message: `notification.actions[0].title`.
    pub field: String,
    /// The rule, as the end of a sentence: `must be a string`.
    pub reason: &'static str,
}

/// Optional members, and the types that browsers expect.
const OPTIONAL: [(&str, Rule); 12] = [
    ("body", Rule::String),
    ("tag", Rule::String),
    ("lang", Rule::String),
    ("icon", Rule::String),
    ("image", Rule::String),
    ("badge", Rule::String),
    ("silent", Rule::Boolean),
    ("requireInteraction", Rule::Boolean),
    ("renotify", Rule::Boolean),
    ("dir", Rule::Direction),
    ("timestamp", Rule::Milliseconds),
    ("vibrate", Rule::Pattern),
];

/// Members of older drafts, which no browser reads any more.
const STALE: [(&str, &str); 3] = [
    ("default_action_url", "is of an older draft: write navigate"),
    ("url", "is of an older draft: write navigate"),
    (
        "options",
        "is of an older draft: write its members beside title",
    ),
];

/// The type of an optional member.
#[derive(Clone, Copy)]
enum Rule {
    String,
    Boolean,
    Direction,
    Milliseconds,
    Pattern,
}

impl Rule {
    fn allows(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Boolean => value.is_boolean(),
            Self::Direction => matches!(value.as_str(), Some("auto" | "ltr" | "rtl")),
            Self::Milliseconds => value.is_u64(),
            Self::Pattern => {
                let list = value.as_array();
                value.is_u64() || list.is_some_and(|all| all.iter().all(Value::is_u64))
            }
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::String => "must be a string",
            Self::Boolean => "must be true or false",
            Self::Direction => "must be one of auto, ltr, rtl",
            Self::Milliseconds => "must be a whole number of milliseconds since 1970",
            Self::Pattern => "must be a list of milliseconds",
        }
    }
}

impl Notification {
    /// Checks a notification. `title` and `navigate` (an absolute http(s) URL) are required, the members that browsers
    /// know must have the right types, and all other members are kept.
    ///
    /// # Errors
    /// [`NotificationError`] names the first member that is wrong.
    pub fn from_json(value: &Value) -> Result<Self, NotificationError> {
        let field = |name: &str| format!("notification.{name}");
        let Some(members) = value.as_object() else {
            return fail("notification".to_owned(), "must be an object");
        };
        if let Some((name, hint)) = STALE.iter().find(|(name, _)| members.contains_key(*name)) {
            return fail(field(name), hint);
        }
        check_title(members, field("title"))?;
        check_navigate(members, field("navigate"))?;
        for (name, rule) in OPTIONAL {
            if members.get(name).is_some_and(|value| !rule.allows(value)) {
                return fail(field(name), rule.text());
            }
        }
        if let Some(actions) = members.get("actions") {
            check_actions(actions)?;
        }
        // Browsers throw on these two, and then show nothing (Notifications API, section 2.6).
        let is_true = |name: &str| members.get(name) == Some(&Value::Bool(true));
        if is_true("renotify") && !members.get("tag").is_some_and(|tag| tag != "") {
            return fail(
                field("renotify"),
                "needs a tag: it is about replacing a notification",
            );
        }
        if is_true("silent") && members.contains_key("vibrate") {
            return fail(field("vibrate"), "cannot stand beside silent");
        }
        Ok(Self(members.clone()))
    }

    /// The payload, JSON: `{"web_push": 8030, "notification": {..}}`. `app_badge` is the number on the app's icon;
    /// with `mutable`, a service worker may change the notification before it is shown.
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

fn fail<T>(field: String, reason: &'static str) -> Result<T, NotificationError> {
    Err(NotificationError { field, reason })
}

fn check_title(members: &Map<String, Value>, field: String) -> Result<(), NotificationError> {
    match members.get("title").and_then(Value::as_str) {
        Some(title) if !title.is_empty() => Ok(()),
        _ => fail(field, "is required: a string that is not empty"),
    }
}

fn check_navigate(members: &Map<String, Value>, field: String) -> Result<(), NotificationError> {
    match members.get("navigate").and_then(Value::as_str) {
        Some(url) if is_web_page(url) => Ok(()),
        _ => fail(
            field,
            "is required: an absolute http(s) URL, the page that a click opens",
        ),
    }
}

fn check_actions(actions: &Value) -> Result<(), NotificationError> {
    let Some(actions) = actions.as_array() else {
        return fail("notification.actions".to_owned(), "must be a list");
    };
    for (i, action) in actions.iter().enumerate() {
        let field = |name: &str| format!("notification.actions[{i}]{name}");
        let Some(members) = action.as_object() else {
            return fail(field(""), "must be an object");
        };
        check_title(members, field(".title"))?;
        if !members.get("action").is_some_and(Value::is_string) {
            return fail(field(".action"), "is required: a string");
        }
        check_navigate(members, field(".navigate"))?;
        if members.get("icon").is_some_and(|icon| !icon.is_string()) {
            return fail(field(".icon"), "must be a string");
        }
    }
    Ok(())
}

/// Whether a browser can open `url`: http or https, and a host without a character that no host has (WHATWG URL, section
/// 3.1). It is for the browser to parse the rest.
fn is_web_page(url: &str) -> bool {
    let Some((scheme, rest)) = url.trim().split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        Some(_) | None => (host_and_port, ""),
    };
    let is_host = match host.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains(is_forbidden_in_hosts),
    };
    let is_port = port.is_empty() || port.parse::<u16>().is_ok();
    ["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web))
        && is_host
        && is_port
}

fn is_forbidden_in_hosts(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "<>[]^|%:".contains(c)
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notification(..)")
    }
}
