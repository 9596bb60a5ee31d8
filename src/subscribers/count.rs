//! The number of subscriptions, in all and by push service, and how many were ever added. The figures are spread over
//! several items (shards), so that many browsers can subscribe at once. They change in the same transaction as the
//! subscription, and so are exact under any race and any crash.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use webpush::PushService;

use super::Subscribers;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, number};
use crate::dynamo::key::{LedgerKey, Partition};
use crate::dynamo::read::Range;
use crate::dynamo::transaction::Transacted;
use crate::dynamo::write::{Location, Write};

/// Items that the figures are spread over. DynamoDB refuses a transaction on an item that another one is writing.
const SHARDS: u8 = 16;

/// Attribute of the number of subscriptions.
const N: &str = "n";
/// Attribute of the number that was ever added.
const ADDED: &str = "added";

/// The number of subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Subscriptions.
    pub count: u64,
    /// Subscriptions that were ever added. It only grows, and only differences have a meaning: a database can be older
    /// than this figure.
    pub added: u64,
    services: BTreeMap<&'static str, i64>,
}

impl Totals {
    /// Subscriptions by push service; the figures add up to [`Totals::count`]. Rows that are older than these figures
    /// count as `other`.
    pub fn services(&self) -> BTreeMap<&'static str, u64> {
        let of = |service: PushService| {
            let n = self.services.get(service.label()).copied();
            (
                service.label(),
                // Below zero after the removal of a row that is older than the figures: it was never counted.
                u64::try_from(n.unwrap_or_default()).unwrap_or_default(),
            )
        };
        let mut services: BTreeMap<_, _> = PushService::ALL.into_iter().map(of).collect();
        let uncounted = self.count.saturating_sub(services.values().sum());
        *services.entry(PushService::Other.label()).or_default() += uncounted;
        services
    }

    fn read(items: &[Item]) -> Self {
        let sum = |name: &str| -> i64 {
            let of = |item: &Item| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
            items.iter().filter_map(of).sum()
        };
        let services = PushService::ALL.map(PushService::label);
        Self {
            count: u64::try_from(sum(N)).unwrap_or_default(),
            added: u64::try_from(sum(ADDED)).unwrap_or_default(),
            services: services.map(|label| (label, sum(label))).into(),
        }
    }
}

/// What a write does to the figures.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// By attribute; none is zero.
    by: BTreeMap<&'static str, i64>,
    /// The shard that takes the change.
    shard: u8,
}

impl Change {
    /// By the endpoints of the rows that are added, and of those that are removed. A row that takes the place of another
    /// has moved: it is not added, and the other is not removed.
    pub(crate) fn of<'a>(
        added: impl IntoIterator<Item = &'a str>,
        removed: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let added = added.into_iter().map(|endpoint| (endpoint, 1));
        let removed = removed.into_iter().map(|endpoint| (endpoint, -1));
        let mut by = BTreeMap::<_, i64>::new();
        let mut first = None;
        for (endpoint, one) in added.chain(removed) {
            first.get_or_insert(endpoint);
            *by.entry(N).or_default() += one;
            *by.entry(PushService::of_url(endpoint).label()).or_default() += one;
        }
        let more = by.get(N).copied().unwrap_or_default();
        by.insert(ADDED, more.max(0));
        by.retain(|_, by| *by != 0);
        Self {
            by,
            shard: first.map(shard).unwrap_or_default(),
        }
    }

    fn is_none(&self) -> bool {
        self.by.is_empty()
    }

    fn write(&self, to: Location) -> Write {
        // "other" is a word that DynamoDB reserves: each name gets a placeholder.
        let add: Vec<_> = self
            .by
            .keys()
            .map(|name| format!("#{name} :{name}"))
            .collect();
        let mut update = to.update(format!("ADD {}", add.join(", ")));
        for (name, by) in &self.by {
            update = update.name(&format!("#{name}"), name);
            update = update.value(&format!(":{name}"), number(by));
        }
        update
    }
}

impl Subscribers {
    /// The number of subscriptions.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.totals().await?.count)
    }

    /// The number of subscriptions, in all and by push service.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let found = self
            .db
            .query(&Partition::Counts, Range::All, i32::from(SHARDS))
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        Ok(Totals::read(found.items()))
    }

    /// Writes all of `items` and the change of the figures that they make, or nothing. Every write that adds or removes
    /// a row comes through here, so that no day begins without its opening balance.
    pub(crate) async fn transact_counted(
        &self,
        operation: &'static str,
        mut items: Vec<TransactWriteItem>,
        change: &Change,
        now: Timestamp,
    ) -> Result<Transacted, StoreError> {
        if !change.is_none() {
            self.open_day(now).await;
            let shard = LedgerKey::Count {
                shard: change.shard,
            };
            items.push(change.write(self.db.ledger(&shard)).transact());
        }
        self.db.transact(operation, items).await
    }
}

/// The shard that counts this endpoint. Only the sum over all shards has a meaning, so this choice may change.
fn shard(endpoint: &str) -> u8 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(endpoint);
    u8::try_from(hash % u64::from(SHARDS)).expect("below 16")
}
