//! What a sender asks for, read from JSON: the message, and for a campaign its audience, id and rate.

use serde_json::{Map, Value};

use crate::audience::Audience;
use crate::campaign::{Campaign, CampaignId};
use crate::json::{Invalid, Members};
use webpush::DEFAULT_TTL;
use webpush::{MAX_PLAINTEXT, Message, Notification, Topic};

/// The longest TTL that fits what services read: 31 bits (RFC 8030, section 5.2).
const MAX_TTL: u64 = (1 << 31) - 1;

/// The fastest rate: more than any push service takes.
pub const MAX_RATE: u64 = 1_000_000;

/// Members of a message that are kept with a campaign.
const KEPT: [&str; 7] = [
    "notification",
    "data",
    "ttl",
    "urgency",
    "topic",
    "app_badge",
    "mutable",
];

/// A message to an audience: a campaign before it is written down.
#[derive(Debug, Clone)]
pub struct Order {
    /// Given by whoever asks, so that to ask again is the same campaign.
    pub id: Option<CampaignId>,
    /// To whom.
    pub audience: Audience,
    /// The message's members, checked, and kept as JSON.
    pub message: Map<String, Value>,
    /// Messages a second, at most.
    pub rate: Option<u32>,
}

impl Order {
    /// Reads `{"to": {"audience": ..}, ..}`.
    ///
    /// # Errors
    /// Names the member that is wrong.
    pub fn read(members: Members<'_>) -> Result<Self, Invalid> {
        let to = members.object("to", "to.")?;
        let audience = to.string("audience")?;
        let audience = audience
            .parse()
            .map_err(|error| to.invalid("audience", error))?;
        read_message(members)?;
        let id = members.optional_string("id")?.map(str::parse).transpose();
        let kept = KEPT.iter().filter_map(|name| {
            let value = members.get(name)?;
            Some(((*name).to_owned(), value.clone()))
        });
        Ok(Self {
            id: id.map_err(|error| members.invalid("id", error))?,
            audience,
            message: kept.collect(),
            rate: rate(members)?,
        })
    }

    /// The message's members as the campaign `id` sends them: a notification without a `tag` gets one, so that a
    /// browser that is pushed to twice shows it once. One that has no room for it goes without.
    pub fn message_of(&self, id: &CampaignId) -> Map<String, Value> {
        let mut tagged = self.message.clone();
        if let Some(Value::Object(notification)) = tagged.get_mut("notification") {
            let tag = notification.entry("tag").or_insert(Value::Null);
            if tag.is_null() {
                *tag = Topic::for_name(id.as_str()).as_str().into();
            }
        }
        if read_message(Members::at_top(&tagged)).is_ok() {
            tagged
        } else {
            self.message.clone()
        }
    }
}

impl Campaign {
    /// What is pushed: each push of the campaign carries the same topic, so that a service folds those that are
    /// pushed twice.
    ///
    /// # Errors
    /// When what was kept is no message by the rules of today.
    pub fn to_message(&self) -> Result<Message, Invalid> {
        let mut message = read_message(Members::at_top(&self.message))?;
        message
            .topic
            .get_or_insert_with(|| Topic::for_name(self.id.as_str()));
        Ok(message)
    }
}

fn rate(members: Members<'_>) -> Result<Option<u32>, Invalid> {
    let Some(rate) = members.get("rate") else {
        return Ok(None);
    };
    let wrong = || {
        let reason = format!("must be a whole number of messages a second, 1 to {MAX_RATE}");
        members.invalid("rate", reason)
    };
    let rate = rate.as_u64().filter(|rate| (1..=MAX_RATE).contains(rate));
    let rate = rate.and_then(|rate| u32::try_from(rate).ok());
    rate.map(Some).ok_or_else(wrong)
}

/// Reads what is to be said, and how.
///
/// # Errors
/// Names the member that is wrong.
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
    let ttl = match members.get("ttl") {
        None => DEFAULT_TTL,
        Some(ttl) => ttl
            .as_u64()
            .filter(|ttl| *ttl <= MAX_TTL)
            .and_then(|ttl| u32::try_from(ttl).ok())
            .ok_or_else(|| {
                members.invalid(
                    "ttl",
                    format!("must be a whole number of seconds, 0 to {MAX_TTL}"),
                )
            })?,
    };
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
        ttl,
        urgency: urgency.map_err(|error| members.invalid("urgency", error))?,
        topic: topic.map_err(|error| members.invalid("topic", error))?,
        declarative: member == "notification",
        ..Message::default()
    })
}

/// The payload's bytes, and the member that they came from.
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
