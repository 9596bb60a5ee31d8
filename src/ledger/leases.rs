//! The right to work on a part. Whoever takes a lease writes its own name, drawn by chance, into the part's item. Every
//! write is conditional on that name (a *fence*): a worker that was thought dead and is not changes nothing.

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

/// Who works here.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The process's name, drawn at its start.
    pub name: String,
    /// Whether no other process works on this ledger: then whoever holds a lease under another name is dead.
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
    /// Which part.
    pub part: PartKey,
    /// The holder's name, which stands in the part's item.
    pub owner: String,
}

/// A part that a worker has asked for.
#[derive(Debug, Clone)]
pub enum Taken<T> {
    /// The worker has the lease.
    Ours(Lease, T),
    /// Another worker has it, at the latest until then.
    Held(Timestamp),
    /// The part is done, or was never there.
    Missing,
}

impl Ledger {
    /// Takes a segment, unless another worker has it.
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

    /// Takes a retry part, unless another worker has it.
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
        // The lease was written and the answer lost: nobody else has drawn this name.
        if item.get("owner") == Some(&string(&owner)) {
            return Ok(ours(&item));
        }
        let until = read_millis(&item, "until").unwrap_or(now);
        Ok(Taken::Held(until))
    }

    /// Gives a lease back before its time. A lease that another worker has meanwhile stays theirs.
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

    /// A name for one lease that nobody else has: the worker's own, and chance.
    pub fn owner(&self, worker: &Worker) -> String {
        format!("{}/{:016x}", worker.name, self.db.chance.draw())
    }
}
