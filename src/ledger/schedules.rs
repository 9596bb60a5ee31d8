//! The schedules of the local server, in the ledger: one item each, with the time of its next firing.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;

use super::Ledger;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, string};

/// Partition key of the schedules; the sort key is the name.
const SCHEDULES: &str = "schedules";
/// Read at a time.
const PAGE: i32 = 100;

/// A schedule as it is stored, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchedule {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub expression: String,
    /// Where the clock hangs that it fires by.
    pub timezone: String,
    /// The message, JSON.
    pub message: String,
    /// From when a rate is counted; tells it from others of the name that it replaced, in microseconds.
    pub created_at: Timestamp,
    /// The firing that has not been done, in whole seconds; `None` after the last.
    pub next: Option<Timestamp>,
}

impl StoredSchedule {
    fn read(item: &Item) -> Self {
        let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned();
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        let created_at = number("created_at").and_then(|us| Timestamp::from_microsecond(us).ok());
        Self {
            name: text("part").unwrap_or_default(),
            expression: text("expression").unwrap_or_default(),
            timezone: text("timezone").unwrap_or_default(),
            message: text("message").unwrap_or_default(),
            created_at: created_at.unwrap_or_default(),
            next: number("next").and_then(|s| Timestamp::from_second(s).ok()),
        }
    }
}

impl Ledger {
    /// All schedules, by name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn schedules(&self) -> Result<Vec<StoredSchedule>, StoreError> {
        let (mut schedules, mut from) = (Vec::new(), None);
        loop {
            let page = self
                .db
                .client
                .query()
                .table_name(&self.db.tables.ledger)
                .consistent_read(true)
                .key_condition_expression("id = :schedules")
                .expression_attribute_values(":schedules", string(SCHEDULES))
                .set_exclusive_start_key(from)
                .limit(PAGE)
                .send()
                .await
                .map_err(|error| StoreError::sdk("Query", error))?;
            schedules.extend(page.items().iter().map(StoredSchedule::read));
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(schedules);
            }
        }
    }

    /// Stores it in the place of the one of this name. True if there was one.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn put_schedule(&self, schedule: &StoredSchedule) -> Result<bool, StoreError> {
        let put = self
            .db
            .client
            .put_item()
            .table_name(&self.db.tables.ledger)
            .item("id", string(SCHEDULES))
            .item("part", string(&schedule.name))
            .item("expression", string(&schedule.expression))
            .item("timezone", string(&schedule.timezone))
            .item("message", string(&schedule.message))
            .item("created_at", microseconds(schedule.created_at));
        let put = match schedule.next {
            Some(next) => put.item("next", seconds(next)),
            None => put,
        };
        let old = put.return_values(ReturnValue::AllOld).send().await;
        let old = old.map_err(|error| StoreError::sdk("PutItem", error))?;
        Ok(old.attributes().is_some_and(|item| !item.is_empty()))
    }

    /// Removes it. False if there was none.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn delete_schedule(&self, name: &str) -> Result<bool, StoreError> {
        let delete = self
            .db
            .client
            .delete_item()
            .table_name(&self.db.tables.ledger);
        let delete = delete
            .key("id", string(SCHEDULES))
            .key("part", string(name));
        let old = delete.return_values(ReturnValue::AllOld).send().await;
        let old = old.map_err(|error| StoreError::sdk("DeleteItem", error))?;
        Ok(old.attributes().is_some_and(|item| !item.is_empty()))
    }

    /// Records that `schedule` has fired: `next` is its next time, or it has none. False if it has been replaced or
    /// removed since it was read, or was recorded by another; then nothing is changed.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn schedule_fired(
        &self,
        schedule: &StoredSchedule,
        next: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let Some(fired) = schedule.next else {
            return Ok(false);
        };
        let update = self
            .db
            .client
            .update_item()
            .table_name(&self.db.tables.ledger)
            .key("id", string(SCHEDULES))
            .key("part", string(&schedule.name))
            .condition_expression(UNCHANGED)
            .expression_attribute_names("#next", "next")
            .expression_attribute_values(":fired", seconds(fired))
            .expression_attribute_values(":created_at", microseconds(schedule.created_at));
        let update = match next {
            Some(next) => update
                .update_expression("SET #next = :next")
                .expression_attribute_values(":next", seconds(next)),
            None => update.update_expression("REMOVE #next"),
        };
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::sdk("UpdateItem", error)),
        }
    }

    /// Removes `schedule`, which has fired for the only time. False as for [`Ledger::schedule_fired`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn schedule_finished(&self, schedule: &StoredSchedule) -> Result<bool, StoreError> {
        let Some(fired) = schedule.next else {
            return Ok(false);
        };
        let delete = self
            .db
            .client
            .delete_item()
            .table_name(&self.db.tables.ledger)
            .key("id", string(SCHEDULES))
            .key("part", string(&schedule.name))
            .condition_expression(UNCHANGED)
            .expression_attribute_names("#next", "next")
            .expression_attribute_values(":fired", seconds(fired))
            .expression_attribute_values(":created_at", microseconds(schedule.created_at));
        match delete.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(StoreError::sdk("DeleteItem", error)),
        }
    }
}

/// Holds while the schedule is the one that was read, and its firing is not recorded.
const UNCHANGED: &str = "#next = :fired AND created_at = :created_at";

fn seconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_second().to_string())
}

fn microseconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_microsecond().to_string())
}
