//! A campaign's parts in the ledger: who works on one, how far it is, and what is still to be done.
//!
//! A part is worked on under a lease. Whoever holds it has written its own name, drawn by chance, into the item; every
//! write is conditional on that name (a *fence*), so that a worker that was thought dead and is not changes nothing.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem, Update};
use jiff::{SignedDuration, Timestamp};

use super::Ledger;
use super::campaigns::key;
use crate::campaign::part::Retry;
use crate::campaign::retry::RetryState;
use crate::campaign::{CampaignId, PartKey};
use crate::clock::Chance;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, string};
use crate::dynamo::item::{count, number};
use crate::dynamo::transaction::{ATTEMPTS, Transacted};
use crate::time::after;

/// A part whose job may be lost gets another one this often, at most: less often than a queue delivers again what
/// failed, so that the next one to try finds it free.
const RECOVERED: Duration = Duration::from_secs(50);

/// Who works here.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Of this process, drawn at its start.
    pub name: String,
    /// Nobody else works on this ledger, so a lease of another name is one of the dead.
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
    /// What the holder has written into it.
    pub owner: String,
}

/// A part that was asked for.
#[derive(Debug, Clone)]
pub enum Taken<T> {
    /// It is ours.
    Ours(Lease, T),
    /// Somebody works on it, at the latest until then.
    Held(Timestamp),
    /// It is done, or was never there.
    Missing,
}

/// How far a segment is.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    /// The last endpoint that was read.
    pub cursor: Option<String>,
    /// Everyone has been read.
    pub read: bool,
    /// Retry parts that are still open.
    pub open: u64,
    /// It is done, with every retry.
    pub closed: bool,
    /// Of a campaign that keeps to a rate: the turns that were taken end then.
    pub paced_to: Option<Timestamp>,
}

impl Ledger {
    /// Takes a segment, unless somebody works on it.
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

