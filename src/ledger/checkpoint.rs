//! Writing down what a worker has done with a part: one transaction, fenced by its lease.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use jiff::Timestamp;

use super::Ledger;
use super::campaigns::key;
use super::leases::Lease;
use super::parts::{NewPart, Retry};
use crate::campaign::{Campaign, CampaignId, Faults, Figures, PartKey, Tally};
use crate::dynamo::StoreError;
use crate::dynamo::item::number;
use crate::dynamo::item::{Item, string};
use crate::dynamo::transaction::Transacted;
use crate::subscribers::count::Change;
use crate::subscribers::row::Row;
use webpush::PushService;

/// Rows that one transaction removes, at most: a transaction holds 100 items.
const MOST_PRUNES: usize = 60;

/// New retry parts in one settlement, at most: they and the rows removed share a transaction.
pub const MOST_NEW: usize = 30;

/// Bytes of endpoints in one retry part, at most: an item holds 400 kB.
pub const MAX_PART_BYTES: usize = 256 * 1024;

/// What a worker has done, and what is left.
#[derive(Debug)]
pub struct Settlement<'a> {
    /// Which campaign.
    pub campaign: &'a Campaign,
    /// The part, and our right to it.
    pub lease: &'a Lease,
    /// How far the part is now.
    pub step: Step<'a>,
    /// How the campaign's figures change.
    pub figures: Figures,
    /// What origins have answered.
    pub faults: &'a Faults,
    /// Rows to be removed, unless their browser has written them again.
    pub gone: Vec<&'a Row>,
    /// Who is to be pushed to again: at most [`MOST_NEW`] parts.
    pub later: Vec<NewPart>,
}

/// How far a part is.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A segment that was read up to `cursor`.
    Segment {
        /// The last endpoint read; nothing before the first.
        cursor: Option<&'a str>,
        /// Everyone has been read.
        read: bool,
        /// Rows that were looked at.
        scanned: u64,
        /// Until when the lease is renewed; given back without.
        until: Option<Timestamp>,
    },
    /// A retry part that is done: its item goes.
    Retry,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is written.
    Done,
    /// The lease had passed to somebody else: nothing is written.
    Fenced,
}

impl Ledger {
    /// Writes down what was done, as one: how far the part is, the figures, the rows that go, and who is to be pushed
    /// to again. Where there is too much for one transaction, rows are removed and counted first, a transaction each.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn settle(
        &self,
        settlement: Settlement<'_>,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let Settlement {
            campaign,
            lease,
            mut step,
            mut figures,
            faults,
            gone,
            later,
        } = settlement;
        let id = &campaign.id;
        let mut gone = &gone[..];
        while gone.len() > MOST_PRUNES {
            let (some, rest) = gone.split_at(MOST_PRUNES);
            gone = rest;
            let counted = counted_gone(&lease.part, some);
            figures.subtract(&counted);
            if let Step::Segment { scanned, .. } = &mut step {
                *scanned = scanned.saturating_sub(some.len() as u64);
            }
            let items = self.remove_from(id, lease, &counted, some);
            if self.write(items, some, now).await? == Settled::Fenced {
                return Ok(Settled::Fenced);
            }
        }
        let opened = i64::try_from(later.len()).expect("a few");
        let mut change = SegmentChange::new(&figures, opened);
        change.add_faults(faults, campaign.resumed);
        let mut items = self.step(id, lease, step, change);
        items.extend(later.iter().map(|part| self.put_part(id, part)));
        self.write(items, gone, now).await
    }

    /// Writes items and removes rows, as one. The first item holds the fence; a row whose browser came back stays.
    async fn write(
        &self,
        items: Vec<TransactWriteItem>,
        gone: &[&Row],
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let mut gone = gone.to_vec();
        loop {
            let mut all = items.clone();
            let fixed = all.len();
            all.extend(
                gone.iter()
                    .map(|row| self.subscribers.delete_unchanged(row)),
            );
            let change = Change::of([], gone.iter().map(|row| row.endpoint.as_str()));
            match self
                .subscribers
                .transact_counted("settle", all, &change, now)
                .await?
            {
                Transacted::Done => return Ok(Settled::Done),
                Transacted::Unmet(unmet) if unmet.contains(&0) => return Ok(Settled::Fenced),
                Transacted::Unmet(unmet) => {
                    let mut i = fixed..;
                    gone.retain(|_| i.next().is_some_and(|i| !unmet.contains(&i)));
                }
            }
        }
    }

    fn step(
        &self,
        id: &CampaignId,
        lease: &Lease,
        step: Step<'_>,
        mut change: SegmentChange,
    ) -> Vec<TransactWriteItem> {
        match step {
            Step::Segment {
                cursor,
                read,
                scanned,
                until,
            } => {
                change.add("#scanned", "scanned", number(scanned));
                if let Some(cursor) = cursor {
                    change.set("#cursor", "cursor", string(cursor));
                }
                if read {
                    change.set("#read", "read", AttributeValue::Bool(true));
                }
                match until {
                    Some(until) => {
                        change.set("#until", "until", number(until.as_millisecond()));
                        change.fence(&lease.owner);
                    }
                    None => change.fence_and_give_back(&lease.owner),
                }
                vec![change.item(&self.db.tables.ledger, id, lease.part.segment())]
            }
            Step::Retry => {
                let delete = Delete::builder()
                    .table_name(&self.db.tables.ledger)
                    .key("id", key(id))
                    .key("part", string(&lease.part.to_string()))
                    .condition_expression("#owner = :owner")
                    .expression_attribute_names("#owner", "owner")
                    .expression_attribute_values(":owner", string(&lease.owner))
                    .build()
                    .expect("table and key are given");
                change.opened -= 1;
                vec![
                    TransactWriteItem::builder().delete(delete).build(),
                    change.item(&self.db.tables.ledger, id, lease.part.segment()),
                ]
            }
        }
    }

    /// Some rows go before the rest of a settlement is written: they are counted at once, as read too, since nobody
    /// will read them again, and a retry part forgets their endpoints, so that nobody is counted twice.
    fn remove_from(
        &self,
        id: &CampaignId,
        lease: &Lease,
        counted: &Figures,
        gone: &[&Row],
    ) -> Vec<TransactWriteItem> {
        let mut change = SegmentChange::new(counted, 0);
        let segment = lease.part.segment();
        match lease.part {
            PartKey::Segment(_) => {
                change.add("#scanned", "scanned", number(gone.len()));
                change.fence(&lease.owner);
                vec![change.item(&self.db.tables.ledger, id, segment)]
            }
            PartKey::Retry { .. } => {
                let endpoints = gone.iter().map(|row| row.endpoint.clone()).collect();
                let update = Update::builder()
                    .table_name(&self.db.tables.ledger)
                    .key("id", key(id))
                    .key("part", string(&lease.part.to_string()))
                    .update_expression("DELETE endpoints :gone")
                    .condition_expression("#owner = :owner")
                    .expression_attribute_names("#owner", "owner")
                    .expression_attribute_values(":owner", string(&lease.owner))
                    .expression_attribute_values(":gone", AttributeValue::Ss(endpoints))
                    .build()
                    .expect("table, key and expression are given");
                vec![
                    TransactWriteItem::builder().update(update).build(),
                    change.item(&self.db.tables.ledger, id, segment),
                ]
            }
        }
    }

    fn put_part(&self, id: &CampaignId, part: &NewPart) -> TransactWriteItem {
        let Retry { endpoints, again } = &part.retry;
        let endpoints = AttributeValue::Ss(endpoints.iter().cloned().collect());
        let mut put = Put::builder()
            .table_name(&self.db.tables.ledger)
            .item("id", key(id))
            .item("part", string(&part.key.to_string()))
            .item("endpoints", endpoints)
            .item("attempts", number(again.attempts))
            .item("waits", number(again.waits))
            .item("not_before", number(again.not_before.as_millisecond()));
        if let Some(expires) = again.expires {
            put = put.item("expires", number(expires.as_millisecond()));
        }
        if let Some((owner, until)) = &part.held {
            put = put.item("owner", string(owner));
            put = put.item("until", number(until.as_millisecond()));
        }
        let put = put.build().expect("table and item are given");
        TransactWriteItem::builder().put(put).build()
    }
}

