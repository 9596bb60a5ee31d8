//! The tags in use, and how many subscribers have each. A site may use thousands of tags and a row fifty, so counting
//! each tag would slow every subscription down. Instead, the figures come from a sample of the table. The ledger keeps
//! the sample for a minute, so that many operators together cause at most one sample a minute.

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

/// Maximum number of tags that a sample keeps, the most frequent ones. A small item costs less, and may hold 400 kB.
pub const MOST_TAGS: usize = 200;

/// How long a stored sample is used.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(1);

/// The tags in use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// Number of subscribers with each tag. It may be a minute old.
    pub subscribers: BTreeMap<String, u64>,
    /// Whether all rows were counted and these are all tags. Otherwise the figures are estimates.
    pub exact: bool,
}

/// The tags in a sample, as the ledger stores them.
#[derive(Debug, Serialize, Deserialize)]
struct TagSample {
    #[serde(with = "millisecond::required")]
    at: Timestamp,
    /// Number of rows in the sample.
    sampled: u64,
    /// Whether those are all rows of the table.
    whole: bool,
    /// Number of the sample's rows with each tag.
    #[serde(with = "as_json")]
    rows: BTreeMap<String, u64>,
    /// Whether the sample had more tags than are kept here.
    more: bool,
}

impl TagSample {
    fn sample(&self) -> Sample {
        Sample {
            rows: self.sampled,
            whole: self.whole,
        }
    }
}

/// The item stores the tags as one JSON text.
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
        let found = match self.stored_tags(now).await? {
            Some(found) => found,
            None => {
                let found = self.sample_tags(count, now).await?;
                // The caller has its figures. A later call may store a sample.
                if let Err(error) = self.store_tags(&found).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "could not store a sample of the tags");
                }
                found
            }
        };
        let sample = found.sample();
        // The count may have shrunk since. Never show a tag with more subscribers than there are.
        let share = |rows: u64| sample.share(rows, count).min(count);
        let tags = found.rows.iter();
        Ok(Tags {
            subscribers: tags
                .map(|(tag, rows)| (tag.clone(), share(*rows)))
                .collect(),
            exact: sample.whole && !found.more,
        })
    }

    async fn sample_tags(&self, count: u64, now: Timestamp) -> Result<TagSample, StoreError> {
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
        Ok(TagSample {
            at: now,
            sampled: sample.rows,
            whole: sample.whole,
            rows: rows.into_iter().collect(),
            more,
        })
    }

    /// The stored sample, if it is less than a minute old.
    async fn stored_tags(&self, now: Timestamp) -> Result<Option<TagSample>, StoreError> {
        let item = self.db.get(self.db.ledger(&LedgerKey::TagSample)).await?;
        let found = item.and_then(|item| serde_dynamo::from_item(item).ok());
        Ok(found.filter(|found: &TagSample| now.duration_since(found.at).abs() < MAX_AGE))
    }

    async fn store_tags(&self, found: &TagSample) -> Result<(), StoreError> {
        let put = self.db.ledger(&LedgerKey::TagSample).put(to_item(found));
        self.db.write_once(put, ReturnValue::None).await.map(drop)
    }
}