    /// Takes a retry part, unless somebody works on it.
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
        let free = "attribute_not_exists(#owner) OR #until <= :now";
        let free = if worker.alone {
            format!("{free} OR NOT begins_with(#owner, :name)")
        } else {
            free.to_owned()
        };
        let mut request = self
            .update_part(id, part)
            .update_expression("SET #owner = :owner, #until = :until")
            .condition_expression(format!("attribute_exists(id) AND ({free})"))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":owner", string(&owner))
            .expression_attribute_values(":until", number(until.as_millisecond()))
            .expression_attribute_values(":now", number(now.as_millisecond()));
        if worker.alone {
            request = request.expression_attribute_values(":name", string(&worker.name));
        }
        let request = request.return_values(ReturnValue::AllNew);
        let ours = |item: &Item| {
            let (part, owner) = (part.clone(), owner.clone());
            Taken::Ours(Lease { part, owner }, read(item))
        };
        if let Some(item) = self.db.update(request).await? {
            return Ok(ours(&item));
        }
        let Some(item) = self.part(id, part).await? else {
            return Ok(Taken::Missing);
        };
        // It was written, and the answer was lost: the name in it was drawn by chance, and is ours.
        if item.get("owner") == Some(&string(&owner)) {
            return Ok(ours(&item));
        }
        let until = read_millis(&item, "until").unwrap_or(now);
        Ok(Taken::Held(until))
    }

    /// Gives a lease back before its time. One that has passed to somebody else stays theirs.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn give_back(&self, id: &CampaignId, lease: &Lease) -> Result<(), StoreError> {
        let update = Update::builder()
            .table_name(&self.db.tables.ledger)
            .key("id", key(id))
            .key("part", string(&lease.part.to_string()))
            .update_expression("REMOVE #owner, #until")
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#until", "until")
            .expression_attribute_values(":owner", string(&lease.owner))
            .build()
            .expect("table, key and expression are given");
        let update = TransactWriteItem::builder().update(update).build();
        self.db.transact("give a lease back", vec![update]).await?;
        Ok(())
    }

    /// When a retry part may be pushed to; nothing when it is done.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn due(
        &self,
        id: &CampaignId,
        part: &PartKey,
    ) -> Result<Option<Timestamp>, StoreError> {
        let item = self.part(id, part).await?;
        Ok(item.map(|item| read_retry(&item).state.not_before))
    }

    /// How far a segment is, whoever works on it.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn segment(
        &self,
        id: &CampaignId,
        segment: u32,
    ) -> Result<Option<Segment>, StoreError> {
        let item = self.part(id, &PartKey::Segment(segment)).await?;
        Ok(item.as_ref().map(read_segment))
    }

    async fn part(&self, id: &CampaignId, part: &PartKey) -> Result<Option<Item>, StoreError> {
        let found = self
            .db
            .client
            .get_item()
            .table_name(&self.db.tables.ledger)
            .key("id", key(id))
            .key("part", string(&part.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::sdk("GetItem", error))?;
        Ok(found.item)
    }

    /// Every part that is still to be worked on: segments not read to their end, and retry parts with when they are
    /// due. Only those of one segment, where one is given.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn open_parts(
        &self,
        id: &CampaignId,
        segment: Option<u32>,
    ) -> Result<Vec<(PartKey, Option<Timestamp>)>, StoreError> {
        let prefixes = match segment {
            None => vec!["segment#".to_owned(), "retry#".to_owned()],
            Some(segment) => vec![
                format!("segment#{segment:05}"),
                format!("retry#{segment:05}#"),
            ],
        };
        let mut open = Vec::new();
        for prefix in prefixes {
            let mut from = None;
            loop {
                let found = self
                    .db
                    .client
                    .query()
                    .table_name(&self.db.tables.ledger)
                    .key_condition_expression("id = :id AND begins_with(part, :prefix)")
                    .filter_expression("attribute_not_exists(closed)")
                    .projection_expression("part, not_before")
                    .expression_attribute_values(":id", key(id))
                    .expression_attribute_values(":prefix", string(&prefix))
                    .consistent_read(true)
                    .set_exclusive_start_key(from)
                    .limit(500)
                    .send()
                    .await
                    .map_err(|error| StoreError::sdk("Query", error))?;
                open.extend(found.items().iter().filter_map(|item| {
                    let part = item.get("part")?.as_s().ok()?.parse().ok()?;
                    Some((part, read_millis(item, "not_before")))
                }));
                from = found.last_evaluated_key;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(open)
    }

    /// Notes that a job is queued for a part, in case it has none. False when one was a moment ago, or the part is done.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn note_recovery(
        &self,
        id: &CampaignId,
        part: &PartKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let again = SignedDuration::try_from(RECOVERED).unwrap_or(SignedDuration::ZERO);
        let before = now.checked_sub(again).unwrap_or(now);
        let free = "attribute_not_exists(recovered_at) OR recovered_at <= :before";
        let update = self
            .update_part(id, part)
            .update_expression("SET recovered_at = :now")
            .condition_expression(format!("attribute_exists(id) AND ({free})"))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":before", number(before.as_millisecond()));
        Ok(self.db.update(update).await?.is_some())
    }

    /// Reserves `time` for pushes of one segment, after everyone else's. Says when it begins.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn take_turn(
        &self,
        id: &CampaignId,
        segment: u32,
        time: Duration,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let part = PartKey::Segment(segment);
        let millis = time.as_millis();
        for attempt in 0..ATTEMPTS {
            let after_others = self
                .update_part(id, &part)
                .update_expression("SET paced_to = paced_to + :time")
                .condition_expression("paced_to > :now")
                .expression_attribute_values(":time", number(millis))
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .return_values(ReturnValue::UpdatedNew);
            if let Some(taken) = self.db.update(after_others).await? {
                let end = read_millis(&taken, "paced_to").unwrap_or(now);
                let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::ZERO);
                return Ok(end.checked_sub(time).unwrap_or(now));
            }
            let end = after(now, time);
            let at_once = self
                .update_part(id, &part)
                .update_expression("SET paced_to = :end")
                .condition_expression(
                    "attribute_exists(id) AND (attribute_not_exists(paced_to) OR paced_to <= :now)",
                )
                .expression_attribute_values(":end", number(end.as_millisecond()))
                .expression_attribute_values(":now", number(now.as_millisecond()));
            if self.db.update(at_once).await?.is_some() {
                return Ok(now);
            }
            // Somebody was faster.
            self.db.wait(attempt).await;
        }
        Err(StoreError::Contended {
            operation: "take a turn",
            attempts: ATTEMPTS,
        })
    }

    fn update_part(&self, id: &CampaignId, part: &PartKey) -> UpdateItemFluentBuilder {
        self.db
            .client
            .update_item()
            .table_name(&self.db.tables.ledger)
            .key("id", key(id))
            .key("part", string(&part.to_string()))
    }

    /// Counts a segment as done, once it is read to its end and none of its retries is open. True when it is done, by
    /// this call or before.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn close_segment(&self, id: &CampaignId, segment: u32) -> Result<bool, StoreError> {
        match self.segment(id, segment).await? {
            None => return Ok(false),
            Some(segment) if segment.closed => return Ok(true),
            Some(segment) if !segment.read || segment.open > 0 => return Ok(false),
            Some(_) => {}
        }
        let update = Update::builder()
            .table_name(&self.db.tables.ledger)
            .key("id", key(id))
            .key("part", string(&PartKey::Segment(segment).to_string()))
            .update_expression("SET closed = :true")
            .condition_expression(
                "#read = :true AND #open = :none AND attribute_not_exists(closed)",
            )
            .expression_attribute_names("#read", "read")
            .expression_attribute_names("#open", "open")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":none", number(0))
            .build()
            .expect("table, key and expression are given");
        let items = vec![
            TransactWriteItem::builder().update(update).build(),
            self.count_segment_done(id),
        ];
        match self.db.transact("close segment", items).await? {
            Transacted::Done => Ok(true),
            // Somebody was faster.
            Transacted::Unmet(_) => {
                let segment = self.segment(id, segment).await?;
                Ok(segment.is_some_and(|segment| segment.closed))
            }
        }
    }

    /// A name that nobody else has: the worker's own, and chance.
    pub fn owner(&self, worker: &Worker) -> String {
        format!("{}/{:016x}", worker.name, self.db.chance.draw())
    }

    /// A key for a new retry part of a segment.
    pub fn new_retry(&self, segment: u32) -> PartKey {
        PartKey::Retry {
            segment,
            serial: self.db.chance.draw(),
        }
    }
}

