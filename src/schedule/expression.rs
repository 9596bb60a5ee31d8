//! When a schedule fires: EventBridge Scheduler's expressions, with the same meaning, so that a schedule fires on one
//! machine as in AWS.
//!
//! `at` and `cron` are local times in a time zone. When clocks go forward, a schedule does not fire at a local time
//! that is skipped. When clocks go back, it fires at the first of two equal local times only (EventBridge Scheduler's
//! User Guide, "Schedule types", "Daylight savings time").

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

/// `2026-12-24T09:00:00`. AWS takes no other form, such as one without seconds.
fn at(text: &str) -> Result<DateTime, ExpressionError> {
    let read = DateTime::strptime("%Y-%m-%dT%H:%M:%S", text);
    let exact = |time: &DateTime| time.strftime("%Y-%m-%dT%H:%M:%S").to_string() == text;
    read.ok()
        .filter(exact)
        .ok_or_else(|| ExpressionError::At(text.to_owned()))
}

/// `5 minutes`. A day is always 24 hours.
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
    /// The first firing after `after`. None when the schedule is over.
    ///
    /// `at` and `cron` are local times in `zone`. `rate` fires first one period after `anchor`, which is cut to whole
    /// seconds.
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
                    // Skips a local time that does not exist, and in a repeated hour one that has passed.
                    let firing = instant(time, zone).filter(|at| *at > after);
                    if firing.is_some() {
                        return firing;
                    }
                }
            }
        }
    }

    /// The last firing up to `until`. `known` is a firing that is not after `until`.
    pub fn last_until(
        &self,
        until: Timestamp,
        known: Timestamp,
        zone: &TimeZone,
        anchor: Timestamp,
    ) -> Timestamp {
        // Doubles how far it looks back: after a year without a server, a step through every minute would take long.
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

    /// Time between two firings of a `rate`. None for `at` and `cron`.
    pub fn period(&self) -> Option<SignedDuration> {
        match self.when {
            When::Rate(period) => Some(period),
            When::At(_) | When::Cron(_) => None,
        }
    }

    /// Whether it fires only once (`at`).
    pub fn is_once(&self) -> bool {
        matches!(self.when, When::At(_))
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The first moment with this local time. None when clocks skip it.
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
