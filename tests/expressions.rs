//! Schedule expressions through the library. Each expected firing was worked out by hand with a calendar.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use pushcast::schedule::Expression;

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";
/// Its clocks change by half an hour.
const LORD_HOWE: &str = "Australia/Lord_Howe";

fn expression(text: &str) -> Expression {
    text.parse()
        .unwrap_or_else(|error| panic!("{text} {error}"))
}

fn time(text: &str) -> Timestamp {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The next firings after `after`, of a schedule that was created then.
fn firings(text: &str, zone: &str, after: &str, n: usize) -> Vec<String> {
    let (expression, zone) = (expression(text), TimeZone::get(zone).unwrap());
    let (anchor, mut after) = (time(after), time(after));
    let mut firings = Vec::new();
    while let Some(next) = expression.next_after(after, &zone, anchor) {
        assert!(next > after, "{text} goes backwards");
        firings.push(next.to_string());
        after = next;
        if firings.len() == n {
            break;
        }
    }
    firings
}

/// Expression, time zone, a moment, and the next five firings after it.
const FIRINGS: [(&str, &str, &str, &str); 15] = [
    (
        "cron(0 9 ? * MON-FRI *)",
        "UTC",
        "2026-12-24T09:00:00Z",
        "2026-12-25T09:00:00Z 2026-12-28T09:00:00Z 2026-12-29T09:00:00Z \
        2026-12-30T09:00:00Z 2026-12-31T09:00:00Z",
    ),
    // Spring, 2026-03-29: in Berlin 02:00 becomes 03:00. Times in between are skipped.
    (
        "cron(30 2 * * ? *)",
        BERLIN,
        "2026-03-27T00:00:00Z",
        "2026-03-27T01:30:00Z 2026-03-28T01:30:00Z 2026-03-30T00:30:00Z \
        2026-03-31T00:30:00Z 2026-04-01T00:30:00Z",
    ),
    (
        "cron(0 9 * * ? *)",
        BERLIN,
        "2026-03-27T12:00:00Z",
        "2026-03-28T08:00:00Z 2026-03-29T07:00:00Z 2026-03-30T07:00:00Z \
        2026-03-31T07:00:00Z 2026-04-01T07:00:00Z",
    ),
    (
        "cron(0/30 * * * ? *)",
        BERLIN,
        "2026-03-29T00:00:00Z",
        "2026-03-29T00:30:00Z 2026-03-29T01:00:00Z 2026-03-29T01:30:00Z \
        2026-03-29T02:00:00Z 2026-03-29T02:30:00Z",
    ),
    // Autumn, 2026-10-25: in Berlin 03:00 becomes 02:00. A time that occurs twice fires at its first occurrence.
    (
        "cron(30 2 * * ? *)",
        BERLIN,
        "2026-10-23T12:00:00Z",
        "2026-10-24T00:30:00Z 2026-10-25T00:30:00Z 2026-10-26T01:30:00Z \
        2026-10-27T01:30:00Z 2026-10-28T01:30:00Z",
    ),
    (
        "cron(0/30 * * * ? *)",
        BERLIN,
        "2026-10-24T23:30:00Z",
        "2026-10-25T00:00:00Z 2026-10-25T00:30:00Z 2026-10-25T02:00:00Z \
        2026-10-25T02:30:00Z 2026-10-25T03:00:00Z",
    ),
    // Starting inside the hour that occurs twice.
    (
        "cron(0/30 * * * ? *)",
        BERLIN,
        "2026-10-25T01:10:00Z",
        "2026-10-25T02:00:00Z 2026-10-25T02:30:00Z 2026-10-25T03:00:00Z \
        2026-10-25T03:30:00Z 2026-10-25T04:00:00Z",
    ),
    // New York: 2026-03-08 and 2026-11-01.
    (
        "cron(0 2 * * ? *)",
        NEW_YORK,
        "2026-03-06T12:00:00Z",
        "2026-03-07T07:00:00Z 2026-03-09T06:00:00Z 2026-03-10T06:00:00Z \
        2026-03-11T06:00:00Z 2026-03-12T06:00:00Z",
    ),
    (
        "cron(15 1 * * ? *)",
        NEW_YORK,
        "2026-10-30T12:00:00Z",
        "2026-10-31T05:15:00Z 2026-11-01T05:15:00Z 2026-11-02T06:15:00Z \
        2026-11-03T06:15:00Z 2026-11-04T06:15:00Z",
    ),
    // Lord Howe: on 2026-10-04 02:00 becomes 02:30, on 2026-04-05 02:00 becomes 01:30.
    (
        "cron(15 2 * * ? *)",
        LORD_HOWE,
        "2026-10-02T00:00:00Z",
        "2026-10-02T15:45:00Z 2026-10-04T15:15:00Z 2026-10-05T15:15:00Z \
        2026-10-06T15:15:00Z 2026-10-07T15:15:00Z",
    ),
    (
        "cron(45 1 * * ? *)",
        LORD_HOWE,
        "2026-04-03T00:00:00Z",
        "2026-04-03T14:45:00Z 2026-04-04T14:45:00Z 2026-04-05T15:15:00Z \
        2026-04-06T15:15:00Z 2026-04-07T15:15:00Z",
    ),
    (
        "cron(0/15 * * * ? *)",
        LORD_HOWE,
        "2026-04-04T14:30:00Z",
        "2026-04-04T14:45:00Z 2026-04-04T15:30:00Z 2026-04-04T15:45:00Z \
        2026-04-04T16:00:00Z 2026-04-04T16:15:00Z",
    ),
    // To a rate a day is 24 hours, whatever the clocks do.
    (
        "rate(1 day)",
        BERLIN,
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:30:00Z 2026-03-30T01:30:00Z 2026-03-31T01:30:00Z \
        2026-04-01T01:30:00Z 2026-04-02T01:30:00Z",
    ),
    (
        "rate(5 minutes)",
        "UTC",
        "2026-12-31T23:49:59Z",
        "2026-12-31T23:54:59Z 2026-12-31T23:59:59Z 2027-01-01T00:04:59Z \
        2027-01-01T00:09:59Z 2027-01-01T00:14:59Z",
    ),
    (
        "rate(36 hours)",
        NEW_YORK,
        "2026-10-31T00:00:00Z",
        "2026-11-01T12:00:00Z 2026-11-03T00:00:00Z 2026-11-04T12:00:00Z \
        2026-11-06T00:00:00Z 2026-11-07T12:00:00Z",
    ),
];

#[test]
fn a_schedule_fires_by_the_local_clock() {
    for (text, zone, after, expected) in FIRINGS {
        let expected: Vec<&str> = expected.split(' ').collect();
        assert_eq!(firings(text, zone, after, 5), expected, "{text} in {zone}");
    }
}

#[test]
fn each_field_of_cron_means_what_it_means_to_eventbridge() {
    let cases: &[(&str, &[&str])] = &[
        // Weekday numbers start with Sunday as 1.
        ("cron(0 0 ? * 1 *)", &["2026-06-07", "2026-06-14"]),
        ("cron(0 0 ? * 7 *)", &["2026-06-06", "2026-06-13"]),
        ("cron(0 0 ? * sun,sat *)", &["2026-06-06", "2026-06-07"]),
        ("cron(0 0 ? * 2-6/2 *)", &["2026-06-03", "2026-06-05"]),
        ("cron(0 0 ? * L *)", &["2026-06-06", "2026-06-13"]),
        ("cron(0 0 ? * 6L *)", &["2026-06-26", "2026-07-31"]),
        ("cron(0 0 ? * FRIL *)", &["2026-06-26", "2026-07-31"]),
        ("cron(0 0 ? * 3#2 *)", &["2026-06-09", "2026-07-14"]),
        ("cron(0 0 ? * TUE#5 *)", &["2026-06-30", "2026-09-29"]),
        ("cron(0 0 L * ? *)", &["2026-06-30", "2026-07-31"]),
        // 2026-08-15 is a Saturday, 2026-11-15 a Sunday, 2026-08-01 a Saturday at the start of its month.
        ("cron(0 0 15W 8,11 ? *)", &["2026-08-14", "2026-11-16"]),
        ("cron(0 0 1W 8 ? *)", &["2026-08-03", "2027-08-02"]),
        // 2026-10-31 is a Saturday.
        ("cron(0 0 LW 10 ? *)", &["2026-10-30", "2027-10-29"]),
        ("cron(0 0 31 * ? *)", &["2026-07-31", "2026-08-31"]),
        ("cron(0 0 29 FEB ? *)", &["2028-02-29", "2032-02-29"]),
        ("cron(0 0 1 1/6 ? *)", &["2026-07-01", "2027-01-01"]),
        (
            "cron(0 0 1 JAN ? 2030,2040-2050/10)",
            &["2030-01-01", "2040-01-01", "2050-01-01"],
        ),
        ("cron(0 0 24 12 ? 2199)", &["2199-12-24"]),
        ("cron(0 0 30 2 ? *)", &[]),
        ("cron(0 0 1 1 ? 2020)", &[]),
        ("at(2026-12-24T00:00:00)", &["2026-12-24"]),
        ("at(2020-12-24T00:00:00)", &[]),
    ];
    for (text, days) in cases {
        let mut found = firings(text, "UTC", "2026-06-02T12:00:00Z", days.len().max(1));
        if days.last().is_some_and(|day| day.starts_with("2199")) || text.starts_with("at") {
            found = firings(text, "UTC", "2026-06-02T12:00:00Z", 9);
        }
        let days: Vec<String> = days.iter().map(|day| format!("{day}T00:00:00Z")).collect();
        assert_eq!(found, days, "{text}");
    }
    let minutes = firings(
        "cron(5/20,7 22-23 ? * * *)",
        "UTC",
        "2026-06-02T22:24:00Z",
        6,
    );
    let minutes: Vec<&str> = minutes.iter().map(|it| &it[8..16]).collect();
    assert_eq!(
        minutes,
        [
            "02T22:25", "02T22:45", "02T23:05", "02T23:07", "02T23:25", "02T23:45"
        ]
    );
}

#[test]
fn a_one_time_schedule_fires_at_its_local_time() {
    for (text, zone, at) in [
        (
            "at(2026-12-24T09:00:00)",
            "UTC",
            Some("2026-12-24T09:00:00Z"),
        ),
        (
            "at(2026-12-24T09:00:00)",
            NEW_YORK,
            Some("2026-12-24T14:00:00Z"),
        ),
        // A local time that occurs twice: the first one counts.
        (
            "at(2026-10-25T02:30:00)",
            BERLIN,
            Some("2026-10-25T00:30:00Z"),
        ),
        // A local time that the clock skips.
        ("at(2026-03-29T02:30:00)", BERLIN, None),
        ("at(2026-10-04T02:15:00)", LORD_HOWE, None),
    ] {
        let found = firings(text, zone, "2026-01-01T00:00:00Z", 5);
        assert_eq!(
            found,
            at.into_iter().collect::<Vec<_>>(),
            "{text} in {zone}"
        );
    }
}

const FORM: &str = "must be at(yyyy-mm-ddThh:mm:ss), rate(value unit) or \
    cron(minutes hours day-of-month month day-of-week year)";
const NOT_OF_THE_FORM: [&str; 6] = [
    "",
    "0 9 * * *",
    "@daily",
    "CRON(0 9 * * ? *)",
    "cron(0 9 * * ? *",
    "every(5 minutes)",
];

const RATE: &str =
    "must be a whole number from 1 and minutes, hours or days (after 1: minute, hour or day)";
const WRONG_RATES: [&str; 8] = [
    "5 minute",
    "1 minutes",
    "0 minutes",
    "-5 minutes",
    "+5 minutes",
    "1.5 hours",
    "30 seconds",
    "5",
];

const AT: &str = "must be a date and a time, such as at(2026-12-24T09:00:00)";
const WRONG_TIMES: [&str; 4] = [
    "2026-12-24",
    "2026-12-24T09:00",
    "2026-12-24T09:00:00Z",
    "2026-02-30T09:00:00",
];

const DAYS: &str = "must have ? in its day-of-month or in its day-of-week, and not in both";
const WRONG_DAYS: [&str; 3] = [
    "cron(0 9 * * * *)",
    "cron(0 9 1 * MON *)",
    "cron(0 9 ? * ? *)",
];

const MINUTES: &str = "must be 0 to 59, combined with , - * /";
const MONTH_DAY: &str = "must be 1 to 31, combined with , - * / ? L W";
const MONTH: &str = "must be 1 to 12, JAN to DEC, combined with , - * /";
const WEEK_DAY: &str = "must be 1 to 7, SUN to SAT, combined with , - * / ? L #";
const YEAR: &str = "must be 1970 to 2199, combined with , - * /";

/// Expression, the wrong field, what the field holds, and what it must hold.
const WRONG_FIELDS: [(&str, &str, &str, &str); 23] = [
    ("cron(60 9 * * ? *)", "minutes", "60", MINUTES),
    ("cron(? 9 * * ? *)", "minutes", "?", MINUTES),
    ("cron(1,,2 9 * * ? *)", "minutes", "1,,2", MINUTES),
    ("cron(*,5 9 * * ? *)", "minutes", "*,5", MINUTES),
    (
        "cron(0/0 9 * * ? *)",
        "minutes",
        "0/0",
        "/ must be followed by a number from 1",
    ),
    ("cron(/5 9 * * ? *)", "minutes", "/5", MINUTES),
    (
        "cron(0 24 * * ? *)",
        "hours",
        "24",
        "must be 0 to 23, combined with , - * /",
    ),
    (
        "cron(0 22-4 * * ? *)",
        "hours",
        "22-4",
        "a range must not run backwards",
    ),
    ("cron(0 9 0 * ? *)", "day-of-month", "0", MONTH_DAY),
    ("cron(0 9 32 * ? *)", "day-of-month", "32", MONTH_DAY),
    ("cron(0 9 1-5W * ? *)", "day-of-month", "1-5W", MONTH_DAY),
    ("cron(0 9 L-3 * ? *)", "day-of-month", "L-3", MONTH_DAY),
    ("cron(0 9 1,L * ? *)", "day-of-month", "1,L", MONTH_DAY),
    ("cron(0 9 1 13 ? *)", "month", "13", MONTH),
    ("cron(0 9 1 JANUARY ? *)", "month", "JANUARY", MONTH),
    ("cron(0 9 ? * 0 *)", "day-of-week", "0", WEEK_DAY),
    ("cron(0 9 ? * 8 *)", "day-of-week", "8", WEEK_DAY),
    ("cron(0 9 ? * 15W *)", "day-of-week", "15W", WEEK_DAY),
    (
        "cron(0 9 ? * 3#6 *)",
        "day-of-week",
        "3#6",
        "# must be followed by 1 to 5",
    ),
    (
        "cron(0 9 ? * 3#1,6#3 *)",
        "day-of-week",
        "3#1,6#3",
        "# must be followed by 1 to 5",
    ),
    ("cron(0 9 ? * +MON *)", "day-of-week", "+MON", WEEK_DAY),
    ("cron(0 9 * * ? 1969)", "year", "1969", YEAR),
    ("cron(0 9 * * ? 2200)", "year", "2200", YEAR),
];

fn refused_with(text: &str, error: &str) {
    let refused = text.parse::<Expression>().expect_err(text).to_string();
    assert_eq!(refused, error, "{text}");
}

#[test]
fn an_expression_that_eventbridge_refuses_is_refused_with_its_field() {
    for text in NOT_OF_THE_FORM {
        refused_with(text, FORM);
    }
    for rate in WRONG_RATES {
        refused_with(
            &format!("rate({rate})"),
            &format!("holds `{rate}` in rate(..): {RATE}"),
        );
    }
    for at in WRONG_TIMES {
        refused_with(
            &format!("at({at})"),
            &format!("holds `{at}` in at(..): {AT}"),
        );
    }
    for text in WRONG_DAYS {
        refused_with(text, DAYS);
    }
    for (text, field, value, must) in WRONG_FIELDS {
        refused_with(text, &format!("has `{value}` in its {field}: {must}"));
    }
    for (n, text) in [(5, "cron(0 9 * * ?)"), (7, "cron(0 0 9 * * ? *)")] {
        let six = "must be six, minutes hours day-of-month month day-of-week year";
        refused_with(text, &format!("has {n} fields in cron(..): {six}"));
    }
    let long = format!("cron({} 9 * * ? *)", ["1"; 200].join(","));
    refused_with(&long, "has more than 256 characters");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_an_expression_with_ascending_firings_or_an_error(
        text in prop_oneof![
            any::<String>(),
            "(cron|rate|at)\\([0-9 *?,/LW#T:A-Z-]{0,30}\\)",
            "cron\\([0-5]{1,2}(/[1-9])? ([0-9]|\\*) (\\?|L|[1-9]{1,2}W?) \\* (\\?|[1-7](#[1-5]|L)?|MON-FRI) \\*\\)",
            "rate\\([1-9]{1,10} (minutes|hours|days)\\)",
        ],
        zone in prop::sample::select(vec!["UTC", BERLIN, NEW_YORK, LORD_HOWE, "Pacific/Apia"]),
        after in 0_i64..7_000_000_000,
    ) {
        if let Ok(expression) = text.parse::<Expression>() {
            let after = Timestamp::from_second(after).unwrap();
            let zone = TimeZone::get(zone).unwrap();
            if let Some(next) = expression.next_after(after, &zone, Timestamp::UNIX_EPOCH) {
                prop_assert!(next > after);
                prop_assert!(expression.next_after(next, &zone, Timestamp::UNIX_EPOCH) > Some(next)
                    || expression.next_after(next, &zone, Timestamp::UNIX_EPOCH).is_none());
                // The next firing does not depend on the moment of asking.
                let between = after.as_second().midpoint(next.as_second());
                let between = Timestamp::from_second(between).unwrap();
                prop_assert!(between >= next || expression.next_after(between, &zone, Timestamp::UNIX_EPOCH) == Some(next));
            }
        }
    }
}