fn read_millis(item: &Item, name: &str) -> Option<Timestamp> {
    let millis = item.get(name)?.as_n().ok()?.parse().ok()?;
    Timestamp::from_millisecond(millis).ok()
}

fn is_true(item: &Item, name: &str) -> bool {
    let value = item.get(name).and_then(|value| value.as_bool().ok());
    value.is_some_and(|value| *value)
}

fn read_segment(item: &Item) -> Segment {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    Segment {
        cursor: text("cursor").cloned(),
        read: is_true(item, "read"),
        open: count(item, "open").unwrap_or_default(),
        closed: is_true(item, "closed"),
        paced_to: read_millis(item, "paced_to"),
    }
}

fn read_retry(item: &Item) -> Retry {
    let endpoints = item.get("endpoints").and_then(|value| value.as_ss().ok());
    let small = |name: &str| count(item, name).and_then(|n| u32::try_from(n).ok());
    Retry {
        endpoints: endpoints
            .map(|endpoints| endpoints.iter().cloned().collect())
            .unwrap_or_default(),
        state: RetryState {
            attempts: small("attempts").unwrap_or_default(),
            deferrals: small("waits").unwrap_or_default(),
            not_before: read_millis(item, "not_before").unwrap_or(Timestamp::UNIX_EPOCH),
            expires: read_millis(item, "expires"),
        },
    }
}
