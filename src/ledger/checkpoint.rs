//! Writes a checkpoint: one transaction with the change that one batch makes. Its condition is that the worker still
//! holds the part's lease (a *fence*).

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;

use super::Ledger;
use super::leases::Lease;
use super::segment_update::SegmentUpdate;
use crate::campaign::checkpoint::{Delta, MAX_REMOVED, Step};
use crate::campaign::part::{HeldPart, NewPart, Retry};
use crate::campaign::{Campaign, CampaignId, PartKey};
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, number, string};
use crate::dynamo::transaction::Transacted;
use crate::dynamo::write::Write;
use crate::subscribers::Row;
use crate::subscribers::count::CountChange;

/// Whether a checkpoint was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The checkpoint is in the ledger.
    Done,
    /// The worker has lost the lease. Nothing was written by this transaction.
    Fenced,
}

impl Ledger {
    /// Writes the changes of one batch in one transaction: the checkpoint, the figures, removed rows and new retry
    /// parts. If they do not fit, earlier transactions remove and count some of the rows. Renews the lease of a segment
    /// until
    /// `renew`; without `renew`, gives it back.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn checkpoint(
        &self,
        campaign: &Campaign,
        lease: &Lease,
        delta: Delta<Row>,
        renew: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        for piece in delta.split(MAX_REMOVED) {
            let items = self.items(campaign, lease, &piece, renew);
            let removed = piece.gone.into_values().collect();
            if self.write(items, removed, now).await? == Written::Fenced {
                return Ok(Written::Fenced);
            }
        }
        Ok(Written::Done)
    }

    /// Writes items and removes rows in one transaction. The first item holds the fence. A row that its browser has
    /// written again stays.
    async fn write(
        &self,
        items: Vec<TransactWriteItem>,
        mut removed: Vec<Row>,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        loop {
            let mut all = items.clone();
            let fixed = all.len();
            let deletes = removed.iter();
            all.extend(deletes.map(|row| self.subscribers.delete_unchanged(row)));
            let change = CountChange::of([], removed.iter().map(|row| row.endpoint.as_str()));
            match self
                .subscribers
                .transact_counted("checkpoint", all, &change, now)
                .await?
            {
                Transacted::Done => return Ok(Written::Done),
                Transacted::Unmet(unmet) if unmet.contains(&0) => return Ok(Written::Fenced),
                Transacted::Unmet(unmet) => {
                    let mut i = fixed..;
                    removed.retain(|_| i.next().is_some_and(|i| !unmet.contains(&i)));
                }
            }
        }
    }

    /// The items of one transaction. The first one holds the fence.
    fn items(
        &self,
        campaign: &Campaign,
        lease: &Lease,
        delta: &Delta<Row>,
        renew: Option<Timestamp>,
    ) -> Vec<TransactWriteItem> {
        let id = &campaign.id;
        let mut segment = SegmentUpdate::new(&delta.figures);
        segment.add_faults(&delta.faults, campaign.resumed);
        segment.opened += delta.opened.len() + delta.held.len();
        let mut items = Vec::new();
        match (&delta.step, &lease.part) {
            (
                Step::Advance {
                    cursor,
                    is_last,
                    scanned,
                    ..
                },
                _,
            ) => {
                segment.advance(cursor.as_deref(), *is_last, *scanned);
                segment.fence(&lease.owner, renew);
            }
            // No later scan reads these rows again, so count them as looked at now.
            (Step::Remove, PartKey::Segment(_)) => {
                segment.scanned(delta.gone.len());
                segment.fence_only(&lease.owner);
            }
            // Remove these endpoints from the part, or it would count them twice.
            (Step::Remove, PartKey::Retry { .. }) => {
                items.push(self.remove_endpoints(id, lease, delta));
            }
            (Step::Finish, _) => {
                segment.closed += 1;
                items.push(self.delete_part(id, lease));
            }
        }
        let location = self.part_item(id, &PartKey::Segment(lease.part.segment()));
        items.push(segment.write(location).transact());
        items.extend(delta.opened.iter().map(|part| self.put_part(id, part)));
        items.extend(delta.held.iter().map(|part| self.put_held_part(id, part)));
        items
    }

    fn delete_part(&self, id: &CampaignId, lease: &Lease) -> TransactWriteItem {
        let delete = self.part_item(id, &lease.part).delete();
        fenced(delete, lease).transact()
    }

    fn remove_endpoints(
        &self,
        id: &CampaignId,
        lease: &Lease,
        delta: &Delta<Row>,
    ) -> TransactWriteItem {
        let endpoints = delta.gone.keys().cloned().collect();
        let update = self
            .part_item(id, &lease.part)
            .update("DELETE endpoints :gone")
            .value(":gone", AttributeValue::Ss(endpoints));
        fenced(update, lease).transact()
    }

    fn put_part(&self, id: &CampaignId, part: &NewPart) -> TransactWriteItem {
        let attributes = retry_attributes(&part.retry);
        self.part_item(id, &part.key).put(attributes).transact()
    }

    fn put_held_part(&self, id: &CampaignId, held: &HeldPart) -> TransactWriteItem {
        let mut attributes = retry_attributes(&held.part.retry);
        attributes.insert("owner".to_owned(), string(&held.owner));
        let until = number(held.until.as_millisecond());
        attributes.insert("until".to_owned(), until);
        let location = self.part_item(id, &held.part.key);
        location.put(attributes).transact()
    }
}

/// The same write, which holds only while the worker has the lease.
fn fenced(write: Write, lease: &Lease) -> Write {
    write
        .when("#owner = :owner")
        .name("#owner", "owner")
        .value(":owner", string(&lease.owner))
}

/// The attributes of a retry part.
fn retry_attributes(retry: &Retry) -> Item {
    let Retry { endpoints, state } = retry;
    let endpoints = endpoints.iter().cloned().collect();
    let mut attributes = Item::from([
        ("endpoints".to_owned(), AttributeValue::Ss(endpoints)),
        ("attempts".to_owned(), number(state.attempts)),
        ("waits".to_owned(), number(state.deferrals)),
        (
            "not_before".to_owned(),
            number(state.not_before.as_millisecond()),
        ),
    ]);
    if let Some(expires) = state.expires {
        attributes.insert("expires".to_owned(), number(expires.as_millisecond()));
    }
    attributes
}
