//! A campaign's results so far: the sum over its segments.

use std::str::FromStr;

use super::Ledger;
use crate::campaign::{CampaignId, Faults, Figures, PartKey};
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, count};
use crate::dynamo::key::Partition;
use crate::dynamo::read::Range;

/// Maximum number of segments that one request reads.
const SEGMENTS_PAGE: i32 = 1_000;

/// The results for all subscribers that workers have read so far.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Results by push service.
    pub figures: Figures,
    /// Rows that the scans looked at, including rows outside the audience.
    pub scanned: u64,
}

impl Ledger {
    /// The results for all subscribers that workers have read so far.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn progress(&self, id: &CampaignId) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        for item in self.segment_items(id).await? {
            for (name, n) in numbers(&item) {
                progress.figures.read(name, n);
            }
            progress.scanned += count(&item, "scanned").unwrap_or_default();
        }
        Ok(progress)
    }

    /// The answers of each origin since the campaign was resumed for the `resumed`th time.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn faults(&self, id: &CampaignId, resumed: u32) -> Result<Faults, StoreError> {
        let mut faults = Faults::default();
        for item in self.segment_items(id).await? {
            for (name, n) in numbers(&item) {
                faults.read(name, n, resumed);
            }
        }
        Ok(faults)
    }

    /// Every segment's item, with a consistent read: the worker that finishes the last segment may end the campaign.
    async fn segment_items(&self, id: &CampaignId) -> Result<Vec<Item>, StoreError> {
        let campaign = Partition::Campaign(id.clone());
        let query = self
            .db
            .query(&campaign, Range::Prefix(PartKey::SEGMENTS), SEGMENTS_PAGE);
        self.db.read_all(query).await
    }
}

/// The attributes that are numbers.
fn numbers<T: FromStr>(item: &Item) -> impl Iterator<Item = (&str, T)> {
    item.iter().filter_map(|(name, value)| {
        let n = value.as_n().ok()?.parse().ok()?;
        Some((&name[..], n))
    })
}
