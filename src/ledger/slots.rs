//! Sending slots of a rate-limited campaign. Each segment has a timeline on which workers reserve time for pushes.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::{SignedDuration, Timestamp};

use super::Ledger;
use super::parts::read_millis;
use crate::backoff::Attempts;
use crate::campaign::{CampaignId, PartKey};
use crate::dynamo::StoreError;
use crate::dynamo::item::number;
use crate::dynamo::transaction::DECISION;
use crate::time::after;

impl Ledger {
    /// Reserves `time` for pushes of one segment, after all slots that are reserved already. Returns when the slot
    /// begins.
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
        let segment = self.part_item(id, &PartKey::Segment(segment));
        let mut attempts = Attempts::begin(DECISION);
        loop {
            let after_others = segment
                .clone()
                .update("SET paced_to = paced_to + :time")
                .when("paced_to > :now")
                .value(":time", number(time.as_millis()))
                .value(":now", number(now.as_millisecond()));
            let reserved = self.db.write(after_others, ReturnValue::UpdatedNew).await?;
            if let Some(reserved) = reserved {
                let end = read_millis(&reserved, "paced_to").unwrap_or(now);
                let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::ZERO);
                return Ok(end.checked_sub(time).unwrap_or(now));
            }
            let free = "attribute_not_exists(paced_to) OR paced_to <= :now";
            let at_once = segment
                .clone()
                .update("SET paced_to = :end")
                .when(format!("attribute_exists(id) AND ({free})"))
                .value(":end", number(after(now, time).as_millisecond()))
                .value(":now", number(now.as_millisecond()));
            if self.db.write(at_once, ReturnValue::None).await?.is_some() {
                return Ok(now);
            }
            // Another worker was faster.
            let operation = "reserve a sending slot";
            self.db.decide_again(operation, &mut attempts).await?;
        }
    }
}
