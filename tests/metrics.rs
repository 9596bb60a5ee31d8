//! Metrics in CloudWatch's Embedded Metric Format, as the log holds them.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use pushcast::telemetry::metrics::{Metrics, Pushes};
use serde_json::{Value, json};
use webpush::{Outcome, PushService};

use crate::support::metrics_log::Log;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// Checks a document against the specification.
fn assert_is_emf(line: &Value, namespace: &str) {
    assert_eq!(line["_aws"]["Timestamp"], now().as_millisecond(), "{line}");
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    for directive in directives {
        assert_eq!(directive["Namespace"], namespace, "{line}");
        for name in directive["Dimensions"].as_array().unwrap() {
            for name in name.as_array().unwrap() {
                let value = &line[name.as_str().unwrap()];
                assert!(value.is_string(), "{name} is a member: {line}");
            }
        }
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!(!metrics.is_empty(), "{line}");
        for metric in metrics {
            let value = &line[metric["Name"].as_str().unwrap()];
            let scale = || {
                let (values, counts) = (value["Values"].as_array()?, value["Counts"].as_array()?);
                Some(values.len() == counts.len() && (1..=100).contains(&values.len()))
            };
            assert!(
                value.is_number() || scale() == Some(true),
                "{metric}: {line}"
            );
        }
    }
}

#[test]
fn the_pushes_of_a_page_are_counted_by_push_service_and_outcome() {
    let (log, mut pushes) = (Log::default(), Pushes::default());
    let ms = Duration::from_millis;
    pushes.push(PushService::Fcm, &Outcome::Accepted, Some(ms(30)));
    pushes.push(PushService::Fcm, &Outcome::Accepted, Some(ms(31)));
    pushes.push(PushService::Fcm, &Outcome::Gone, Some(ms(500)));
    pushes.push(PushService::Apple, &Outcome::Unreachable, None);
    pushes.pruned();
    Metrics::to("pushcast/a", log.clone()).page(&pushes, now());

    let lines = log.lines();
    for line in &lines {
        assert_is_emf(line, "pushcast/a");
    }
    let of = |service: &str| {
        let found = lines.iter().find(|line| line["service"] == service);
        found.cloned().unwrap_or_default()
    };
    assert_eq!(of("apple")["unreachable"], 1);
    assert_eq!(of("apple")["latency"], Value::Null, "there was no answer");
    assert_eq!(of("fcm")["accepted"], 2);
    assert_eq!(of("fcm")["gone"], 1);
    assert_eq!(of("fcm")["latency"]["Counts"], json!([2, 1]));
    let whole = lines.iter().find(|line| line["pages"] == 1);
    assert_eq!(whole.expect("a line for the page")["prunes"], 1);
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_message_to_one_person_is_counted_but_not_as_a_page() {
    let (log, mut pushes) = (Log::default(), Pushes::default());
    pushes.push(PushService::Mozilla, &Outcome::Gone, None);
    pushes.pruned();
    Metrics::to("pushcast/a", log.clone()).request(&pushes, now());

    let lines = log.lines();
    for line in &lines {
        assert_is_emf(line, "pushcast/a");
        assert_eq!(line["pages"], Value::Null, "{line}");
    }
    let [of_the_service, whole] = &lines[..] else {
        panic!("two lines: {lines:?}");
    };
    assert_eq!(of_the_service["gone"], 1);
    assert_eq!(whole["prunes"], 1);
}

#[test]
fn a_halted_campaign_is_counted_in_the_metric_that_the_alarm_reads() {
    let log = Log::default();
    Metrics::to("pushcast/a", log.clone()).campaign_ended("halted", now());
    let [line] = &log.lines()[..] else {
        panic!("one line");
    };
    assert_is_emf(line, "pushcast/a");
    assert_eq!(
        (&line["status"], &line["campaigns"]),
        (&json!("halted"), &json!(1))
    );
}

#[test]
fn without_a_namespace_no_metrics_are_written() {
    let mut pushes = Pushes::default();
    pushes.push(PushService::Fcm, &Outcome::Accepted, None);
    let metrics = Metrics::new(None);
    metrics.page(&pushes, now());
    assert_eq!(format!("{metrics:?}"), format!("{:?}", Metrics::off()));
}

proptest! {
    /// A document holds at most a hundred values. Whatever the latencies, each value stays close to its latency and
    /// none is lost.
    #[test]
    fn latencies_are_rounded_to_fit_into_one_document(
        nanos in prop::collection::vec(500_000_u64..60_000_000_000, 1..800)
    ) {
        let (log, mut pushes) = (Log::default(), Pushes::default());
        for nanos in &nanos {
            pushes.push(PushService::Wns, &Outcome::Accepted, Some(Duration::from_nanos(*nanos)));
        }
        Metrics::to("n", log.clone()).request(&pushes, now());
        let [line] = &log.lines()[..] else { panic!("one line") };
        assert_is_emf(line, "n");
        let scale = |name: &str| {
            line["latency"][name].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>()
        };
        let (values, counts) = (scale("Values"), scale("Counts"));
        prop_assert_eq!(counts.iter().sum::<f64>() as usize, nanos.len());
        for nanos in nanos {
            let ms = nanos as f64 / 1e6;
            let near = values.iter().any(|value| (value / ms - 1.0).abs() < 0.1);
            prop_assert!(near, "{ms} ms among {values:?}");
        }
    }
}
