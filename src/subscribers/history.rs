//! Growth day by day, without a write for each subscription. The first change of a day (UTC) writes the figures before
//! it: the day's *opening balance*. A day's growth is the difference between its opening balance and the next one. A day
//! without one is a day without a change.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::ReturnValue;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::Subscribers;
use super::count::Totals;
use crate::dynamo::StoreError;
use crate::dynamo::item::{Item, to_item};
use crate::dynamo::key::{LedgerKey, Partition};
use crate::dynamo::read::Range;
use crate::dynamo::write::IS_NEW;

/// Maximum number of days that are shown.
pub const MOST_DAYS: i32 = 90;

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// One day of growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// In UTC.
    pub date: Date,
    /// Subscriptions at its end; for today, at this moment.
    pub count: u64,
    /// Subscriptions that were added.
    pub new: u64,
    /// Subscriptions that were removed.
    pub gone: u64,
}

/// A day's opening balance: the figures before its first change.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct OpeningBalance {
    /// The item's sort key.
    #[serde(skip_serializing, rename = "part")]
    date: Date,
    #[serde(rename = "n")]
    count: u64,
    added: u64,
}

impl OpeningBalance {
    fn of(date: Date, totals: &Totals) -> Self {
        Self {
            date,
            count: totals.count,
            added: totals.added,
        }
    }

    fn read(item: &Item) -> Option<Self> {
        serde_dynamo::from_item(item.clone()).ok()
    }

    /// The day that ends with `next`, the opening balance after it. `None` if that one was written before this one, by a
    /// process whose clock was ahead: the numbers of subscriptions added and removed only grow.
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
    /// The last days up to today, oldest first, without a gap: at most [`MOST_DAYS`], and none before the first balance.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn days(&self, totals: &Totals, now: Timestamp) -> Result<Vec<Day>, StoreError> {
        let today = date(now);
        // A process whose clock was wrong may have opened a day to come.
        let until_today = today.to_string();
        let found = self
            .db
            .query(&Partition::Days, Range::UpTo(&until_today), MOST_DAYS)
            .scan_index_forward(false)
            .send()
            .await
            .map_err(|error| StoreError::sdk("Query", error))?;
        let balances = found.items().iter();
        let balances: Vec<_> = balances.filter_map(OpeningBalance::read).collect();
        Ok(growth(&balances, totals, today))
    }

    /// Writes today's opening balance unless it exists; later calls find in memory that it does. A failure is logged and
    /// does not fail the subscription: the next change tries again, and the changes until then count as yesterday's.
    pub(crate) async fn open_day(&self, now: Timestamp) {
        let today = now.as_second().div_euclid(SECONDS_OF_A_DAY);
        if self.opened.load(Ordering::Relaxed) >= today {
            return;
        }
        match self.write_opening_balance(date(now)).await {
            Ok(()) => {
                self.opened.fetch_max(today, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the opening balance of a day could not be written"
            ),
        }
    }

    /// The first balance that is written stands.
    async fn write_opening_balance(&self, date: Date) -> Result<(), StoreError> {
        let balance = OpeningBalance::of(date, &self.totals().await?);
        let day = self.db.ledger(&LedgerKey::Day(date));
        let put = day.put(to_item(&balance)).when(IS_NEW);
        self.db.write_once(put, ReturnValue::None).await?;
        Ok(())
    }
}

fn date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The days up to today, oldest first, from their opening balances, newest first.
fn growth(balances: &[OpeningBalance], present: &Totals, today: Date) -> Vec<Day> {
    let window = today.saturating_sub((MOST_DAYS - 1).days());
    // The balance at the end of `date`.
    let mut next = OpeningBalance::of(today, present);
    let mut days = Vec::new();
    let mut balances = balances.iter().peekable();
    let mut date = today;
    while balances.peek().is_some() && date >= window {
        let quiet = Day {
            date,
            count: next.count,
            new: 0,
            gone: 0,
        };
        let balance = balances.next_if(|balance| balance.date == date);
        let changed = balance.and_then(|balance| Some((balance, balance.until(&next)?)));
        days.push(changed.map_or(quiet, |(_, day)| day));
        next = changed.map_or(next, |(balance, _)| *balance);
        date = date.saturating_sub(1.days());
    }
    days.reverse();
    days
}
