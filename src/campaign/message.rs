//! Reads a message from JSON. The service pushes it to one user's devices, or to the audience of a campaign.

use serde_json::Value;

use super::Campaign;
use crate::json::{Invalid, Members};
use webpush::DEFAULT_TTL;
use webpush::{MAX_PLAINTEXT, Message, Notification, Topic};

/// Maximum TTL, in seconds: push services read 31 bits (RFC 8030, section 5.2).
const MAX_TTL: u64 = (1 << 31) - 1;

impl Campaign {
    /// The message of the campaign. Every push carries the same topic, so that a push service keeps only one of two
    /// pushes to the same subscriber.
    ///
    /// # Errors
    /// When the stored message breaks a rule that was added since it was stored.
    pub fn to_message(&self) -> Result<Message, Invalid> {
        let mut message = read_message(Members::at_top(&self.message))?;
        message
            .topic
            .get_or_insert_with(|| Topic::for_name(self.id.as_str()));
        Ok(message)
    }
}

/// Reads a message: its payload, TTL, urgency and topic.
///
/// # Errors
/// [`Invalid`] names the member that is wrong.
pub fn read_message(members: Members<'_>) -> Result<Message, Invalid> {
    let (member, payload) = payload(members)?;
    if payload.len() > MAX_PLAINTEXT {
        let over = payload.len() - MAX_PLAINTEXT;
        let size = payload.len();
        let reason = format!(
            "makes a payload of {size} bytes, {over} more than the {MAX_PLAINTEXT} that push services take"
        );
        return Err(members.invalid(member, reason));
    }
    let urgency = members
        .optional_string("urgency")?
        .map(str::parse)
        .transpose();
    let topic = members
        .optional_string("topic")?
        .map(str::parse)
        .transpose();
    Ok(Message {
        payload,
        ttl: ttl(members)?,
        urgency: urgency.map_err(|error| members.invalid("urgency", error))?,
        topic: topic.map_err(|error| members.invalid("topic", error))?,
        declarative: member == "notification",
        ..Message::default()
    })
}

/// Seconds for which a push service keeps an undelivered message.
fn ttl(members: Members<'_>) -> Result<u32, Invalid> {
    let Some(ttl) = members.get("ttl") else {
        return Ok(DEFAULT_TTL);
    };
    let ttl = ttl.as_u64().filter(|ttl| *ttl <= MAX_TTL);
    ttl.and_then(|ttl| u32::try_from(ttl).ok()).ok_or_else(|| {
        let reason = format!("must be a whole number of seconds, 0 to {MAX_TTL}");
        members.invalid("ttl", reason)
    })
}

/// The name of the member that holds the payload, and the payload's bytes.
fn payload(members: Members<'_>) -> Result<(&'static str, Vec<u8>), Invalid> {
    match (members.get("notification"), members.get("data")) {
        (Some(notification), None) => {
            let notification = Notification::from_json(notification)
                .map_err(|error| Invalid::new(error.field, error.reason))?;
            let app_badge = optional(
                members,
                "app_badge",
                Value::as_u64,
                "must be a whole number",
            )?;
            let mutable = optional(members, "mutable", Value::as_bool, "must be true or false")?;
            Ok(("notification", notification.to_payload(app_badge, mutable)))
        }
        (None, Some(Value::String(text))) if text.is_empty() => {
            Err(members.invalid("data", "must not be empty"))
        }
        (None, Some(Value::String(text))) => Ok(("data", text.clone().into_bytes())),
        (None, Some(json)) => Ok(("data", json.to_string().into_bytes())),
        (Some(_), Some(_)) => {
            Err(members.invalid("data", "cannot stand beside notification: give one of them"))
        }
        (None, None) => Err(members.invalid("notification", "is required, or data")),
    }
}

fn optional<'a, T: Copy>(
    members: Members<'a>,
    name: &str,
    read: impl FnOnce(&'a Value) -> Option<T>,
    wrong: &str,
) -> Result<Option<T>, Invalid> {
    Ok(members.change(name, read, wrong)?.set().copied())
}
