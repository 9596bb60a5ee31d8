//! The ledger: for now, the number of subscriptions. It is spread over several items, so that many can subscribe at
//! once, and changes in the same transaction as the subscription: it is exact under any race and any crash.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::{Store, StoreError};

/// Items that the count is spread over. DynamoDB refuses a transaction on an item that another one is writing.
const SHARDS: u64 = 16;

/// Partition key of the count's items.
const COUNT: &str = "count";

impl Store {
    /// The number of subscriptions.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let items = self
            .client
            .query()
            .table_name(&self.tables.ledger)
            .consistent_read(true)
            .key_condition_expression("id = :count")
            .expression_attribute_values(":count", AttributeValue::S(COUNT.to_owned()))
            .limit(i32::try_from(SHARDS).expect("a small number"))
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        let shard = |item: &HashMap<String, AttributeValue>| {
            item.get("n")
                .and_then(|n| n.as_n().ok())
                .and_then(|n| n.parse::<i64>().ok())
        };
        let total: i64 = items.items().iter().filter_map(shard).sum();
        Ok(u64::try_from(total).unwrap_or_default())
    }

    /// The part of a transaction that counts `change` more, on the item of one of the endpoints.
    pub(super) fn count_change(&self, endpoint: &str, change: i64) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(&self.tables.ledger)
            .key("id", AttributeValue::S(COUNT.to_owned()))
            .key("part", AttributeValue::S(shard(endpoint)))
            .update_expression("ADD n :change")
            .expression_attribute_values(":change", AttributeValue::N(change.to_string()))
            .build()
            .expect("table, key and expression are given");
        TransactWriteItem::builder().update(update).build()
    }
}

/// Which item counts this endpoint. Only the sum has a meaning, so another choice later breaks nothing.
fn shard(endpoint: &str) -> String {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(endpoint);
    format!("{:02}", hash % SHARDS)
}
