//! `cron(minutes hours day-of-month month day-of-week year)`: checks AWS's fields one by one, and translates them for
//! the crate `croner`. Its form differs: it has seconds, counts the days of a week from 0, and takes much that AWS
//! refuses.

use std::collections::BTreeSet;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::expression_error::ExpressionError;

/// The last year of a schedule.
pub(super) const LAST_YEAR: i16 = 2199;

/// One of the six fields.
struct Field {
    name: &'static str,
    first: u16,
    last: u16,
    /// Names of the values from `first` on. Empty when the field takes numbers only.
    names: &'static [&'static str],
}

const MINUTES: Field = numbers("minutes", 0, 59);
const HOURS: Field = numbers("hours", 0, 23);
const DAY_OF_MONTH: Field = numbers("day-of-month", 1, 31);
const MONTH: Field = Field {
    names: &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
    ..numbers("month", 1, 12)
};
const DAY_OF_WEEK: Field = Field {
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    ..numbers("day-of-week", 1, 7)
};
const YEAR: Field = numbers("year", 1970, 2199);

const fn numbers(name: &'static str, first: u16, last: u16) -> Field {
    Field {
        name,
        first,
        last,
        names: &[],
    }
}

/// Reads the text between the parentheses.
pub(super) fn read(text: &str) -> Result<Cron, ExpressionError> {
    let upper = text.to_ascii_uppercase();
    let fields: Vec<&str> = upper.split_whitespace().collect();
    let &[minutes, hours, day_of_month, month, day_of_week, year] = fields.as_slice() else {
        return Err(ExpressionError::Fields(fields.len()));
    };
    let fields = [
        "0".to_owned(),
        MINUTES.list(minutes)?,
        HOURS.list(hours)?,
        read_day_of_month(day_of_month)?,
        MONTH.list(month)?,
        read_day_of_week(day_of_week)?,
        YEAR.list(year)?,
    ];
    if (day_of_month == "?") == (day_of_week == "?") {
        return Err(ExpressionError::Days);
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Required)
        .build();
    // `croner` takes every list of checked fields, so this error is not expected.
    parser
        .parse(&fields.join(" "))
        .map_err(|_| ExpressionError::Form)
}

/// A list, `?`, `L` (the last day), `15W` (the weekday nearest to the 15th) or `LW` (the last weekday).
fn read_day_of_month(text: &str) -> Result<String, ExpressionError> {
    if let "?" | "L" | "LW" = text {
        return Ok(text.replace('?', "*"));
    }
    match text.strip_suffix('W') {
        Some(day) => Ok(format!("{}W", DAY_OF_MONTH.value(text, day)?)),
        None => DAY_OF_MONTH.list(text),
    }
}

/// A list, `?`, `L` (Saturday), `6L` (the month's last Friday) or `3#2` (the month's second Tuesday).
fn read_day_of_week(text: &str) -> Result<String, ExpressionError> {
    if text == "?" {
        return Ok("*".to_owned());
    }
    if text == "L" {
        return Ok("6".to_owned());
    }
    if let Some(day) = text.strip_suffix('L') {
        return Ok(format!("{}L", DAY_OF_WEEK.value(text, day)? - 1));
    }
    if let Some((day, nth)) = text.split_once('#') {
        let day = DAY_OF_WEEK.value(text, day)? - 1;
        return match nth {
            "1" | "2" | "3" | "4" | "5" => Ok(format!("{day}#{nth}")),
            _ => Err(DAY_OF_WEEK.wrong(text, "# must be followed by 1 to 5")),
        };
    }
    DAY_OF_WEEK.list(text)
}

impl Field {
    /// Translates `*`, or a list of values, ranges and steps.
    fn list(&self, text: &str) -> Result<String, ExpressionError> {
        if text == "*" {
            return Ok("*".to_owned());
        }
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (item, None),
            };
            let (first, last) = match range.split_once('-') {
                Some((first, last)) => (self.value(text, first)?, self.value(text, last)?),
                None if range == "*" && step.is_some() => (self.first, self.last),
                // `5/10` runs from 5 to the end.
                None if step.is_some() => (self.value(text, range)?, self.last),
                None => (self.value(text, range)?, self.value(text, range)?),
            };
            if first > last {
                return Err(self.wrong(text, "a range must not run backwards"));
            }
            let step = step.map_or(Some(1), |step| number(step).filter(|step| *step > 0));
            let step =
                step.ok_or_else(|| self.wrong(text, "/ must be followed by a number from 1"))?;
            values.extend((first..=last).step_by(usize::from(step)));
        }
        // `croner` counts the days of a week from 0.
        let shift = u16::from(self.name == DAY_OF_WEEK.name);
        let values: Vec<String> = values.iter().map(|v| (v - shift).to_string()).collect();
        Ok(values.join(","))
    }

    /// Reads a number or a name. `whole` is the text of the whole field, for the error.
    fn value(&self, whole: &str, text: &str) -> Result<u16, ExpressionError> {
        let named = self.names.iter().position(|name| *name == text);
        let named = named.and_then(|position| u16::try_from(position).ok());
        named
            .map(|position| self.first + position)
            .or_else(|| number(text))
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| {
                let Self { first, last, .. } = self;
                let names = match (self.names.first(), self.names.last()) {
                    (Some(first), Some(last)) => format!(", {first} to {last}"),
                    _ => String::new(),
                };
                let must = format!(
                    "must be {first} to {last}{names}, combined with {}",
                    self.special_characters()
                );
                self.wrong(whole, &must)
            })
    }

    /// Characters that the field takes beside values.
    fn special_characters(&self) -> &'static str {
        match self.name {
            "day-of-month" => ", - * / ? L W",
            "day-of-week" => ", - * / ? L #",
            _ => ", - * /",
        }
    }

    fn wrong(&self, text: &str, must: &str) -> ExpressionError {
        ExpressionError::Field {
            field: self.name,
            text: text.to_owned(),
            must: must.to_owned(),
        }
    }
}

/// Reads digits. `parse` alone would take a leading `+`.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
