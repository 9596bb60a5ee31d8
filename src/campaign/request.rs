//! Reads a campaign request from JSON: its message, audience, id and rate.

use serde_json::{Map, Value};

use super::CampaignId;
use super::message::read_message;
use crate::audience::Audience;
use crate::json::{Invalid, Members};
use webpush::{MAX_PLAINTEXT, Message, Topic};

/// Maximum rate, in messages a second: more than any push service accepts.
pub const MAX_RATE: u64 = 1_000_000;

/// Members of a message that the ledger stores with a campaign.
const STORED_MEMBERS: [&str; 7] = [
    "notification",
    "data",
    "ttl",
    "urgency",
    "topic",
    "app_badge",
    "mutable",
];

/// A message to an audience: a campaign before the ledger holds it.
#[derive(Debug, Clone)]
pub struct CampaignRequest {
    /// Chosen by the sender, so that repeating a request does not start a second campaign.
    pub id: Option<CampaignId>,
    /// The subscribers to push to.
    pub audience: Audience,
    /// Maximum number of messages a second.
    pub rate: Option<u32>,
    /// The message's members as the sender gave them. `message` is the checked form.
    members: Map<String, Value>,
    message: Message,
}

impl CampaignRequest {
    /// Reads `{"to": {"audience": ..}, ..}`.
    ///
    /// # Errors
    /// [`Invalid`] names the member that is wrong.
    pub fn read(members: Members<'_>) -> Result<Self, Invalid> {
        let to = members.object("to", "to.")?;
        let audience = to.string("audience")?;
        let audience = audience
            .parse()
            .map_err(|error| to.invalid("audience", error))?;
        let message = read_message(members)?;
        let id = members.optional_string("id")?.map(str::parse).transpose();
        let stored = STORED_MEMBERS.iter().filter_map(|name| {
            let value = members.get(name)?;
            Some(((*name).to_owned(), value.clone()))
        });
        Ok(Self {
            id: id.map_err(|error| members.invalid("id", error))?,
            audience,
            rate: rate(members)?,
            members: stored.collect(),
            message,
        })
    }

    /// The message's members as the campaign `id` sends them. A notification without a `tag` gets one, so that a
    /// browser shows it once even if it is pushed twice. A notification that leaves no room for a tag gets none.
    pub fn members_for(&self, id: &CampaignId) -> Map<String, Value> {
        let mut members = self.members.clone();
        let Some(Value::Object(notification)) = members.get_mut("notification") else {
            return members;
        };
        let tag = Topic::for_name(id.as_str());
        let size = self.message.payload.len() + tag_size(&tag);
        if !notification.contains_key("tag") && size <= MAX_PLAINTEXT {
            notification.insert("tag".to_owned(), tag.as_str().into());
        }
        members
    }
}

/// Bytes that a tag adds to a payload. A topic is base64url, which JSON does not escape.
fn tag_size(tag: &Topic) -> usize {
    r#","tag":"""#.len() + tag.as_str().len()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A request whose payload is `room` bytes smaller than the maximum.
    fn with_room(room: usize) -> CampaignRequest {
        let request = |body: &str| {
            let notification = json!({
                "title": "t", "navigate": "https://example.org/", "body": body,
            });
            let request = json!({"to": {"audience": "all"}, "notification": notification});
            let members = Members::of(&request).expect("an object");
            CampaignRequest::read(members).expect("it is good")
        };
        let empty = request("").message.payload.len();
        request(&"b".repeat(MAX_PLAINTEXT - empty - room))
    }

    #[test]
    fn a_notification_gets_a_tag_exactly_when_there_is_room_for_it() {
        let id: CampaignId = "campaign".parse().expect("an id");
        let size = tag_size(&Topic::for_name("campaign"));
        for (room, is_tagged) in [
            (0, false),
            (size - 1, false),
            (size, true),
            (size + 1, true),
        ] {
            let members = with_room(room).members_for(&id);
            let tag = members["notification"].get("tag");
            assert_eq!(tag.is_some(), is_tagged, "{room} bytes of room");
            let message = read_message(Members::at_top(&members)).expect("it still fits");
            let left = if is_tagged { room - size } else { room };
            assert_eq!(message.payload.len(), MAX_PLAINTEXT - left);
        }
    }
}