/// The change of a segment's item: figures and open retries are added to, whoever else adds to them.
struct SegmentChange {
    /// Retries that were opened, less those that are done.
    opened: i64,
    set: Vec<String>,
    add: Vec<String>,
    remove: &'static str,
    condition: Option<&'static str>,
    names: HashMap<String, String>,
    values: Item,
}

impl SegmentChange {
    fn new(figures: &Figures, opened: i64) -> Self {
        let mut change = Self {
            opened,
            set: Vec::new(),
            add: Vec::new(),
            remove: "",
            condition: None,
            names: HashMap::new(),
            values: Item::new(),
        };
        for (i, (name, n)) in figures.entries().enumerate() {
            change.add(&format!("#f{i}"), &name, number(n));
        }
        change
    }

    fn add_faults(&mut self, faults: &Faults, resumed: u32) {
        for (i, (name, n)) in faults.entries(resumed).enumerate() {
            self.add(&format!("#a{i}"), &name, number(n));
        }
    }

    fn set(&mut self, alias: &str, name: &str, value: AttributeValue) {
        let placeholder = self.name(alias, name, value);
        self.set.push(format!("{alias} = {placeholder}"));
    }

    fn add(&mut self, alias: &str, name: &str, value: AttributeValue) {
        let placeholder = self.name(alias, name, value);
        self.add.push(format!("{alias} {placeholder}"));
    }

    fn name(&mut self, alias: &str, name: &str, value: AttributeValue) -> String {
        let placeholder = alias.replace('#', ":");
        self.names.insert(alias.to_owned(), name.to_owned());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// Only while the lease is ours.
    fn fence(&mut self, owner: &str) {
        self.name("#owner", "owner", string(owner));
        self.condition = Some("#owner = :owner");
    }

    fn fence_and_give_back(&mut self, owner: &str) {
        self.fence(owner);
        self.names.insert("#until".to_owned(), "until".to_owned());
        self.remove = " REMOVE #owner, #until";
    }

    fn item(mut self, table: &str, id: &CampaignId, segment: u32) -> TransactWriteItem {
        let opened = self.opened;
        self.add("#open", "open", number(opened));
        let mut expression = String::new();
        if !self.set.is_empty() {
            expression += &format!("SET {} ", self.set.join(", "));
        }
        expression += &format!("ADD {}{}", self.add.join(", "), self.remove);
        let update = Update::builder()
            .table_name(table)
            .key("id", key(id))
            .key("part", string(&PartKey::Segment(segment).to_string()))
            .update_expression(expression)
            .set_condition_expression(self.condition.map(str::to_owned))
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .build()
            .expect("table, key and expression are given");
        TransactWriteItem::builder().update(update).build()
    }
}

/// How rows are counted that go before the rest of a settlement is written.
fn counted_gone(part: &PartKey, gone: &[&Row]) -> Figures {
    let mut figures = Figures::default();
    for row in gone {
        let service = PushService::of_url(&row.endpoint);
        figures.add(service, Tally::Gone, 1);
        if matches!(part, PartKey::Retry { .. }) {
            figures.add(service, Tally::Retrying, -1);
        }
    }
    figures
}
