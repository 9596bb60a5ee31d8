//! Workers in this process, over a real database and push services, with a queue and a clock that the test controls.

mod deaths;

/// A worker must stop before its work is done.
mod hand_over;

/// Push services refuse everything, or are unavailable.
mod outages;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use jiff::SignedDuration;
use pushcast::campaign::Job;
use pushcast::deliver::Deliver;
use pushcast::queue::Stop;
use serde_json::{Value, json};

use crate::support::program::campaigns::counts;
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Behaviour, Canned};
use crate::support::subscribers::{by_subscription, number};
use crate::support::waiting::PATIENCE;
use crate::support::worker_harness::{Attempt, Jobs, Payload, WorkerHarness};

/// A message to everyone, as EventBridge delivers it.
pub(crate) fn event(id: &str) -> Value {
    json!({
        "id": id, "detail-type": "news", "source": "newsroom",
        "detail": {"to": {"audience": "all"}, "data": "hello"},
    })
}

/// Expected counts. A figure that is not named is 0.
pub(crate) fn expected_counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.map(|(name, n)| (name.to_owned(), n)).into()
}

/// Number of deliveries to each subscriber that got at least one.
pub(crate) fn deliveries_per_subscriber(service: &PushService) -> BTreeMap<usize, usize> {
    let deliveries = service.deliveries();
    let all = by_subscription(&deliveries);
    all.iter()
        .map(|(id, deliveries)| (number(id), deliveries.len()))
        .collect()
}

/// One delivery to each of `n` subscribers.
pub(crate) fn one_delivery_each(n: usize) -> BTreeMap<usize, usize> {
    (0..n).map(|i| (i, 1)).collect()
}

/// Starts a campaign to everyone and returns its only job.
async fn start_campaign(harness: &WorkerHarness, id: &str) -> Job {
    harness.event(&event(id));
    let starter = harness.worker("starter", 1);
    let event = harness.due().expect("the event");
    assert_eq!(harness.deliver(&starter, &event).await, Attempt::Succeeded);
    let job = harness.due().expect("a job");
    let Payload::Job(job) = job.payload else {
        panic!("a job, not {job:?}");
    };
    job
}

fn record(id: &str, body: String) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(id.to_owned());
    record.body = Some(body);
    let count = ("ApproximateReceiveCount".to_owned(), "1".to_owned());
    record.attributes.extend([count]);
    record
}

/// Hands records to a worker as Lambda does. Returns the records to be redelivered.
async fn batch(
    harness: &WorkerHarness,
    worker: &Deliver<Jobs>,
    records: Vec<SqsMessage>,
) -> Vec<String> {
    let mut event = SqsEvent::default();
    event.records = records;
    let deadline = harness.time.now() + SignedDuration::from_mins(15);
    let answer = worker.batch(event, deadline).await;
    let failures = answer.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn a_job_that_is_delivered_twice_at_once_is_done_once() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 100).await;
    let busy = |id: &str, visit| {
        let again = visit == 0 && number(id).is_multiple_of(5);
        again.then(|| Behaviour::Answer(Canned::status(429)))
    };
    harness.services[0].plan(busy);
    harness.event(&event("twice"));
    let (one, other) = (harness.worker("one", 20), harness.worker("other", 20));
    let mut twice_at_once = 0;
    while let Some(waiting) = harness.next() {
        let Payload::Job(job) = &waiting.payload else {
            assert_eq!(harness.deliver(&one, &waiting).await, Attempt::Succeeded);
            continue;
        };
        let body = serde_json::to_string(job).unwrap();
        let records = || vec![record("1", body.clone())];
        let (failed, failed_too) = tokio::join!(
            batch(&harness, &one, records()),
            batch(&harness, &other, records())
        );
        assert_eq!([failed, failed_too].concat(), [""; 0]);
        twice_at_once += 1;
    }
    assert!(twice_at_once > 1, "a segment, and retries");
    let (_, campaign) = harness.campaign("twice").await;
    assert_eq!(campaign["status"], "done");
    assert_eq!(counts(&campaign), expected_counts([("accepted", 100)]));
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(100)
    );
}

