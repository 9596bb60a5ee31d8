//! Which tags subscribers have, and how many have each. A site may use thousands of them, and a row fifty: counters
//! would be what every subscription waits for. So they come from a sample, which is kept for a minute: however many look,
//! and however often, one sample a minute is read.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::Subscribers;
use super::sample::Sample;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, string};
use crate::dynamo::item::{count, number};

/// Tags that are kept, at most: the most frequent ones. An item holds 400 kB, and is cheap while it is small.
pub const MOST_TAGS: usize = 200;

/// Partition key and sort key of the sample that is kept.
const TAGS: (&str, &str) = ("tags", "sample");
const KEPT: SignedDuration = SignedDuration::from_mins(1);

/// Tags of subscribers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// How many have each, at most a minute ago.
    pub subscribers: BTreeMap<String, u64>,
    /// Whether everyone was counted, and these are all tags.
    pub exact: bool,
}

/// What was found in a sample.
#[derive(Debug)]
struct Found {
    at: Timestamp,
    sample: Sample,
    /// How many rows of the sample have each.
    rows: BTreeMap<String, u64>,
    /// Whether there are more.
    more: bool,
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
                // The figures are at hand: another view may keep them.
                if let Err(error) = self.keep_tags(&found).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a sample of the tags could not be kept");
                }
                found
            }
        };
        // The count may have changed since, and nobody is more than everyone.
        let share = |rows: u64| found.sample.share(rows, count).min(count);
        let tags = found.rows.iter();
        Ok(Tags {
            subscribers: tags
                .map(|(tag, rows)| (tag.clone(), share(*rows)))
                .collect(),
            exact: found.sample.whole && !found.more,
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
            sample,
            rows: rows.into_iter().collect(),
            more,
        })
    }

    /// What was found less than a minute ago.
    async fn kept_tags(&self, now: Timestamp) -> Result<Option<Found>, StoreError> {
        let kept = self
            .db
            .client
            .get_item()
            .table_name(&self.db.tables.ledger)
            .key("id", string(TAGS.0))
            .key("part", string(TAGS.1))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::sdk("GetItem", error))?;
        let found = kept.item().and_then(Found::read);
        Ok(found.filter(|found| now.duration_since(found.at).abs() < KEPT))
    }

    async fn keep_tags(&self, found: &Found) -> Result<(), StoreError> {
        self.db
            .client
            .put_item()
            .table_name(&self.db.tables.ledger)
            .set_item(Some(found.item()))
            .send()
            .await
            .map(drop)
            .map_err(|error| StoreError::sdk("PutItem", error))
    }
}

impl Found {
    fn item(&self) -> Item {
        let rows = serde_json::to_string(&self.rows).expect("text and numbers");
        let item = [
            ("id", string(TAGS.0)),
            ("part", string(TAGS.1)),
            ("at", number(self.at.as_millisecond())),
            ("sampled", number(self.sample.rows)),
            ("whole", AttributeValue::Bool(self.sample.whole)),
            ("more", AttributeValue::Bool(self.more)),
            ("rows", AttributeValue::S(rows)),
        ];
        item.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn read(item: &Item) -> Option<Self> {
        let is = |name: &str| item.get(name)?.as_bool().ok().copied();
        let at = item.get("at")?.as_n().ok()?.parse().ok()?;
        Some(Self {
            at: Timestamp::from_millisecond(at).ok()?,
            sample: Sample {
                rows: count(item, "sampled")?,
                whole: is("whole")?,
            },
            rows: serde_json::from_str(item.get("rows")?.as_s().ok()?).ok()?,
            more: is("more")?,
        })
    }
}
