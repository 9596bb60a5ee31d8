//! How many are subscribed, in all and by push service, and how many have ever come. The figures are spread over several
//! items, so that many can subscribe at once, and change in the same transaction as the subscription: they are exact
//! under any race and any crash.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use jiff::Timestamp;

use super::Subscribers;
use crate::dynamo::StoreError;
use crate::dynamo::item::number;
use crate::dynamo::item::{Item, string};
use crate::dynamo::transaction::Transacted;
use webpush::PushService;

/// Items that the figures are spread over. DynamoDB refuses a transaction on an item that another one is writing.
const SHARDS: u64 = 16;

/// Partition key of these items.
const COUNT: &str = "count";
/// Attribute of the number of subscriptions.
const N: &str = "n";
/// Attribute of the number that was ever added.
const ADDED: &str = "added";

/// How many are subscribed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Subscriptions.
    pub count: u64,
    /// Subscriptions that have come, whether or not they are still there. It only grows, and only differences have a
    /// meaning: a database can be older than this figure.
    pub added: u64,
    services: BTreeMap<&'static str, i64>,
}

impl Totals {
    /// Subscriptions by push service; the figures add up to [`Totals::count`]. Rows that are older than these figures
    /// are counted as another service's.
    pub fn services(&self) -> BTreeMap<&'static str, u64> {
        let of = |service: PushService| {
            let n = self.services.get(service.label()).copied();
            (
                service.label(),
                // A row that goes and is older than the figures was never counted.
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
    part: String,
    /// By attribute.
    by: BTreeMap<&'static str, i64>,
}

impl Change {
    /// By the endpoints of the rows that come, and of those that go. Who comes in the place of one who goes has moved:
    /// neither is new, and neither is gone.
    pub(crate) fn of<'a>(
        came: impl IntoIterator<Item = &'a str>,
        gone: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let came = came.into_iter().map(|endpoint| (endpoint, 1));
        let gone = gone.into_iter().map(|endpoint| (endpoint, -1));
        let mut change = Self::default();
        for (endpoint, by) in came.chain(gone) {
            if change.part.is_empty() {
                change.part = shard(endpoint);
            }
            *change.by.entry(N).or_default() += by;
            let service = PushService::of_url(endpoint).label();
            *change.by.entry(service).or_default() += by;
        }
        let more = change.by.get(N).copied().unwrap_or_default();
        change.by.insert(ADDED, more.max(0));
        change.by.retain(|_, by| *by != 0);
        change
    }

    fn is_none(&self) -> bool {
        self.by.is_empty()
    }

    fn item(&self, table: &str) -> TransactWriteItem {
        let mut update = Update::builder()
            .table_name(table)
            .key("id", string(COUNT))
            .key("part", string(&self.part));
        let mut add = Vec::new();
        for (name, by) in &self.by {
            add.push(format!("#{name} :{name}"));
            // "other" is a word that DynamoDB reserves.
            update = update.expression_attribute_names(format!("#{name}"), *name);
            update = update.expression_attribute_values(format!(":{name}"), number(by));
        }
        let update = update.update_expression(format!("ADD {}", add.join(", ")));
        let update = update.build().expect("table, key and expression are given");
        TransactWriteItem::builder().update(update).build()
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

    /// How many are subscribed.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let found = self
            .db
            .client
            .query()
            .table_name(&self.db.tables.ledger)
            .consistent_read(true)
            .key_condition_expression("id = :count")
            .expression_attribute_values(":count", string(COUNT))
            .limit(i32::try_from(SHARDS).expect("a small number"))
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        Ok(Totals::read(found.items()))
    }

    /// Writes all of `items` and the change of the figures that they are, or nothing. Every write that adds a row or
    /// takes one away comes through here, so that no day begins without its opening.
    pub(crate) async fn transact_counted(
        &self,
        operation: &'static str,
        mut items: Vec<TransactWriteItem>,
        change: &Change,
        now: Timestamp,
    ) -> Result<Transacted, StoreError> {
        if !change.is_none() {
            self.open_day(now).await;
            items.push(change.item(&self.db.tables.ledger));
        }
        self.db.transact(operation, items).await
    }
}

/// Which item counts this endpoint. Only the sum has a meaning, so another choice later breaks nothing.
fn shard(endpoint: &str) -> String {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(endpoint);
    format!("{:02}", hash % SHARDS)
}
