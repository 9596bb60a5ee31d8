//! The number of subscriptions, in total and by push service, and how many were ever added. The figures are spread over
//! several items (shards), so that many browsers can subscribe at once. They change in the same transaction as the
//! subscription, so that no race and no crash can make them wrong.

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

/// Number of items that share the figures. DynamoDB refuses a transaction on an item that another one is writing.
const SHARDS: u8 = 16;

/// Attribute of the number of subscriptions.
const N: &str = "n";
/// Attribute of the number of subscriptions that were ever added.
const ADDED: &str = "added";

/// The number of subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Subscriptions.
    pub count: u64,
    /// Subscriptions that were ever added. It only grows. Use only differences: rows that are older than this figure
    /// are not in it.
    pub added: u64,
    services: BTreeMap<&'static str, i64>,
}

impl Totals {
    /// Subscriptions by push service. The figures add up to [`Totals::count`]. Rows that are older than these figures
    /// count as `other`.
    pub fn services(&self) -> BTreeMap<&'static str, u64> {
        let of = |service: PushService| {
            let n = self.services.get(service.label()).copied();
            (
                service.label(),
                // Negative if rows were removed that are older than the figures, and so were never counted.
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

/// The change that a write makes to the figures.
#[derive(Debug, Default)]
pub(crate) struct CountChange {
    /// Amounts by attribute, all nonzero.
    amounts: BTreeMap<&'static str, i64>,
    /// The shard that stores the change.
    shard: u8,
}

impl CountChange {
    /// The change for the endpoints of added and removed rows. A row that replaces another one has moved, and does not
    /// count as an added subscription.
    pub(crate) fn of<'a>(
        added: impl IntoIterator<Item = &'a str>,
        removed: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let added = added.into_iter().map(|endpoint| (endpoint, 1));
        let removed = removed.into_iter().map(|endpoint| (endpoint, -1));
        let mut amounts = BTreeMap::<_, i64>::new();
        let mut first = None;
        for (endpoint, one) in added.chain(removed) {
            first.get_or_insert(endpoint);
            *amounts.entry(N).or_default() += one;
            *amounts
                .entry(PushService::of_url(endpoint).label())
                .or_default() += one;
        }
        let growth = amounts.get(N).copied().unwrap_or_default();
        amounts.insert(ADDED, growth.max(0));
        amounts.retain(|_, amount| *amount != 0);
        Self {
            amounts,
            shard: first.map(shard).unwrap_or_default(),
        }
    }

    fn is_none(&self) -> bool {
        self.amounts.is_empty()
    }

    fn write(&self, to: Location) -> Write {
        // DynamoDB reserves the word "other", so each name gets a placeholder.
        let add: Vec<_> = self
            .amounts
            .keys()
            .map(|name| format!("#{name} :{name}"))
            .collect();
        let mut update = to.update(format!("ADD {}", add.join(", ")));
        for (name, amount) in &self.amounts {
            update = update.name(&format!("#{name}"), name);
            update = update.value(&format!(":{name}"), number(amount));
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

    /// The number of subscriptions, in total and by push service.
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

    /// Writes `items` and their change of the figures in one transaction. Every write that adds or removes a row must
    /// use this, because it also writes the opening balance of the day.
    pub(crate) async fn transact_counted(
        &self,
        operation: &'static str,
        mut items: Vec<TransactWriteItem>,
        change: &CountChange,
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

/// The shard that counts this endpoint. Readers use only the sum over all shards, so this choice may change.
fn shard(endpoint: &str) -> u8 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(endpoint);
    u8::try_from(hash % u64::from(SHARDS)).expect("below 16")
}
