//! Who is subscribed: one row for each endpoint. Every write that adds or takes away a row changes the count in the
//! same transaction, and every write says which row it expects to find.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};
use jiff::Timestamp;

use super::Subscribers;
use super::row::Row;
use super::upsert::Upsert;
use crate::dynamo::StoreError;
use crate::dynamo::item::string;
use crate::dynamo::transaction::Transacted;
use crate::subscribers::count::Change;
use crate::subscribers::registration::{MadeWith, Registration};
use webpush::KeyId;

/// How often a write is decided anew because the row changed meanwhile.
const DECISIONS: u32 = 50;

/// Subscriptions that [`Subscribers::subscribe_all`] takes: a transaction holds 100 items, and one is the count.
pub const MAX_AT_ONCE: usize = 99;

const EXISTS: &str = "attribute_exists(endpoint)";
const IS_NEW: &str = "attribute_not_exists(endpoint)";

/// What became of a prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    /// The row is gone, and counted no more.
    Removed,
    /// It was not the row that was read: its browser subscribed again, or it was gone already.
    Kept,
}

/// Whether a registration added a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// One more.
    New,
    /// It was there, and has new keys and fields.
    Refreshed,
}

impl Subscribers {
    /// Stores a subscription, or refreshes the one with the same endpoint: keys and `expirationTime` are replaced, tags,
    /// user and time zone where the registration says so.
    ///
    /// # Errors
    /// When DynamoDB fails; nothing is written then, or all is.
    pub async fn subscribe(
        &self,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Subscribed, StoreError> {
        let upsert = Upsert::new(registration, now);
        let endpoint = registration.subscription.endpoint.as_str();
        for attempt in 0..DECISIONS {
            if self.refresh(&upsert).await? {
                return Ok(Subscribed::Refreshed);
            }
            let items = vec![upsert.item(&self.db.tables.subscriptions, IS_NEW)];
            let change = Change::of([endpoint], []);
            match self
                .transact_counted("subscribe", items, &change, now)
                .await?
            {
                Transacted::Done => return Ok(Subscribed::New),
                Transacted::Unmet(_) => self.db.wait(attempt).await,
            }
        }
        Err(StoreError::Contended {
            operation: "subscribe",
            attempts: DECISIONS,
        })
    }

    /// Stores up to [`MAX_AT_ONCE`] subscriptions of different endpoints, with one transaction where all are new: many
    /// times faster than one by one. Says how many are [`Subscribed::New`].
    ///
    /// # Errors
    /// As [`Subscribers::subscribe`]; some may be stored then, each with its count. To do it again changes nothing.
    pub async fn subscribe_all(
        &self,
        registrations: &[Registration],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        if registrations.is_empty() {
            return Ok(0);
        }
        let new = |registration| {
            Upsert::new(registration, now).item(&self.db.tables.subscriptions, IS_NEW)
        };
        let items: Vec<_> = registrations.iter().map(new).collect();
        let endpoints = registrations
            .iter()
            .map(|it| it.subscription.endpoint.as_str());
        let change = Change::of(endpoints, []);
        let written = self.transact_counted("subscribe all", items, &change, now);
        if written.await? == Transacted::Done {
            return Ok(registrations.len());
        }
        let mut new = 0;
        for registration in registrations {
            if self.subscribe(registration, now).await? == Subscribed::New {
                new += 1;
            }
        }
        Ok(new)
    }

    /// Stores a subscription in the place of `old`, an endpoint that the browser had before: what the registration
    /// leaves out is inherited, and the count stays, all in one transaction: it is neither new nor is the old one gone.
    ///
    /// # Errors
    /// As [`Subscribers::subscribe`].
    pub async fn replace(
        &self,
        old: &str,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Subscribed, StoreError> {
        let endpoint = registration.subscription.endpoint.as_str();
        if old == endpoint {
            return self.subscribe(registration, now).await;
        }
        for attempt in 0..DECISIONS {
            let Some(row) = self.get(old).await? else {
                return self.subscribe(registration, now).await;
            };
            let upsert = Upsert::new(&inherit(registration.clone(), &row), now);
            let delete = self.delete_unchanged(&row);
            let moved = vec![
                delete.clone(),
                upsert.item(&self.db.tables.subscriptions, IS_NEW),
            ];
            let change = Change::of([endpoint], [old]);
            match self
                .transact_counted("replace", moved, &change, now)
                .await?
            {
                Transacted::Done => return Ok(Subscribed::New),
                // The old row is as it was read, so the new one is there already: two become one.
                Transacted::Unmet(unmet) if !unmet.contains(&0) => {
                    let merged = vec![delete, upsert.item(&self.db.tables.subscriptions, EXISTS)];
                    let change = Change::of([], [old]);
                    let written = self.transact_counted("replace", merged, &change, now);
                    if written.await? == Transacted::Done {
                        return Ok(Subscribed::Refreshed);
                    }
                }
                Transacted::Unmet(_) => {}
            }
            self.db.wait(attempt).await;
        }
        Err(StoreError::Contended {
            operation: "replace",
            attempts: DECISIONS,
        })
    }

    /// Removes a subscription. One that is not there is no error.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn unsubscribe(&self, endpoint: &str, now: Timestamp) -> Result<(), StoreError> {
        let delete = Delete::builder()
            .table_name(&self.db.tables.subscriptions)
            .key("endpoint", string(endpoint))
            .condition_expression(EXISTS)
            .build()
            .expect("table and key are given");
        let delete = TransactWriteItem::builder().delete(delete).build();
        let change = Change::of([], [endpoint]);
        self.transact_counted("unsubscribe", vec![delete], &change, now)
            .await?;
        Ok(())
    }

    /// Removes a row whose endpoint is gone, unless its browser wrote it again after it was read.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn prune(&self, row: &Row, now: Timestamp) -> Result<Pruned, StoreError> {
        let items = vec![self.delete_unchanged(row)];
        let change = Change::of([], [row.endpoint.as_str()]);
        let written = self.transact_counted("prune", items, &change, now);
        Ok(match written.await? {
            Transacted::Done => Pruned::Removed,
            Transacted::Unmet(_) => Pruned::Kept,
        })
    }

