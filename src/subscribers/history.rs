//! Growth day by day, without a write for each subscription. Before the first change of a day (UTC), the service writes
//! the current figures, the day's *opening balance*. A day's growth is the difference between its opening balance and
//! the next one. A day without an opening balance is a day without a change.

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

/// Maximum number of days that [`Subscribers::days`] returns.
pub const MOST_DAYS: i32 = 90;

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// One day of growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day, in UTC.
    pub date: Date,
    /// Number of subscriptions at the end of the day; for today, the current number.
    pub count: u64,
    /// Number of subscriptions that were added.
    pub new: u64,
    /// Number of subscriptions that were removed.
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

    /// The day that ends with `next`, the following opening balance. `None` if `next` was written before this balance,
    /// by a process whose clock was ahead. The numbers show it: subscriptions added and removed only grow.
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
    /// The last days up to today, oldest first and without a gap: at most [`MOST_DAYS`], starting with the first
    /// balance.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn days(&self, totals: &Totals, now: Timestamp) -> Result<Vec<Day>, StoreError> {
        let today = date(now);
        // A process whose clock was ahead may have written a balance for a future day.
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

    /// Writes today's opening balance unless it exists. The process remembers that it does. A failure is logged and
    /// does not fail the subscription. The next change tries again; changes until then count as yesterday's.
    pub(crate) async fn open_day(&self, now: Timestamp) {
        let today = now.as_second().div_euclid(SECONDS_PER_DAY);
        if self.opened.load(Ordering::Relaxed) >= today {
            return;
        }
        match self.write_opening_balance(date(now)).await {
            Ok(()) => {
                self.opened.fetch_max(today, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "could not write the opening balance of the day"
            ),
        }
    }

    /// Keeps the balance that another process may have written first.
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

/// Turns opening balances (newest first) into days up to today (oldest first).
fn growth(balances: &[OpeningBalance], present: &Totals, today: Date) -> Vec<Day> {
    let window = today.saturating_sub((MOST_DAYS - 1).days());
    // The opening balance of the day after `date`.
    let mut next = OpeningBalance::of(today, present);
    let mut days = Vec::new();
    let mut balances = balances.iter().peekable();
    let mut date = today;
    while balances.peek().is_some() && date >= window {
        let unchanged = Day {
            date,
            count: next.count,
            new: 0,
            gone: 0,
        };
        let balance = balances.next_if(|balance| balance.date == date);
        let changed = balance.and_then(|balance| Some((balance, balance.until(&next)?)));
        days.push(changed.map_or(unchanged, |(_, day)| day));
        next = changed.map_or(next, |(balance, _)| *balance);
        date = date.saturating_sub(1.days());
    }
    days.reverse();
    days
}
