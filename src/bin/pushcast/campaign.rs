//! The path of a campaign in the API, and the output of its members.

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
/// Subscribers whose push will be retried. No other count can fall.
const RETRYING: &str = "retrying";

/// Path of a campaign.
pub(crate) fn path(id: &str) -> String {
    format!("/push/campaigns/{}", segment(id))
}

/// Whether the campaign is planned or running.
pub(crate) fn is_under_way(campaign: &Value) -> bool {
    let under_way = [Status::Planned, Status::Running].map(Status::label);
    under_way.contains(&text(campaign, "status"))
}

/// Number of pushes that are finished, with any outcome.
pub(crate) fn finished(counts: &Value) -> u64 {
    let final_counts = COUNTS.iter().filter(|name| **name != RETRYING);
    final_counts.map(|name| number(counts, name)).sum()
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
