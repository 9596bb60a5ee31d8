//! A campaign as the API and events show it.

use serde_json::{Value, json};

use super::Campaign;
use super::figures::Figures;

/// The campaign and its results so far. `scanned` is the number of rows that workers have looked at.
pub fn view(campaign: &Campaign, figures: &Figures, scanned: u64) -> Value {
    let mut view = json!({
        "id": campaign.id,
        "status": campaign.status(),
        "audience": campaign.audience.to_string(),
        "created_at": campaign.created_at,
        "segments": {"total": campaign.segments, "done": campaign.segments_done},
        "subscribers": campaign.subscribers,
        "scanned": scanned,
        "counts": figures.counts(),
        "services": figures.by_service(),
    });
    if let Some(reason) = campaign.state.reason() {
        view["reason"] = reason.into();
    }
    if let Some(end) = campaign.state.end() {
        view["finished_at"] = end.at.to_string().into();
    }
    if let Some(rate) = campaign.rate {
        view["rate"] = rate.into();
    }
    view
}
