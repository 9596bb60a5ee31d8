use std::time::Duration;

use pushcast::queue::Stop;

use crate::support::behaviour::Behaviour;
use crate::support::crowd::{counts, number};
use crate::support::stage::{Stage, Waiting, What};

use super::{PATIENCE, begun, event, figures, once, reached};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Every tenth answer to a first push takes so long.
fn some_are_slow(stage: &Stage, slow: Duration) {
    stage.services[0].plan(move |id, visit| {
        let is_slow = visit == 0 && number(id).is_multiple_of(10);
        is_slow.then_some(Behaviour::Slow(slow))
    });
}

#[tokio::test]
async fn a_worker_waits_for_pushes_in_flight_and_hands_over() {
    let stage = Stage::new(1).await;
    stage.crowd(0, 100).await;
    some_are_slow(&stage, ms(2_000));
    let job = begun(&stage, "handed-over").await;
    let one = stage.worker("one", 10);
    let stopped = one.handle(&job, false, Stop::after(ms(200), ms(10_000)));
    stopped.await.expect("it hands over");
    let due: Vec<_> = std::iter::from_fn(|| stage.due()).collect();
    let [
        Waiting {
            what: What::Job(again),
            ..
        },
    ] = &due[..]
    else {
        panic!("one job, for the segment: {due:?}");
    };
    assert_eq!(*again, job);
    let (_, campaign) = stage.campaign("handed-over").await;
    assert_eq!(campaign["status"], "running");
    let accepted = counts(&campaign)["accepted"];
    assert_eq!(stage.services[0].requests() as u64, accepted, "{campaign}");
    assert!(campaign["scanned"].as_u64() < Some(100), "{campaign}");

    // The lease was given back: the clock stands still, and another worker goes on.
    let other = stage.worker("other", 10);
    let next = other.handle(again, false, Stop::never()).await;
    next.expect("it goes on");
    let (_, campaign) = stage.campaign("handed-over").await;
    assert_eq!(campaign["scanned"], 100, "{campaign}");
    stage.to_the_end(&other).await;
    let (_, campaign) = stage.campaign("handed-over").await;
    assert_eq!(campaign["status"], "done");
    assert_eq!(counts(&campaign), figures([("accepted", 100)]));
    assert_eq!(reached(&stage.services[0]), once(100));
    // An abandoned push would be a request without a delivery.
    assert_eq!(stage.services[0].requests(), 100, "nobody twice");
}

#[tokio::test]
async fn only_pushes_without_an_answer_before_the_deadline_are_made_again() {
    let stage = Stage::new(1).await;
    stage.crowd(0, 100).await;
    some_are_slow(&stage, ms(4_000));
    let job = begun(&stage, "too-late").await;
    let one = stage.worker("one", 10);
    let stopped = one.handle(&job, false, Stop::after(ms(200), ms(500)));
    stopped.await.expect("it hands over");
    let (_, campaign) = stage.campaign("too-late").await;
    let retrying = counts(&campaign)["retrying"];
    assert!(retrying > 0, "pushes in flight are made again");

    let other = stage.worker("other", 10);
    stage.to_the_end(&other).await;
    stage.services[0].wait_until_idle(PATIENCE).await;
    let (_, campaign) = stage.campaign("too-late").await;
    assert_eq!(campaign["status"], "done");
    assert_eq!(counts(&campaign), figures([("accepted", 100)]));
    let reached = reached(&stage.services[0]);
    let everyone: Vec<usize> = (0..100).collect();
    assert!(reached.keys().eq(&everyone), "{reached:?}");
    let twice: Vec<_> = reached.iter().filter(|(_, times)| **times > 1).collect();
    let slow = |(i, times): &(&usize, &usize)| i.is_multiple_of(10) && **times == 2;
    assert!(twice.iter().all(slow), "only pushes in flight: {twice:?}");
}

