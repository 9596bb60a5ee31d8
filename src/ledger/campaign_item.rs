//! The ledger item that stores a campaign.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::microsecond;
use serde::{Deserialize, Serialize};

use crate::campaign::{Campaign, CampaignId, End, State, Status, Transition};
use crate::dynamo::item::{Item, number, string, to_item};
use crate::dynamo::write::{Location, Write};

/// The attributes of the item, without its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "microsecond::optional"
    )]
    finished_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    announced: bool,
    audience: String,
    /// The message's members, as JSON.
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
    #[serde(with = "microsecond::required")]
    created_at: Timestamp,
    #[serde(default)]
    subscribers: u64,
    segments: u32,
    #[serde(default)]
    segments_done: u32,
    #[serde(default)]
    resumed: u32,
}

impl Stored {
    /// The campaign's state. `None` if the item lacks an attribute that its status needs.
    fn state(&self) -> Option<State> {
        let end = self.finished_at.map(|at| End {
            at,
            announced: self.announced,
        });
        Some(match self.status {
            Status::Planned => State::Planned,
            Status::Running => State::Running,
            Status::Done => State::Done(end?),
            Status::Halted => State::Halted {
                reason: self.reason.clone()?,
                end: end?,
            },
            Status::Cancelled => State::Cancelled {
                reason: self.reason.clone(),
                end: end?,
            },
        })
    }
}

/// The attributes of a campaign's item.
pub(super) fn attributes(campaign: &Campaign) -> Item {
    let end = campaign.state.end();
    to_item(&Stored {
        status: campaign.status(),
        reason: campaign.state.reason().map(str::to_owned),
        finished_at: end.map(|end| end.at),
        announced: end.is_some_and(|end| end.announced),
        audience: campaign.audience.to_string(),
        message: serde_json::Value::Object(campaign.message.clone()).to_string(),
        rate: campaign.rate,
        created_at: campaign.created_at,
        subscribers: campaign.subscribers,
        segments: campaign.segments,
        segments_done: campaign.segments_done,
        resumed: campaign.resumed,
    })
}

/// Reads a campaign from an item. `None` if the item is not a valid campaign.
pub(super) fn read(id: &CampaignId, item: Item) -> Option<Campaign> {
    let stored: Stored = serde_dynamo::from_item(item).ok()?;
    Some(Campaign {
        id: id.clone(),
        state: stored.state()?,
        audience: stored.audience.parse().ok()?,
        message: serde_json::from_str(&stored.message).ok()?,
        rate: stored.rate,
        created_at: stored.created_at,
        subscribers: stored.subscribers,
        segments: stored.segments,
        segments_done: stored.segments_done,
        resumed: stored.resumed,
    })
}

/// The update of a campaign's item for `transition`. Its condition is that the campaign is in a state that allows the
/// transition.
pub(super) fn transition(campaign: Location, transition: Transition<'_>) -> Write {
    let from = (0..).zip(transition.from());
    let from: Vec<_> = from
        .map(|(i, status)| (format!(":from{i}"), status))
        .collect();
    let names: Vec<&str> = from.iter().map(|(name, _)| &name[..]).collect();
    let mut condition = format!("#status IN ({})", names.join(", "));
    let expression = match transition {
        Transition::Start => "SET #status = :to",
        Transition::Finish { .. } | Transition::Cancel { .. } => {
            "SET #status = :to, finished_at = :at REMOVE announced"
        }
        Transition::Halt { .. } => {
            condition += " AND resumed = :resumed";
            "SET #status = :to, finished_at = :at, reason = :reason REMOVE announced"
        }
        Transition::Resume => {
            "SET #status = :to, resumed = resumed + :one REMOVE reason, finished_at, announced"
        }
    };
    let mut update = campaign
        .update(expression)
        .when(condition)
        .name("#status", "status")
        .value(":to", label(transition.to()));
    for (name, status) in &from {
        update = update.value(name, label(**status));
    }
    match transition {
        Transition::Start => update,
        Transition::Finish { at } | Transition::Cancel { at } => update.value(":at", micros(at)),
        Transition::Halt {
            at,
            reason,
            resumed,
        } => update
            .value(":at", micros(at))
            .value(":reason", string(reason))
            .value(":resumed", number(resumed)),
        Transition::Resume => update.value(":one", number(1)),
    }
}

/// A status as the item spells it.
pub(super) fn label(status: Status) -> AttributeValue {
    string(status.label())
}

fn micros(at: Timestamp) -> AttributeValue {
    number(at.as_microsecond())
}
