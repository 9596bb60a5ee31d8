//! Reading who is subscribed: one, a user's, everyone, a segment of everyone, a list.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::Subscribers;
use super::row::{Cursor, Page, Row};
use crate::audience::Audience;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, string};
use crate::dynamo::schema::BY_USER;
use crate::dynamo::transaction::ATTEMPTS;

/// Rows that one request reads, at most.
const MOST_READ: usize = 100;

/// Part of a segment.
#[derive(Debug, Clone, Default)]
pub struct SegmentPage {
    /// Those of the audience.
    pub rows: Vec<Row>,
    /// Rows that were looked at.
    pub scanned: u64,
    /// The last one's endpoint; nothing when the segment is at its end.
    pub next: Option<String>,
}

impl Subscribers {
    /// The subscription with this endpoint.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn get(&self, endpoint: &str) -> Result<Option<Row>, StoreError> {
        let request = self
            .db
            .client
            .get_item()
            .table_name(&self.db.tables.subscriptions);
        let request = request
            .key("endpoint", string(endpoint))
            .consistent_read(true);
        let found = request
            .send()
            .await
            .map_err(|error| StoreError::sdk("GetItem", error))?;
        Ok(found.item().map(Row::read))
    }

    /// One user's subscriptions, `limit` at a time. The index may be a moment behind.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn of_user(
        &self,
        user: &str,
        from: Option<Cursor>,
        limit: i32,
    ) -> Result<Page, StoreError> {
        let found = self
            .db
            .client
            .query()
            .table_name(&self.db.tables.subscriptions)
            .index_name(BY_USER)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", "user")
            .expression_attribute_values(":user", string(user))
            .set_exclusive_start_key(from.map(|cursor| cursor.0))
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        Ok(Page {
            rows: found.items().iter().map(Row::read).collect(),
            next: found.last_evaluated_key.map(Cursor),
        })
    }

    /// All subscriptions, `limit` at a time, in no order.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn all(&self, from: Option<Cursor>, limit: i32) -> Result<Page, StoreError> {
        let found = self
            .db
            .client
            .scan()
            .table_name(&self.db.tables.subscriptions)
            .set_exclusive_start_key(from.map(|cursor| cursor.0))
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::sdk("Scan", error))?;
        Ok(Page {
            rows: found.items().iter().map(Row::read).collect(),
            next: found.last_evaluated_key.map(Cursor),
        })
    }

    /// One segment's subscriptions of `audience`, of which there are `of`: at most `limit` rows are looked at, after the
    /// endpoint `after`. Whoever was subscribed before is read, if only a moment before.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn scan_segment(
        &self,
        segment: u32,
        of: u32,
        audience: &Audience,
        after: Option<&str>,
        limit: i32,
    ) -> Result<SegmentPage, StoreError> {
        let number = |n: u32| i32::try_from(n).expect("a thousand segments at most");
        let after = after.map(|endpoint| Item::from([("endpoint".to_owned(), string(endpoint))]));
        let mut request = self
            .db
            .client
            .scan()
            .table_name(&self.db.tables.subscriptions)
            .consistent_read(true)
            .segment(number(segment))
            .total_segments(number(of))
            .set_exclusive_start_key(after)
            .limit(limit);
        if let Some(filter) = audience.filter() {
            request = request
                .filter_expression(filter.expression)
                .set_expression_attribute_names(Some(filter.names))
                .set_expression_attribute_values(Some(filter.values));
        }
        let found = request
            .send()
            .await
            .map_err(|error| StoreError::sdk("Scan", error))?;
        let next = found.last_evaluated_key();
        Ok(SegmentPage {
            rows: found.items().iter().map(Row::read).collect(),
            scanned: u64::try_from(found.scanned_count()).unwrap_or_default(),
            next: next
                .and_then(|key| key.get("endpoint")?.as_s().ok())
                .cloned(),
        })
    }

    /// The subscriptions with these endpoints, in no order; those that are gone are left out.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn rows(&self, endpoints: &BTreeSet<String>) -> Result<Vec<Row>, StoreError> {
        let table = &self.db.tables.subscriptions;
        let mut rows = Vec::with_capacity(endpoints.len());
        let all: Vec<&String> = endpoints.iter().collect();
        for some in all.chunks(MOST_READ) {
            let keys = some
                .iter()
                .map(|endpoint| Item::from([("endpoint".to_owned(), string(endpoint))]));
            let mut wanted = Some(
                KeysAndAttributes::builder()
                    .set_keys(Some(keys.collect()))
                    .consistent_read(true)
                    .build()
                    .expect("keys are given"),
            );
            let mut attempt = 0;
            while let Some(keys) = wanted.take() {
                let before = rows.len();
                let found = self
                    .db
                    .client
                    .batch_get_item()
                    .request_items(table, keys)
                    .send()
                    .await
                    .map_err(|error| StoreError::sdk("BatchGetItem", error))?;
                let read = found.responses().and_then(|tables| tables.get(table));
                rows.extend(read.into_iter().flatten().map(Row::read));
                // What did not fit into one answer, or was too fast for the table.
                wanted = found
                    .unprocessed_keys
                    .and_then(|mut tables| tables.remove(table))
                    .filter(|keys| !keys.keys().is_empty());
                if wanted.is_some() && rows.len() == before {
                    attempt += 1;
                    if attempt == ATTEMPTS {
                        return Err(StoreError::Contended {
                            operation: "BatchGetItem",
                            attempts: ATTEMPTS,
                        });
                    }
                    self.db.wait(attempt).await;
                }
            }
        }
        Ok(rows)
    }
}
