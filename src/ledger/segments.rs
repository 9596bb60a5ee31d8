//! Plans, reads and closes a campaign's segments.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;

use super::Ledger;
use super::parts::{is_true, read_millis};
use crate::campaign::{CampaignId, PartKey};
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, count, number};
use crate::dynamo::transaction::{MAX_ITEMS, Transacted};
use crate::dynamo::write::IS_NEW;

/// The progress of a segment.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    /// The last endpoint that a worker has read.
    pub cursor: Option<String>,
    /// Whether the segment was read to its end.
    pub read: bool,
    /// Number of retry parts that are still open.
    pub open: u64,
    /// Whether the segment is done, including its retry parts.
    pub closed: bool,
    /// For a rate-limited campaign: end of the last reserved sending slot.
    pub paced_to: Option<Timestamp>,
}

impl Ledger {
    /// Writes the missing segments of a campaign.
    ///
    /// # Errors
    /// When DynamoDB fails. Another call writes the remaining ones.
    pub async fn plan_segments(&self, id: &CampaignId, segments: u32) -> Result<(), StoreError> {
        let put = |segment: &u32| {
            let open = Item::from([("open".to_owned(), number(0))]);
            let segment = self.part_item(id, &PartKey::Segment(*segment));
            segment.put(open).when(IS_NEW).transact()
        };
        let all: Vec<u32> = (0..segments).collect();
        for chunk in all.chunks(MAX_ITEMS) {
            let mut missing = chunk.to_vec();
            while !missing.is_empty() {
                let items = missing.iter().map(put).collect();
                let Transacted::Unmet(there) = self.db.transact("plan segments", items).await?
                else {
                    break;
                };
                let mut i = 0..;
                missing.retain(|_| i.next().is_some_and(|i| !there.contains(&i)));
            }
        }
        Ok(())
    }

    /// The progress of a segment. The caller needs no lease.
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

    /// Counts a segment as done if it was read to its end and has no open retry parts. True if it is done, by this call
    /// or an earlier one.
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
        let close = self
            .part_item(id, &PartKey::Segment(segment))
            .update("SET closed = :true")
            .when("#read = :true AND #open = :none AND attribute_not_exists(closed)")
            .name("#read", "read")
            .name("#open", "open")
            .value(":true", AttributeValue::Bool(true))
            .value(":none", number(0));
        let items = vec![close.transact(), self.count_segment_done(id)];
        match self.db.transact("close segment", items).await? {
            Transacted::Done => Ok(true),
            // Another worker was faster.
            Transacted::Unmet(_) => {
                let segment = self.segment(id, segment).await?;
                Ok(segment.is_some_and(|segment| segment.closed))
            }
        }
    }

    fn count_segment_done(&self, id: &CampaignId) -> TransactWriteItem {
        let add = self.campaign_item(id).update("ADD segments_done :one");
        add.value(":one", number(1)).transact()
    }
}

pub(super) fn read_segment(item: &Item) -> Segment {
    let cursor = item.get("cursor").and_then(|value| value.as_s().ok());
    Segment {
        cursor: cursor.cloned(),
        read: is_true(item, "read"),
        open: count(item, "open").unwrap_or_default(),
        closed: is_true(item, "closed"),
        paced_to: read_millis(item, "paced_to"),
    }
}
