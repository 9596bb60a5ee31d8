use std::time::Duration;

use pushcast::campaign::Job;
use pushcast::deliver::Deliver;
use pushcast::queue::{Stop, Stopper};

use crate::support::program::campaigns::counts;
use crate::support::push_service::behaviour::Behaviour;
use crate::support::subscribers::number;
use crate::support::worker_harness::{Jobs, Payload, QueuedDelivery, WorkerHarness};

use super::{
    PATIENCE, deliveries_per_subscriber, event, expected_counts, one_delivery_each, start_campaign,
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Every tenth first push is answered only after `slow`.
fn some_are_slow(harness: &WorkerHarness, slow: Duration) {
    harness.services[0].plan(move |id, visit| {
        let is_slow = visit == 0 && number(id).is_multiple_of(10);
        is_slow.then_some(Behaviour::Slow(slow))
    });
}

/// Lets a worker do a job until `requests` requests have come in, then stops it: it waits for answers for `grace`.
/// A page is 50 when a worker does ten jobs at once.
async fn stop_after(
    harness: &WorkerHarness,
    worker: &Deliver<Jobs>,
    job: &Job,
    requests: usize,
    grace: Duration,
) {
    let (stopper, stop) = Stopper::new(grace);
    let stopping = async {
        let service = &harness.services[0];
        service.wait_for_requests(requests, PATIENCE).await;
        stopper.stop();
    };
    let (done, ()) = tokio::join!(worker.handle(job, false, stop), stopping);
    done.expect("it hands over");
}

#[tokio::test]
async fn a_worker_waits_for_pushes_in_flight_and_hands_over_its_part() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 100).await;
    some_are_slow(&harness, ms(2_000));
    let job = start_campaign(&harness, "handed-over").await;
    let one = harness.worker("one", 10);
    stop_after(&harness, &one, &job, 50, ms(10_000)).await;
    let due: Vec<_> = std::iter::from_fn(|| harness.due()).collect();
    let [
        QueuedDelivery {
            payload: Payload::Job(again),
            ..
        },
    ] = &due[..]
    else {
        panic!("one job, for the segment: {due:?}");
    };
    assert_eq!(*again, job);
    let (_, campaign) = harness.campaign("handed-over").await;
    assert_eq!(campaign["status"], "running");
    let accepted = counts(&campaign)["accepted"];
    assert_eq!(
        harness.services[0].requests() as u64,
        accepted,
        "{campaign}"
    );
    assert!(campaign["scanned"].as_u64() < Some(100), "{campaign}");

    // The first worker gave its lease back: time stands still, and another worker continues.
    let other = harness.worker("other", 10);
    let next = other.handle(again, false, Stop::never()).await;
    next.expect("it goes on");
    let (_, campaign) = harness.campaign("handed-over").await;
    assert_eq!(campaign["scanned"], 100, "{campaign}");
    harness.run_to_the_end(&other).await;
    let (_, campaign) = harness.campaign("handed-over").await;
    assert_eq!(campaign["status"], "done");
    assert_eq!(counts(&campaign), expected_counts([("accepted", 100)]));
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(100)
    );
    // A push that the worker gave up would be a request without a delivery.
    assert_eq!(harness.services[0].requests(), 100, "nobody twice");
}

#[tokio::test]
async fn only_pushes_without_an_answer_before_the_deadline_are_repeated() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 100).await;
    some_are_slow(&harness, ms(4_000));
    let job = start_campaign(&harness, "too-late").await;
    let one = harness.worker("one", 10);
    stop_after(&harness, &one, &job, 50, ms(2_000)).await;
    let (_, campaign) = harness.campaign("too-late").await;
    let retrying = counts(&campaign)["retrying"];
    assert!(retrying > 0, "pushes in flight are made again");

    let other = harness.worker("other", 10);
    harness.run_to_the_end(&other).await;
    harness.services[0].wait_until_idle(PATIENCE).await;
    let (_, campaign) = harness.campaign("too-late").await;
    assert_eq!(campaign["status"], "done");
    assert_eq!(counts(&campaign), expected_counts([("accepted", 100)]));
    let reached = deliveries_per_subscriber(&harness.services[0]);
    let everyone: Vec<usize> = (0..100).collect();
    assert!(reached.keys().eq(&everyone), "{reached:?}");
    let twice: Vec<_> = reached.iter().filter(|(_, times)| **times > 1).collect();
    let slow = |(i, times): &(&usize, &usize)| i.is_multiple_of(10) && **times == 2;
    assert!(twice.iter().all(slow), "only pushes in flight: {twice:?}");
}

