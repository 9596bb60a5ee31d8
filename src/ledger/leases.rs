//! Leases: the right to work on a part. A worker takes a lease by writing a random name into the part's item. Every
//! checkpoint is conditional on that name (a *fence*). So a worker that has lost its lease to another one cannot change
//! anything.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;

use super::Ledger;
use super::parts::{read_millis, read_retry};
use super::segments::{Segment, read_segment};
use crate::campaign::part::Retry;
use crate::campaign::{CampaignId, PartKey};
use crate::clock::Chance;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, number, string};
use crate::time::after;

/// The process that works on parts.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The process's random name, chosen at its start.
    pub name: String,
    /// Whether no other process works on this ledger. Then a lease under another name belongs to a process that has
    /// ended, and can be taken at once.
    pub alone: bool,
}

impl Worker {
    /// One of several processes that work on the ledger.
    pub fn one_of_many(chance: &Chance) -> Self {
        Self {
            name: format!("{:016x}", chance.draw()),
            alone: false,
        }
    }
}

/// The right to work on a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The part.
    pub part: PartKey,
    /// The holder's name, as the part's item stores it.
    pub owner: String,
}

/// The answer to a worker that asks for a part.
#[derive(Debug, Clone)]
pub enum Taken<T> {
    /// The worker now has the lease.
    Ours(Lease, T),
    /// Another worker has the lease, at the latest until this time.
    Held(Timestamp),
    /// The part is done, or never existed.
    Missing,
}

impl Ledger {
    /// Takes the lease of a segment, unless another worker holds it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn take_segment(
        &self,
        id: &CampaignId,
        part: &PartKey,
        worker: &Worker,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Taken<Segment>, StoreError> {
        self.take(id, part, worker, lease, now, read_segment).await
    }

    /// Takes the lease of a retry part, unless another worker holds it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn take_retry(
        &self,
        id: &CampaignId,
        part: &PartKey,
        worker: &Worker,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Taken<Retry>, StoreError> {
        self.take(id, part, worker, lease, now, read_retry).await
    }

    async fn take<T>(
        &self,
        id: &CampaignId,
        part: &PartKey,
        worker: &Worker,
        lease: Duration,
        now: Timestamp,
        read: impl Fn(&Item) -> T,
    ) -> Result<Taken<T>, StoreError> {
        let owner = self.owner(worker);
        let until = after(now, lease);
        let mut free = "attribute_not_exists(#owner) OR #until <= :now".to_owned();
        if worker.alone {
            free += " OR NOT begins_with(#owner, :name)";
        }
        let mut take = self
            .part_item(id, part)
            .update("SET #owner = :owner, #until = :until")
            .when(format!("attribute_exists(id) AND ({free})"))
            .name("#owner", "owner")
            .name("#until", "until")
            .value(":owner", string(&owner))
            .value(":until", number(until.as_millisecond()))
            .value(":now", number(now.as_millisecond()));
        if worker.alone {
            take = take.value(":name", string(&worker.name));
        }
        let ours = |item: &Item| {
            let (part, owner) = (part.clone(), owner.clone());
            Taken::Ours(Lease { part, owner }, read(item))
        };
        if let Some(item) = self.db.write(take, ReturnValue::AllNew).await? {
            return Ok(ours(&item));
        }
        let Some(item) = self.part(id, part).await? else {
            return Ok(Taken::Missing);
        };
        // An earlier attempt wrote the lease, but its answer was lost: no other worker uses this name.
        if item.get("owner") == Some(&string(&owner)) {
            return Ok(ours(&item));
        }
        let until = read_millis(&item, "until").unwrap_or(now);
        Ok(Taken::Held(until))
    }

    /// Gives a lease back before it expires. Does nothing if another worker has taken it meanwhile.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn give_back(&self, id: &CampaignId, lease: &Lease) -> Result<(), StoreError> {
        let update = self
            .part_item(id, &lease.part)
            .update("REMOVE #owner, #until")
            .when("#owner = :owner")
            .name("#owner", "owner")
            .name("#until", "until")
            .value(":owner", string(&lease.owner))
            .transact();
        self.db.transact("give a lease back", vec![update]).await?;
        Ok(())
    }

    /// A unique name for one lease: the worker's name and a random number.
    pub fn owner(&self, worker: &Worker) -> String {
        format!("{}/{:016x}", worker.name, self.db.chance.draw())
    }
}