    /// Remembers that `row` was made with another key than it says; not if it has been written again since.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remember_key(&self, row: &Row, key: &KeyId) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&self.db.tables.subscriptions)
            .key("endpoint", string(&row.endpoint))
            .update_expression("SET vapid = :vapid")
            .condition_expression(Row::UNCHANGED)
            .expression_attribute_names("#auth", "auth")
            .set_expression_attribute_values(Some(row.unchanged()))
            .expression_attribute_values(":vapid", string(key.as_str()))
            .build()
            .expect("table, key and expression are given");
        let update = TransactWriteItem::builder().update(update).build();
        self.db.transact("remember key", vec![update]).await?;
        Ok(())
    }

    /// Writes a row that must be there. False when it is not.
    async fn refresh(&self, upsert: &Upsert) -> Result<bool, StoreError> {
        let request = self
            .db
            .client
            .update_item()
            .table_name(&self.db.tables.subscriptions)
            .key("endpoint", string(&upsert.endpoint))
            .condition_expression(EXISTS)
            .update_expression(&upsert.expression)
            .set_expression_attribute_names(Some(upsert.names.clone()))
            .set_expression_attribute_values(Some(upsert.values.clone()));
        Ok(self.db.update(request).await?.is_some())
    }

    pub(crate) fn delete_unchanged(&self, row: &Row) -> TransactWriteItem {
        let delete = Delete::builder()
            .table_name(&self.db.tables.subscriptions)
            .key("endpoint", string(&row.endpoint))
            .condition_expression(Row::UNCHANGED)
            .expression_attribute_names("#auth", "auth")
            .set_expression_attribute_values(Some(row.unchanged()))
            .build()
            .expect("table and key are given");
        TransactWriteItem::builder().delete(delete).build()
    }
}

/// What a registration leaves out is the old row's.
fn inherit(registration: Registration, row: &Row) -> Registration {
    let tags = (!row.tags.is_empty()).then(|| row.tags.clone());
    // A browser that is given another endpoint subscribes with the options of the old one.
    let vapid = match (registration.vapid, &row.vapid) {
        (MadeWith::Presumed(_) | MadeWith::Unknown, Some(id)) => MadeWith::Known(id.clone()),
        (given, _) => given,
    };
    Registration {
        vapid,
        tags: registration.tags.or(tags),
        user: registration.user.or(row.user.clone()),
        timezone: registration.timezone.or(row.timezone.clone()),
        created_at: registration.created_at.or(row.created_at),
        ..registration
    }
}
