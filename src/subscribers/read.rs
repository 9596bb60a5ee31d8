//! Reads subscriptions: one, a user's, all, a segment's, or those of a list of endpoints.

use std::collections::BTreeSet;
use std::fmt;

use super::Subscribers;
use super::row::{Cursor, Page, Row};
use crate::audience::Audience;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, string};
use crate::dynamo::schema::BY_USER;
use crate::dynamo::write::ENDPOINT;

/// Some rows of a segment.
#[derive(Clone, Default)]
pub struct SegmentPage {
    /// The rows that belong to the audience.
    pub rows: Vec<Row>,
    /// Rows that the scan looked at.
    pub scanned: u64,
    /// The last row's endpoint; `None` at the end of the segment.
    pub next: Option<String>,
}

/// Endpoints stay out of logs.
impl fmt::Debug for SegmentPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentPage")
            .field("rows", &self.rows.len())
            .field("scanned", &self.scanned)
            .field("is_last", &self.next.is_none())
            .finish()
    }
}

impl Subscribers {
    /// The subscription with this endpoint.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn get(&self, endpoint: &str) -> Result<Option<Row>, StoreError> {
        let found = self.db.get(self.db.subscription(endpoint)).await?;
        Ok(found.as_ref().map(Row::read))
    }

    /// One user's subscriptions, `limit` at a time. It reads an index that may miss writes of the last moments.
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

    /// The subscriptions of `audience` in one of `of` segments. Looks at up to `limit` rows after the endpoint `after`.
    /// The read is consistent: it finds every subscription that was written before.
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
        let after = after.map(|endpoint| Item::from([(ENDPOINT.to_owned(), string(endpoint))]));
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
            next: next.and_then(|key| key.get(ENDPOINT)?.as_s().ok()).cloned(),
        })
    }

    /// The subscriptions with these endpoints, in no order. Endpoints without a row are left out.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn rows(&self, endpoints: &BTreeSet<String>) -> Result<Vec<Row>, StoreError> {
        let rows = endpoints
            .iter()
            .map(|endpoint| self.db.subscription(endpoint));
        let items = self.db.read_some(&rows.collect::<Vec<_>>()).await?;
        Ok(items.iter().map(Row::read).collect())
    }
}
