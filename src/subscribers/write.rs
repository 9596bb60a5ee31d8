//! Subscribes, moves and unsubscribes browsers. Each endpoint has one row. Every write that adds or removes a row
//! changes the count in the same transaction, and every write has a condition on the row that it expects to find.

use aws_sdk_dynamodb::types::{ReturnValue, TransactWriteItem};
use jiff::Timestamp;

use super::Subscribers;
use super::row::Row;
use super::upsert::Upsert;
use crate::backoff::Attempts;
use crate::dynamo::StoreError;
use crate::dynamo::item::string;
use crate::dynamo::transaction::{DECISION, MAX_ITEMS, Transacted};
use crate::dynamo::write::Write;
use crate::subscribers::count::CountChange;
use crate::subscribers::registration::{MadeWith, Registration};
use webpush::KeyId;

/// Maximum number of subscriptions for [`Subscribers::subscribe_all`]. The count takes one item of the transaction.
pub const MAX_AT_ONCE: usize = MAX_ITEMS - 1;

const EXISTS: &str = "attribute_exists(endpoint)";
const IS_NEW: &str = "attribute_not_exists(endpoint)";

/// Whether [`Subscribers::prune`] removed the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    /// The row is removed and no longer counted.
    Removed,
    /// The row has changed since it was read: its browser has subscribed again, or it is already gone.
    Kept,
}

/// Whether a registration added a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// The endpoint had no row before.
    New,
    /// The endpoint had a row, which now has the new keys and fields.
    Refreshed,
}

impl Subscribers {
    /// Stores a subscription, or refreshes the one with the same endpoint. A refresh replaces the keys and
    /// `expirationTime`, and those of tags, user and time zone that the registration gives.
    ///
    /// # Errors
    /// When DynamoDB fails. Then either everything is written or nothing.
    pub async fn subscribe(
        &self,
        registration: &Registration,
        now: Timestamp,
    ) -> Result<Subscribed, StoreError> {
        let upsert = Upsert::new(registration, now);
        let endpoint = registration.subscription.endpoint.as_str();
        let operation = "subscribe";
        let mut attempts = Attempts::begin(DECISION);
        loop {
            if self.refresh(&upsert).await? {
                return Ok(Subscribed::Refreshed);
            }
            let items = vec![upsert.write(&self.db).when(IS_NEW).transact()];
            let change = CountChange::of([endpoint], []);
            let written = self.transact_counted(operation, items, &change, now);
            if written.await? == Transacted::Done {
                return Ok(Subscribed::New);
            }
            self.db.decide_again(operation, &mut attempts).await?;
        }
    }

    /// Stores up to [`MAX_AT_ONCE`] subscriptions with different endpoints. If all are new, one transaction stores
    /// them, many times faster than one by one. Returns how many are [`Subscribed::New`].
    ///
    /// # Errors
    /// As [`Subscribers::subscribe`]. Some may be stored and counted by then; another call stores the rest.
    pub async fn subscribe_all(
        &self,
        registrations: &[Registration],
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        if registrations.is_empty() {
            return Ok(0);
        }
        let new = |registration| {
            let write = Upsert::new(registration, now).write(&self.db);
            write.when(IS_NEW).transact()
        };
        let items: Vec<_> = registrations.iter().map(new).collect();
        let endpoints = registrations
            .iter()
            .map(|it| it.subscription.endpoint.as_str());
        let change = CountChange::of(endpoints, []);
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

    /// Moves a browser's subscription from its former endpoint `old` to a new one. The new row inherits what the
    /// registration leaves out. One transaction does both, and the count stays the same.
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
        let operation = "replace";
        let mut attempts = Attempts::begin(DECISION);
        loop {
            let Some(row) = self.get(old).await? else {
                return self.subscribe(registration, now).await;
            };
            let upsert = Upsert::new(&inherit(registration.clone(), &row), now);
            let delete = self.delete_unchanged(&row);
            let put = upsert.write(&self.db);
            let moved = vec![delete.clone(), put.clone().when(IS_NEW).transact()];
            let change = CountChange::of([endpoint], [old]);
            match self
                .transact_counted(operation, moved, &change, now)
                .await?
            {
                Transacted::Done => return Ok(Subscribed::New),
                // The old row has not changed, so the new endpoint must have a row already: merge the two.
                Transacted::Unmet(unmet) if !unmet.contains(&0) => {
                    let merged = vec![delete, put.when(EXISTS).transact()];
                    let change = CountChange::of([], [old]);
                    let written = self.transact_counted(operation, merged, &change, now);
                    if written.await? == Transacted::Done {
                        return Ok(Subscribed::Refreshed);
                    }
                }
                Transacted::Unmet(_) => {}
            }
            self.db.decide_again(operation, &mut attempts).await?;
        }
    }

    /// Removes a subscription. It is no error if there is none.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn unsubscribe(&self, endpoint: &str, now: Timestamp) -> Result<(), StoreError> {
        let delete = self.db.subscription(endpoint).delete().when(EXISTS);
        let change = CountChange::of([], [endpoint]);
        self.transact_counted("unsubscribe", vec![delete.transact()], &change, now)
            .await?;
        Ok(())
    }

    /// Removes a row whose subscription has ended, unless its browser has written it again since it was read.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn prune(&self, row: &Row, now: Timestamp) -> Result<Pruned, StoreError> {
        let items = vec![self.delete_unchanged(row)];
        let change = CountChange::of([], [row.endpoint.as_str()]);
        let written = self.transact_counted("prune", items, &change, now);
        Ok(match written.await? {
            Transacted::Done => Pruned::Removed,
            Transacted::Unmet(_) => Pruned::Kept,
        })
    }

    /// Stores the key that `row` was made with, unless its browser has written the row again since.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn remember_key(&self, row: &Row, key: &KeyId) -> Result<(), StoreError> {
        let row_item = self.db.subscription(&row.endpoint);
        let update = when_unchanged(row, row_item.update("SET vapid = :vapid"));
        let update = update.value(":vapid", string(key.as_str())).transact();
        self.db.transact("remember key", vec![update]).await?;
        Ok(())
    }

    /// Updates an existing row. False if there is none.
    async fn refresh(&self, upsert: &Upsert) -> Result<bool, StoreError> {
        let write = upsert.write(&self.db).when(EXISTS);
        Ok(self.db.write(write, ReturnValue::None).await?.is_some())
    }

    /// Removes a row, unless its browser has written it again since it was read.
    pub(crate) fn delete_unchanged(&self, row: &Row) -> TransactWriteItem {
        when_unchanged(row, self.db.subscription(&row.endpoint).delete()).transact()
    }
}

/// Makes `write` conditional on an unchanged row.
fn when_unchanged(row: &Row, write: Write) -> Write {
    write
        .when(Row::UNCHANGED)
        .name("#auth", "auth")
        .values(row.unchanged())
}

/// Fills gaps in the registration with the old row's values.
fn inherit(registration: Registration, row: &Row) -> Registration {
    let tags = (!row.tags.is_empty()).then(|| row.tags.clone());
    // A browser that gets a new endpoint subscribes with the options, and so the key, of the old one.
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
