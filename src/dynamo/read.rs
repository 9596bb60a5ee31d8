//! Reads one item, the items of a ledger partition, or items by their keys.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::item::{Item, string};
use super::key::{ID, PART, Partition};
use super::transaction::COLLISION;
use super::write::Location;
use super::{Database, StoreError};
use crate::backoff::Attempts;

/// Maximum number of keys in one batch (`BatchGetItem`).
const MAX_BATCH: usize = 100;

/// A choice of items in a partition.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range<'a> {
    /// All items.
    All,
    /// Items whose sort key begins with this text.
    Prefix(&'a str),
    /// Items up to and including this sort key.
    UpTo(&'a str),
}

impl Database {
    /// Reads one item, with a consistent read.
    pub(crate) async fn get(&self, location: Location) -> Result<Option<Item>, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(location.table)
            .set_key(Some(location.key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::sdk("GetItem", error))?;
        Ok(found.item)
    }

    /// A query of the ledger with consistent reads, up to `limit` items in one request.
    pub(crate) fn query(
        &self,
        partition: &Partition,
        range: Range<'_>,
        limit: i32,
    ) -> QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.tables.ledger)
            .consistent_read(true)
            .expression_attribute_values(":id", string(&partition.to_string()))
            .limit(limit);
        let of_partition = format!("{ID} = :id");
        match range {
            Range::All => query.key_condition_expression(of_partition),
            Range::Prefix(prefix) => query
                .key_condition_expression(format!(
                    "{of_partition} AND begins_with({PART}, :prefix)"
                ))
                .expression_attribute_values(":prefix", string(prefix)),
            Range::UpTo(last) => query
                .key_condition_expression(format!("{of_partition} AND {PART} <= :last"))
                .expression_attribute_values(":last", string(last)),
        }
    }

    /// Reads every item that a query finds, page by page.
    pub(crate) async fn read_all(
        &self,
        query: QueryFluentBuilder,
    ) -> Result<Vec<Item>, StoreError> {
        let items = query.into_paginator().items().send();
        let items = items.collect::<Result<_, _>>().await;
        items.map_err(|error| StoreError::sdk("Query", error))
    }

    /// Reads these items of one table with consistent reads, in no order. Leaves out items that do not exist.
    pub(crate) async fn read_some(&self, locations: &[Location]) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(locations.len());
        for some in locations.chunks(MAX_BATCH) {
            self.read_batch(some, &mut items).await?;
        }
        Ok(items)
    }

    async fn read_batch(
        &self,
        locations: &[Location],
        items: &mut Vec<Item>,
    ) -> Result<(), StoreError> {
        let Some(Location { table, .. }) = locations.first() else {
            return Ok(());
        };
        let mut keys: Vec<Item> = locations.iter().map(|it| it.key.clone()).collect();
        let mut attempts = Attempts::begin(COLLISION);
        loop {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .expect("keys are given");
            let request = self.client.batch_get_item().request_items(table, wanted);
            let found = request.send().await;
            let mut found = found.map_err(|error| StoreError::sdk("BatchGetItem", error))?;
            let read = found.responses.as_mut().and_then(|them| them.remove(table));
            let read = read.unwrap_or_default();
            // DynamoDB leaves out keys when the answer is full or the table is too busy.
            let left = found
                .unprocessed_keys
                .and_then(|mut them| them.remove(table));
            keys = left.map(|left| left.keys).unwrap_or_default();
            if keys.is_empty() {
                items.extend(read);
                return Ok(());
            }
            if !read.is_empty() {
                items.extend(read);
                attempts = Attempts::begin(COLLISION);
            } else if !attempts.wait_for_next(&self.chance).await {
                return Err(StoreError::contended("BatchGetItem", &attempts));
            }
        }
    }
}
