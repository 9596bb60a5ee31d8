//! A campaign as the API shows it: where it is, and how its members are printed.

use indicatif::HumanCount;
use pushcast::campaign::Status;
use serde_json::Value;

use crate::api::segment;

/// Counts of a campaign, in the order in which they are shown.
const COUNTS: [&str; 7] = [
    "accepted",
    "gone",
    "mismatched",
    "too_large",
    "refused",
    "failed",
    RETRYING,
];
/// Subscribers that are pushed to again later: the only count that may fall.
const RETRYING: &str = "retrying";

/// Path of a campaign.
pub(crate) fn path(id: &str) -> String {
    format!("/push/campaigns/{}", segment(id))
}

/// Whether the campaign goes on by itself.
pub(crate) fn is_under_way(campaign: &Value) -> bool {
    let under_way = [Status::Planned, Status::Running].map(Status::label);
    under_way.contains(&text(campaign, "status"))
}

/// Pushes that are over, whatever became of them.
pub(crate) fn over(counts: &Value) -> u64 {
    let over = COUNTS.iter().filter(|name| **name != RETRYING);
    over.map(|name| number(counts, name)).sum()
}

/// `accepted 9,120, gone 31`: the counts that are not 0.
pub(crate) fn figures(counts: &Value) -> String {
    let counted: Vec<_> = COUNTS
        .iter()
        .map(|name| (name, number(counts, name)))
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| format!("{} {}", name.replace('_', " "), HumanCount(n)))
        .collect();
    if counted.is_empty() {
        return "nobody pushed to".to_owned();
    }
    counted.join(", ")
}

/// `15,500 of 20,011`.
pub(crate) fn read_of(campaign: &Value) -> String {
    let [scanned, subscribers] = ["scanned", "subscribers"].map(|name| number(campaign, name));
    format!("{} of {}", HumanCount(scanned), HumanCount(subscribers))
}

/// A member's text.
pub(crate) fn text<'a>(campaign: &'a Value, name: &str) -> &'a str {
    campaign[name].as_str().unwrap_or_default()
}

/// A member's number.
pub(crate) fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_default()
}
