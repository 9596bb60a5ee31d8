//! Which tags subscribers have, and how many subscribers have each. A site may use thousands of tags and a row fifty:
//! counters would slow every subscription down. So the figures come from a sample of the table. The ledger keeps it for a
//! minute, so that one sample a minute is read at most, however many operators look.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use jiff::fmt::serde::timestamp::millisecond;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Subscribers;
use super::sample::Sample;
use crate::dynamo::StoreError;
use crate::dynamo::item::to_item;
use crate::dynamo::key::LedgerKey;

/// Maximum number of tags that are kept: the most frequent ones. An item holds 400 kB, and is cheap while it is small.
pub const MOST_TAGS: usize = 200;

/// How long a sample is kept.
const KEPT: SignedDuration = SignedDuration::from_mins(1);

/// Tags of subscribers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// Number of subscribers with each tag, at most a minute ago.
    pub subscribers: BTreeMap<String, u64>,
    /// Whether all rows were counted and these are all tags; else the figures are estimates.
    pub exact: bool,
}

/// What was found in a sample: the item that keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    #[serde(with = "millisecond::required")]
    at: Timestamp,
    /// Rows that were looked at.
    sampled: u64,
    /// Whether those are all rows.
    whole: bool,
    /// How many rows of the sample have each tag.
    #[serde(with = "as_json")]
    rows: BTreeMap<String, u64>,
    /// Whether there are more tags than are kept.
    more: bool,
}

impl Found {
    fn sample(&self) -> Sample {
        Sample {
            rows: self.sampled,
            whole: self.whole,
        }
    }
}

/// The item holds the tags as one text: JSON.
mod as_json {
    use super::{BTreeMap, Deserialize as _};
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        rows: &BTreeMap<String, u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let json = serde_json::to_string(rows).map_err(S::Error::custom)?;
        serializer.serialize_str(&json)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, u64>, D::Error> {
        let json = String::deserialize(deserializer)?;
        serde_json::from_str(&json).map_err(D::Error::custom)
    }
}

impl Subscribers {
    /// The tags of `count` subscriptions.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tags(&self, count: u64, now: Timestamp) -> Result<Tags, StoreError> {
        let found = match self.kept_tags(now).await? {
            Some(found) => found,
            None => {
                let found = self.find_tags(count, now).await?;
                // This view has its figures: another one may keep them.
                if let Err(error) = self.keep_tags(&found).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a sample of the tags could not be kept");
                }
                found
            }
        };
        let sample = found.sample();
        // The count may have changed since: no tag has more subscribers than there are.
        let share = |rows: u64| sample.share(rows, count).min(count);
        let tags = found.rows.iter();
        Ok(Tags {
            subscribers: tags
                .map(|(tag, rows)| (tag.clone(), share(*rows)))
                .collect(),
            exact: sample.whole && !found.more,
        })
    }

    async fn find_tags(&self, count: u64, now: Timestamp) -> Result<Found, StoreError> {
        let ask = |scan: ScanFluentBuilder| {
            scan.projection_expression("#tags")
                .expression_attribute_names("#tags", "tags")
        };
        let mut rows = HashMap::<String, u64>::new();
        let read = |page: &ScanOutput| {
            let tags = page.items().iter().filter_map(|item| item.get("tags"));
            for tag in tags.filter_map(|tags| tags.as_ss().ok()).flatten() {
                *rows.entry(tag.clone()).or_default() += 1;
            }
        };
        let sample = self.sample(count, ask, read).await?;
        let more = rows.len() > MOST_TAGS;
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        rows.truncate(MOST_TAGS);
        Ok(Found {
            at: now,
            sampled: sample.rows,
            whole: sample.whole,
            rows: rows.into_iter().collect(),
            more,
        })
    }

    /// What was found less than a minute ago.
    async fn kept_tags(&self, now: Timestamp) -> Result<Option<Found>, StoreError> {
        let item = self.db.get(self.db.ledger(&LedgerKey::TagSample)).await?;
        let found = item.and_then(|item| serde_dynamo::from_item(item).ok());
        Ok(found.filter(|found: &Found| now.duration_since(found.at).abs() < KEPT))
    }

    async fn keep_tags(&self, found: &Found) -> Result<(), StoreError> {
        let put = self.db.ledger(&LedgerKey::TagSample).put(to_item(found));
        self.db.write_once(put, ReturnValue::None).await.map(drop)
    }
}