/// Earlier batches have left stragglers, in parts of their own: the worker waits for them, and settles their parts.
#[tokio::test]
async fn stragglers_of_earlier_batches_are_settled_before_a_worker_hands_over() {
    let stage = Stage::new(1).await;
    stage.crowd(0, 400).await;
    // The first batch leaves a few stragglers, and the next ones take a while.
    stage.services[0].plan(|id, visit| {
        let slow = visit == 0 && number(id).is_multiple_of(20);
        Some(Behaviour::Slow(if slow { ms(3_000) } else { ms(100) }))
    });
    let job = begun(&stage, "stragglers").await;
    let one = stage.worker("one", 10);
    let stopped = one.handle(&job, false, Stop::after(ms(1_000), ms(10_000)));
    stopped.await.expect("it hands over");
    let (campaign, shown) = stage.campaign("stragglers").await;
    assert_eq!(shown["status"], "running", "{shown}");
    let accepted = counts(&shown)["accepted"];
    assert!(accepted > 0, "{shown}");
    assert_eq!(
        stage.services[0].requests() as u64,
        accepted,
        "who was pushed to is counted: {shown}"
    );
    let open = stage.store.ledger.open_parts(&campaign.id, None).await;
    let retries = open.expect("it reads").len() - 1;
    let jobs = stage.waiting().len() - 1;
    assert!(retries <= jobs, "{retries} parts and {jobs} jobs");

    stage.to_the_end(&stage.worker("other", 10)).await;
    let (_, shown) = stage.campaign("stragglers").await;
    assert_eq!(shown["status"], "done", "{shown}");
    assert_eq!(counts(&shown), figures([("accepted", 400)]));
    assert_eq!(reached(&stage.services[0]), once(400));
    assert_eq!(stage.services[0].requests(), 400, "nobody twice");
}

/// A TTL of 0 counts from the first push: a subscriber who was not pushed to yet still gets the message.
#[tokio::test]
async fn a_deferred_push_is_made_whatever_the_ttl() {
    let stage = Stage::new(1).await;
    stage.crowd(0, 100).await;
    some_are_slow(&stage, ms(500));
    let mut now_or_never = event("now-or-never");
    now_or_never["detail"]["ttl"] = 0.into();
    stage.event(&now_or_never);
    let one = stage.worker("one", 1);
    let event = stage.due().expect("the event");
    stage.deliver(&one, &event).await;
    let Some(Waiting {
        what: What::Job(job),
        ..
    }) = stage.due()
    else {
        panic!("a job");
    };
    let stopped = one.handle(&job, false, Stop::after(ms(1), ms(5_000)));
    stopped.await.expect("it hands over");
    stage.to_the_end(&stage.worker("other", 1)).await;
    let (_, shown) = stage.campaign("now-or-never").await;
    assert_eq!(counts(&shown), figures([("accepted", 100)]), "{shown}");
    assert_eq!(stage.services[0].requests(), 100);
}

/// A job that fails again and again, as all do while the ledger cannot be written, does not fill the queue.
#[tokio::test]
async fn a_redelivered_job_queues_the_other_parts_of_its_segment_once() {
    let stage = Stage::new(1).await;
    stage.crowd(0, 60).await;
    stage.services[0].plan(|_, _| Some(Behaviour::Answer(super::Canned::status(503))));
    let job = begun(&stage, "again").await;
    // Batches of three: each leaves a retry part, none of them due.
    let worker = stage.worker("one", 100);
    let first = worker.handle(&job, false, Stop::never()).await;
    first.expect("it goes well");
    let parts = stage.waiting();
    assert!(parts.len() >= 10, "{parts:?}");
    for waiting in &parts {
        for _ in 0..3 {
            let What::Job(job) = &waiting.what else {
                continue;
            };
            let done = worker.handle(job, true, Stop::never()).await;
            done.expect("it is not due");
        }
    }
    // Each delivery queued its own job again; each part, and the segment, was queued once more.
    let most = parts.len() * (1 + 3 + 1) + 1;
    assert!(stage.waiting().len() <= most, "{}", stage.waiting().len());
}
