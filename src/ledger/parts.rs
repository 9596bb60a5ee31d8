//! A campaign's parts, segments and retry parts alike: what of them is left to be done.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::{SignedDuration, Timestamp};

use super::Ledger;
use crate::campaign::part::Retry;
use crate::campaign::retry::RetryState;
use crate::campaign::{CampaignId, PartKey};
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, count, number};
use crate::dynamo::key::{LedgerKey, Partition};
use crate::dynamo::read::Range;
use crate::dynamo::write::Location;

/// Minimum time between two jobs that are queued for a part because its own job may be lost.
const RECOVERED: Duration = Duration::from_secs(50);
/// Parts that one request reads, at most.
const PAGE: i32 = 500;

impl Ledger {
    /// When a retry part may be pushed to; `None` when it is done.
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

    /// Every part that is still to be worked on: segments that are not done, and retry parts with when they are due.
    /// Only those of one segment, where one is given.
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
                .query(&campaign, Range::Prefix(&prefix), PAGE)
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

    /// Notes that a job is queued for a part, in case it has none. False when one was queued a moment ago, or the part
    /// is done.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn note_recovery(
        &self,
        id: &CampaignId,
        part: &PartKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let again = SignedDuration::try_from(RECOVERED).unwrap_or(SignedDuration::ZERO);
        let before = now.checked_sub(again).unwrap_or(now);
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

    /// Where a part's item lies.
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
    let small = |name: &str| count(item, name).and_then(|n| u32::try_from(n).ok());
    Retry {
        endpoints: endpoints
            .map(|endpoints| endpoints.iter().cloned().collect())
            .unwrap_or_default(),
        state: RetryState {
            attempts: small("attempts").unwrap_or_default(),
            deferrals: small("waits").unwrap_or_default(),
            not_before: read_millis(item, "not_before").unwrap_or(Timestamp::UNIX_EPOCH),
            expires: read_millis(item, "expires"),
        },
    }
}
