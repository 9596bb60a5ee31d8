//! A campaign's parts: which segments and retry parts are still open.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::{SignedDuration, Timestamp};

use super::Ledger;
use crate::campaign::part::Retry;
use crate::campaign::retry_state::RetryState;
use crate::campaign::{CampaignId, PartKey};
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, count, number};
use crate::dynamo::key::{LedgerKey, Partition};
use crate::dynamo::read::Range;
use crate::dynamo::write::Location;

/// Minimum time between two jobs that are queued for a part in case its own job was lost.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(50);
/// Maximum number of parts that one request reads.
const PARTS_PAGE: i32 = 500;

impl Ledger {
    /// When a retry part is due; `None` if it is done.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn due(
        &self,
        id: &CampaignId,
        part: &PartKey,
    ) -> Result<Option<Timestamp>, StoreError> {
        let item = self.part(id, part).await?;
        Ok(item.map(|item| read_retry(&item).state.not_before))
    }

    /// The open parts of a campaign, or of one segment of it: segments that are not done, and retry parts with the time
    /// when they are due.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn open_parts(
        &self,
        id: &CampaignId,
        segment: Option<u32>,
    ) -> Result<Vec<(PartKey, Option<Timestamp>)>, StoreError> {
        let prefixes = match segment {
            None => [PartKey::SEGMENTS.to_owned(), PartKey::RETRIES.to_owned()],
            Some(segment) => [
                PartKey::Segment(segment).to_string(),
                PartKey::retries_of(segment),
            ],
        };
        let campaign = Partition::Campaign(id.clone());
        let mut open = Vec::new();
        for prefix in prefixes {
            let query = self
                .db
                .query(&campaign, Range::Prefix(&prefix), PARTS_PAGE)
                .filter_expression("attribute_not_exists(closed)")
                .projection_expression("id, part, not_before");
            let items = self.db.read_all(query).await?;
            open.extend(items.iter().filter_map(|item| {
                let Some(LedgerKey::Part(_, part)) = LedgerKey::of(item) else {
                    return None;
                };
                Some((part, read_millis(item, "not_before")))
            }));
        }
        Ok(open)
    }

    /// Records that the caller queues a job for a part whose own job may be lost. False if that happened in the last 50
    /// s, or if the part is done.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn note_recovery(
        &self,
        id: &CampaignId,
        part: &PartKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let interval = SignedDuration::try_from(RECOVERY_INTERVAL).unwrap_or(SignedDuration::ZERO);
        let before = now.checked_sub(interval).unwrap_or(now);
        let free = "attribute_not_exists(recovered_at) OR recovered_at <= :before";
        let update = self
            .part_item(id, part)
            .update("SET recovered_at = :now")
            .when(format!("attribute_exists(id) AND ({free})"))
            .value(":now", number(now.as_millisecond()))
            .value(":before", number(before.as_millisecond()));
        Ok(self.db.write(update, ReturnValue::None).await?.is_some())
    }

    /// A key for a new retry part of a segment.
    pub fn new_retry(&self, segment: u32) -> PartKey {
        PartKey::Retry {
            segment,
            serial: self.db.chance.draw(),
        }
    }

    /// The location of a part's item.
    pub(super) fn part_item(&self, id: &CampaignId, part: &PartKey) -> Location {
        self.db.ledger(&LedgerKey::Part(id.clone(), part.clone()))
    }

    pub(super) async fn part(
        &self,
        id: &CampaignId,
        part: &PartKey,
    ) -> Result<Option<Item>, StoreError> {
        self.db.get(self.part_item(id, part)).await
    }
}

pub(super) fn read_millis(item: &Item, name: &str) -> Option<Timestamp> {
    let millis = item.get(name)?.as_n().ok()?.parse().ok()?;
    Timestamp::from_millisecond(millis).ok()
}

pub(super) fn is_true(item: &Item, name: &str) -> bool {
    let value = item.get(name).and_then(|value| value.as_bool().ok());
    value.is_some_and(|value| *value)
}

pub(super) fn read_retry(item: &Item) -> Retry {
    let endpoints = item.get("endpoints").and_then(|value| value.as_ss().ok());
    let read_u32 = |name: &str| count(item, name).and_then(|n| u32::try_from(n).ok());
    Retry {
        endpoints: endpoints
            .map(|endpoints| endpoints.iter().cloned().collect())
            .unwrap_or_default(),
        state: RetryState {
            attempts: read_u32("attempts").unwrap_or_default(),
            deferrals: read_u32("waits").unwrap_or_default(),
            not_before: read_millis(item, "not_before").unwrap_or(Timestamp::UNIX_EPOCH),
            expires: read_millis(item, "expires"),
        },
    }
}
