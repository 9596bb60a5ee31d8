//! When a schedule fires: EventBridge Scheduler's expressions, read here as it reads them, so that a schedule means
//! the same on one machine as in AWS.
//!
//! By the clock on the wall of a time zone. When clocks go forward, a time that they skip is skipped; when they go
//! back, a time that comes twice fires the first time only
//! (EventBridge Scheduler's User Guide, "Schedule types", "Daylight savings time").

use std::fmt;
use std::str::FromStr;

use croner::Cron;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::cron;
use super::expression_error::{ExpressionError, MAX_LEN};

/// `at(2026-12-24T09:00:00)`, `rate(5 minutes)` or `cron(0 9 ? * MON-FRI *)`.
#[derive(Clone)]
pub struct Expression {
    text: String,
    when: When,
}

#[derive(Clone)]
enum When {
    At(DateTime),
    Rate(SignedDuration),
    Cron(Box<Cron>),
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let text = text.trim();
        if text.chars().nth(MAX_LEN).is_some() {
            return Err(ExpressionError::Long);
        }
        let inside = text.strip_suffix(')').and_then(|text| text.split_once('('));
        let when = match inside {
            Some(("at", inside)) => When::At(at(inside)?),
            Some(("rate", inside)) => When::Rate(rate(inside)?),
            Some(("cron", inside)) => When::Cron(Box::new(cron::read(inside)?)),
            _ => return Err(ExpressionError::Form),
        };
        Ok(Self {
            text: text.to_owned(),
            when,
        })
    }
}

/// `2026-12-24T09:00:00`, to the letter: AWS takes no other form.
fn at(text: &str) -> Result<DateTime, ExpressionError> {
    let read = DateTime::strptime("%Y-%m-%dT%H:%M:%S", text);
    let exact = |time: &DateTime| time.strftime("%Y-%m-%dT%H:%M:%S").to_string() == text;
    read.ok()
        .filter(exact)
        .ok_or_else(|| ExpressionError::At(text.to_owned()))
}

/// `5 minutes`. A day is 24 hours, whatever the clocks do.
fn rate(text: &str) -> Result<SignedDuration, ExpressionError> {
    let wrong = || ExpressionError::Rate(text.to_owned());
    let mut words = text.split_whitespace();
    let (Some(value), Some(unit), None) = (words.next(), words.next(), words.next()) else {
        return Err(wrong());
    };
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let value: i32 = value.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    let minutes = match (value, unit) {
        (..=0, _) => return Err(wrong()),
        (1, "minute") | (2.., "minutes") => 1,
        (1, "hour") | (2.., "hours") => 60,
        (1, "day") | (2.., "days") => 24 * 60,
        _ => return Err(wrong()),
    };
    Ok(SignedDuration::from_mins(i64::from(value) * minutes))
}

impl Expression {
    /// The first firing after `after`, if there is one.
    ///
    /// `at` and `cron` are read in `zone`; `rate` counts from the second of `anchor`, one period after which it
    /// fires first.
    pub fn next_after(
        &self,
        after: Timestamp,
        zone: &TimeZone,
        anchor: Timestamp,
    ) -> Option<Timestamp> {
        match &self.when {
            When::At(time) => instant(*time, zone).filter(|at| *at > after),
            When::Rate(period) => {
                let anchor = Timestamp::from_second(anchor.as_second()).ok()?;
                let passed = after.duration_since(anchor).as_secs().max(0) / period.as_secs();
                let periods = i32::try_from(passed + 1).ok()?;
                anchor.checked_add(period.checked_mul(periods)?).ok()
            }
            When::Cron(cron) => {
                let mut time = zone.to_datetime(after);
                loop {
                    time = cron.find_next_occurrence(&time, false).ok()?;
                    if time.year() > cron::LAST_YEAR {
                        return None;
                    }
                    // One that the clocks skip, or that has been: while clocks that went back repeat an hour.
                    let firing = instant(time, zone).filter(|at| *at > after);
                    if firing.is_some() {
                        return firing;
                    }
                }
            }
        }
    }

    /// The last firing up to `until`, of which `known`, not after `until`, is one.
    pub fn last_until(
        &self,
        until: Timestamp,
        known: Timestamp,
        zone: &TimeZone,
        anchor: Timestamp,
    ) -> Timestamp {
        // Looks back twice as far each time: a server may have stood still for a year of minutes.
        let mut back = SignedDuration::from_mins(1);
        let mut last = loop {
            let from = until.saturating_sub(back).unwrap_or(known);
            if from <= known {
                break known;
            }
            match self.next_after(from, zone, anchor) {
                Some(found) if found <= until => break found,
                _ => back = back.saturating_mul(2),
            }
        };
        while let Some(next) = self.next_after(last, zone, anchor) {
            if next > until {
                break;
            }
            last = next;
        }
        last
    }

    /// The time between two firings of a `rate`.
    pub fn period(&self) -> Option<SignedDuration> {
        match self.when {
            When::Rate(period) => Some(period),
            When::At(_) | When::Cron(_) => None,
        }
    }

    /// Whether it fires once: `at`.
    pub fn is_once(&self) -> bool {
        matches!(self.when, When::At(_))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// When a clock on the wall shows this time first, if it ever does.
fn instant(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => None,
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().ok()
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}
