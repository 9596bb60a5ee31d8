//! The schedules of the local server. Each is one item, which holds the time of the next firing.

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::{microsecond, second};
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, number, to_item};
use crate::dynamo::key::{LedgerKey, Partition};
use crate::dynamo::read::Range;
use crate::dynamo::write::{Location, Write};

/// Maximum number of schedules that one request reads.
const SCHEDULES_PAGE: i32 = 100;

/// A schedule as it is stored, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSchedule {
    /// The name, which is the item's sort key.
    #[serde(skip_serializing, rename = "part")]
    pub name: String,
    /// The expression that says when it fires.
    pub expression: String,
    /// The time zone of the expression.
    pub timezone: String,
    /// The message, as JSON.
    pub message: String,
    /// The time from which a rate expression counts, in microseconds. It also distinguishes the schedule from earlier
    /// ones with the same name.
    #[serde(with = "microsecond::required")]
    pub created_at: Timestamp,
    /// The next firing, in whole seconds; `None` after the last one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "second::optional"
    )]
    pub next: Option<Timestamp>,
}

impl Ledger {
    /// All schedules, by name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn schedules(&self) -> Result<Vec<StoredSchedule>, StoreError> {
        let query = self
            .db
            .query(&Partition::Schedules, Range::All, SCHEDULES_PAGE);
        let items = self.db.read_all(query).await?;
        let read = |item: Item| serde_dynamo::from_item(item).ok();
        Ok(items.into_iter().filter_map(read).collect())
    }

    /// Stores a schedule. True if it replaced one with the same name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_schedule(&self, schedule: &StoredSchedule) -> Result<bool, StoreError> {
        let put = self.schedule_item(&schedule.name).put(to_item(schedule));
        self.was_there(put).await
    }

    /// Removes a schedule. False if there was none with this name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn delete_schedule(&self, name: &str) -> Result<bool, StoreError> {
        self.was_there(self.schedule_item(name).delete()).await
    }

    /// Records that `schedule` has fired, and `next`, the time of its next firing, if any. Returns false and changes
    /// nothing if it was replaced or removed since it was read, or if this firing is recorded already.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn schedule_fired(
        &self,
        schedule: &StoredSchedule,
        next: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let item = self.schedule_item(&schedule.name);
        let update = match next {
            Some(next) => item
                .update("SET #next = :next")
                .value(":next", number(next.as_second())),
            None => item.update("REMOVE #next"),
        };
        self.write_unchanged(schedule, update).await
    }

    /// Removes `schedule` after its only firing. False in the same cases as [`Ledger::schedule_fired`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn schedule_finished(&self, schedule: &StoredSchedule) -> Result<bool, StoreError> {
        let delete = self.schedule_item(&schedule.name).delete();
        self.write_unchanged(schedule, delete).await
    }

    fn schedule_item(&self, name: &str) -> Location {
        self.db.ledger(&LedgerKey::Schedule(name.to_owned()))
    }

    /// Does a write. Returns whether the item existed before.
    async fn was_there(&self, write: Write) -> Result<bool, StoreError> {
        let old = self.db.write_once(write, ReturnValue::AllOld).await?;
        Ok(old.is_some_and(|item| !item.is_empty()))
    }

    /// Does a write only if the stored schedule is still the one that was read, and its firing is not recorded.
    async fn write_unchanged(
        &self,
        schedule: &StoredSchedule,
        write: Write,
    ) -> Result<bool, StoreError> {
        let Some(fired) = schedule.next else {
            return Ok(false);
        };
        let created_at = schedule.created_at.as_microsecond();
        let write = write
            .when("#next = :fired AND created_at = :created_at")
            .name("#next", "next")
            .value(":fired", number(fired.as_second()))
            .value(":created_at", number(created_at));
        let written = self.db.write_once(write, ReturnValue::None).await?;
        Ok(written.is_some())
    }
}