#[tokio::test]
async fn only_a_record_that_is_no_job_is_redelivered() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 7).await;
    let mut records = Vec::new();
    for i in 0..9 {
        let job = start_campaign(&harness, &format!("campaign-{i}")).await;
        records.push(record(
            &format!("good-{i}"),
            serde_json::to_string(&job).unwrap(),
        ));
    }
    records.insert(4, record("bad", "{\"campaign\": ".to_owned()));
    let worker = harness.worker("worker", 1);
    assert_eq!(batch(&harness, &worker, records).await, ["bad"]);
    for i in 0..9 {
        let (_, campaign) = harness.campaign(&format!("campaign-{i}")).await;
        assert_eq!(campaign["status"], "done", "{campaign}");
        assert_eq!(counts(&campaign), expected_counts([("accepted", 7)]));
    }
    assert_eq!(harness.services[0].deliveries().len(), 9 * 7);
    // Jobs of an unknown campaign or part are not redelivered.
    let unknown = [
        r#"{"campaign": "never", "part": "segment#00000"}"#,
        r#"{"campaign": "campaign-1", "part": "segment#00077"}"#,
        r#"{"campaign": "campaign-1", "part": "retry#00000#0123456789abcdef"}"#,
    ];
    let unknown = unknown.map(|body| record(body, body.to_owned()));
    assert_eq!(batch(&harness, &worker, unknown.into()).await, [""; 0]);
}

#[tokio::test]
async fn a_worker_that_must_stop_at_once_sends_no_push_and_misses_no_subscriber() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 30).await;
    let job = start_campaign(&harness, "no-time").await;
    let worker = harness.worker("one", 1);
    let stopped = worker.handle(&job, false, Stop::after(Duration::ZERO, PATIENCE));
    stopped.await.expect("it hands over");
    assert_eq!(harness.services[0].requests(), 0);
    assert_eq!(harness.waiting().len(), 1);
    harness.run_to_the_end(&harness.worker("other", 1)).await;
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(30)
    );
}

/// A push that waits for its sending slot is no straggler: the campaign takes hardly longer than its rate allows.
#[tokio::test]
async fn a_campaign_keeps_its_rate_at_every_push_service() {
    const RATE: u32 = 40;
    let harness = WorkerHarness::new(2).await;
    harness.add_subscribers(0, 100).await;
    harness.add_subscribers(1, 20).await;
    let mut event = event("slowly");
    event["detail"]["rate"] = RATE.into();
    harness.event(&event);
    let began = Instant::now();
    let worker = harness.worker("worker", 1);
    // The event and the one segment. No retry is needed.
    for _ in 0..2 {
        let waiting = harness.due().expect("it is due");
        assert_eq!(harness.deliver(&worker, &waiting).await, Attempt::Succeeded);
    }
    let (_, shown) = harness.campaign("slowly").await;
    assert_eq!(shown["status"], "done", "{shown}");
    assert_eq!(counts(&shown), expected_counts([("accepted", 120)]));
    let all = harness.services.iter().flat_map(PushService::deliveries);
    let mut times: Vec<_> = all.map(|delivery| delivery.at - began).collect();
    times.sort();
    for (n, at) in (0..).zip(times) {
        let soonest = Duration::from_secs(n) / RATE;
        assert!(at >= soonest, "number {n} came after {at:?}");
    }
}

/// DynamoDB refuses a write while another transaction writes the same item: the worker tries again.
#[tokio::test]
async fn a_worker_retries_after_a_transaction_conflict() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 30).await;
    harness.services[0]
        .plan(|_, visit| (visit == 0).then(|| Behaviour::Answer(Canned::status(503))));
    let mut event = event("collisions");
    event["detail"]["rate"] = 1_000.into();
    harness.event(&event);
    let worker = harness.conflicting("worker");
    while let Some(waiting) = harness.next() {
        assert_eq!(harness.deliver(&worker, &waiting).await, Attempt::Succeeded);
    }
    let (_, shown) = harness.campaign("collisions").await;
    assert_eq!(
        counts(&shown),
        expected_counts([("accepted", 30)]),
        "{shown}"
    );
}
