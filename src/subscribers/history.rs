//! Growth day by day, without a write for each subscription. Before the first change of a day (UTC), what the figures are
//! is written down: the day's *opening*. What came and went in a day is what lies between its opening and the next one;
//! a day without an opening is one without a change.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use super::Subscribers;
use super::count::Totals;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, string};
use crate::dynamo::item::{count, number};

/// Days that are shown, at most.
pub const MOST_DAYS: i32 = 90;

/// Partition key of the openings: the sort key is the date.
const DAYS: &str = "days";
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// One day of growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// In UTC.
    pub date: Date,
    /// Subscriptions at its end; the last day's is now.
    pub count: u64,
    /// Subscriptions that came.
    pub new: u64,
    /// Subscriptions that went.
    pub gone: u64,
}

/// The figures before the first change of a day.
#[derive(Debug, Clone, Copy)]
struct Opening {
    date: Date,
    count: u64,
    added: u64,
}

impl Opening {
    fn of(date: Date, totals: &Totals) -> Self {
        Self {
            date,
            count: totals.count,
            added: totals.added,
        }
    }

    fn read(item: &Item) -> Option<Self> {
        Some(Self {
            date: item.get("part")?.as_s().ok()?.parse().ok()?,
            count: count(item, "n")?,
            added: count(item, "added")?,
        })
    }

    /// The day that ends with `next`, the opening after it; nothing if that was written before this one, by a process
    /// whose clock was ahead. What has come and what has gone only grow.
    fn until(&self, next: &Self) -> Option<Day> {
        let new = next.added.checked_sub(self.added)?;
        Some(Day {
            date: self.date,
            count: next.count,
            new,
            gone: (self.count + new).checked_sub(next.count)?,
        })
    }
}

impl Subscribers {
    /// The last days, oldest first, without a gap, up to today; from the first that is known. At most [`MOST_DAYS`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn days(&self, totals: &Totals, now: Timestamp) -> Result<Vec<Day>, StoreError> {
        let today = date(now);
        let found = self
            .db
            .client
            .query()
            .table_name(&self.db.tables.ledger)
            .consistent_read(true)
            // A clock that was wrong may have opened a day to come.
            .key_condition_expression("id = :days AND part <= :today")
            .expression_attribute_values(":days", string(DAYS))
            .expression_attribute_values(":today", string(&today.to_string()))
            .scan_index_forward(false)
            .limit(MOST_DAYS)
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        let openings: Vec<_> = found.items().iter().filter_map(Opening::read).collect();
        Ok(growth(&openings, totals, today))
    }

    /// Sees to it that today has its opening, which costs a look at memory once it has. One that cannot be written
    /// fails nobody's subscription: the next change tries again, and until then counts as the day's before.
    pub(crate) async fn open_day(&self, now: Timestamp) {
        let today = now.as_second().div_euclid(SECONDS_OF_A_DAY);
        if self.opened.load(Ordering::Relaxed) >= today {
            return;
        }
        match self.write_opening(date(now)).await {
            Ok(()) => {
                self.opened.fetch_max(today, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the opening of a day could not be written"
            ),
        }
    }

    /// The first that is written stands.
    async fn write_opening(&self, date: Date) -> Result<(), StoreError> {
        let totals = self.totals().await?;
        let written = self
            .db
            .client
            .put_item()
            .table_name(&self.db.tables.ledger)
            .item("id", string(DAYS))
            .item("part", string(&date.to_string()))
            .item("n", number(totals.count))
            .item("added", number(totals.added))
            .condition_expression("attribute_not_exists(id)")
            .send()
            .await;
        match written {
            Err(error)
                if !error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Err(StoreError::sdk("PutItem", error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// `openings` are given newest first.
fn growth(openings: &[Opening], present: &Totals, today: Date) -> Vec<Day> {
    let window = today.saturating_sub((MOST_DAYS - 1).days());
    // What follows the day that is looked at.
    let mut next = Opening::of(today, present);
    let mut days = Vec::new();
    let mut openings = openings.iter().peekable();
    let mut date = today;
    while openings.peek().is_some() && date >= window {
        let quiet = Day {
            date,
            count: next.count,
            new: 0,
            gone: 0,
        };
        let opening = openings.next_if(|opening| opening.date == date);
        let opened = opening.and_then(|opening| Some((opening, opening.until(&next)?)));
        days.push(opened.map_or(quiet, |(_, day)| day));
        next = opened.map_or(next, |(opening, _)| *opening);
        date = date.saturating_sub(1.days());
    }
    days.reverse();
    days
}