/// Earlier batches left stragglers in their own parts: the worker waits for them and settles those parts.
#[tokio::test]
async fn a_worker_settles_stragglers_of_earlier_batches_before_it_hands_over() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 400).await;
    // The first batch leaves a few stragglers, and the following batches are slow.
    harness.services[0].plan(|id, visit| {
        let slow = visit == 0 && number(id).is_multiple_of(20);
        Some(Behaviour::Slow(if slow { ms(3_000) } else { ms(100) }))
    });
    let job = start_campaign(&harness, "stragglers").await;
    let one = harness.worker("one", 10);
    stop_after(&harness, &one, &job, 120, ms(10_000)).await;
    let (campaign, shown) = harness.campaign("stragglers").await;
    assert_eq!(shown["status"], "running", "{shown}");
    let accepted = counts(&shown)["accepted"];
    assert!(accepted > 0, "{shown}");
    assert_eq!(
        harness.services[0].requests() as u64,
        accepted,
        "who was pushed to is counted: {shown}"
    );
    let open = harness.store.ledger.open_parts(&campaign.id, None).await;
    let retries = open.expect("it reads").len() - 1;
    let jobs = harness.waiting().len() - 1;
    assert!(retries <= jobs, "{retries} parts and {jobs} jobs");

    harness.run_to_the_end(&harness.worker("other", 10)).await;
    let (_, shown) = harness.campaign("stragglers").await;
    assert_eq!(shown["status"], "done", "{shown}");
    assert_eq!(counts(&shown), expected_counts([("accepted", 400)]));
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(400)
    );
    assert_eq!(harness.services[0].requests(), 400, "nobody twice");
}

/// A TTL of 0 counts from the first push: a subscriber that was not pushed to yet still gets the message.
#[tokio::test]
async fn a_deferred_push_is_sent_whatever_its_ttl() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 100).await;
    some_are_slow(&harness, ms(500));
    let mut now_or_never = event("now-or-never");
    now_or_never["detail"]["ttl"] = 0.into();
    harness.event(&now_or_never);
    let one = harness.worker("one", 1);
    let event = harness.due().expect("the event");
    harness.deliver(&one, &event).await;
    let Some(QueuedDelivery {
        payload: Payload::Job(job),
        ..
    }) = harness.due()
    else {
        panic!("a job");
    };
    let stopped = one.handle(&job, false, Stop::after(ms(1), ms(5_000)));
    stopped.await.expect("it hands over");
    harness.run_to_the_end(&harness.worker("other", 1)).await;
    let (_, shown) = harness.campaign("now-or-never").await;
    assert_eq!(
        counts(&shown),
        expected_counts([("accepted", 100)]),
        "{shown}"
    );
    assert_eq!(harness.services[0].requests(), 100);
}

/// A job that fails repeatedly, for example while the ledger cannot be written, does not fill the queue.
#[tokio::test]
async fn a_redelivered_job_queues_the_other_parts_of_its_segment_once() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 60).await;
    harness.services[0].plan(|_, _| Some(Behaviour::Answer(super::Canned::status(503))));
    let job = start_campaign(&harness, "again").await;
    // Batches of three. Each leaves a retry part that is not due yet.
    let worker = harness.worker("one", 100);
    let first = worker.handle(&job, false, Stop::never()).await;
    first.expect("it goes well");
    let parts = harness.waiting();
    assert!(parts.len() >= 10, "{parts:?}");
    for waiting in &parts {
        for _ in 0..3 {
            let Payload::Job(job) = &waiting.payload else {
                continue;
            };
            let done = worker.handle(job, true, Stop::never()).await;
            done.expect("it is not due");
        }
    }
    // Each delivery queued its own job again. Each part, and the segment, was queued once more.
    let most = parts.len() * (1 + 3 + 1) + 1;
    assert!(
        harness.waiting().len() <= most,
        "{}",
        harness.waiting().len()
    );
}
