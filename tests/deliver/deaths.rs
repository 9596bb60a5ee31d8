//! A worker may die or fail at any step: no subscriber is missed, few are pushed to twice, and the figures add up.

use std::collections::HashSet;
use std::time::Duration;

use crate::support::program::campaigns::counts;
use crate::support::push_service::behaviour::{Behaviour, Canned};
use crate::support::subscribers::{by_subscription, number};
use crate::support::worker_harness::{Attempt, FaultPlan, Payload, StepFault, WorkerHarness};

use super::event;

const PATIENCE: Duration = Duration::from_secs(30);

/// A number of subscribers, and the answers of their push service.
struct Scenario {
    subscribers: usize,
    /// Number of jobs that the worker does at once. The pushes in flight are divided among them.
    at_once: usize,
    /// The status of the `visit`th push to subscriber `i`. None when it is accepted.
    answer: fn(i: usize, visit: usize) -> Option<u16>,
    is_gone: fn(i: usize) -> bool,
}

/// Batches of four, with room for one straggler, and answers of every kind.
const SMALL_PAGES: Scenario = Scenario {
    subscribers: 16,
    at_once: 62,
    answer: |i, visit| match (i % 6, visit) {
        (0, _) => Some(410),
        (1, 0) | (3, 0..2) => Some(429),
        (2, 0) => Some(500),
        _ => None,
    },
    is_gone: |i| i.is_multiple_of(6),
};

/// One batch in which more subscribers are gone than one transaction can remove, at first pushes and at retries.
const MANY_GONE: Scenario = Scenario {
    subscribers: 150,
    at_once: 1,
    answer: |i, visit| match (i % 15, visit) {
        (0..7, _) | (7..14, 1..) => Some(410),
        (7..14, 0) => Some(429),
        _ => None,
    },
    is_gone: |i| i % 15 < 14,
};

/// The fate of a dead worker's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jobs {
    /// The queue redelivers them.
    Return,
    /// The queue dies with the process. The next process recovers the jobs from the ledger.
    AreLost,
}

/// Runs one campaign whose worker meets `fault` at step `at`. False when the campaign has no such step.
async fn survives(scenario: &Scenario, jobs: Jobs, fault: StepFault, at: usize) -> bool {
    let Scenario {
        subscribers,
        at_once,
        answer,
        ..
    } = *scenario;
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, subscribers).await;
    let service = &harness.services[0];
    service.plan(move |id, visit| {
        let status = answer(number(id), visit)?;
        Some(Behaviour::Answer(Canned::status(status)))
    });
    harness.event(&event("deaths"));
    let faults = FaultPlan::new(Some((at, fault)));
    let mut worker = harness.worker_with("the first", at_once, &faults);
    while let Some(waiting) = harness.next() {
        match harness.deliver(&worker, &waiting).await {
            Attempt::Succeeded => {}
            Attempt::Failed => harness.redeliver(waiting),
            Attempt::Died => {
                worker = harness.worker("the second", at_once);
                if jobs == Jobs::Return || matches!(waiting.payload, Payload::Event(_)) {
                    harness.redeliver(waiting);
                }
                if jobs == Jobs::AreLost {
                    harness.lose_jobs();
                    worker.broadcast.recover().await.expect("it goes on");
                }
            }
        }
        let passed = harness.time.elapsed();
        assert!(passed < PATIENCE * 1_000, "it does not end: {harness:?}");
    }
    service.wait_until_idle(PATIENCE).await;
    everyone_is_reached(
        scenario,
        &harness,
        &format!("{fault:?} at step {at}, jobs {jobs:?}"),
        &faults,
    )
    .await;
    faults.happened()
}

/// The campaign is done and announced, every living subscriber is reached, and few pushes are repeated.
async fn everyone_is_reached(
    scenario: &Scenario,
    harness: &WorkerHarness,
    context: &str,
    faults: &FaultPlan,
) {
    let Scenario {
        subscribers,
        at_once,
        is_gone,
        ..
    } = *scenario;
    let service = &harness.services[0];
    let (campaign, shown) = harness.campaign("deaths").await;
    assert_eq!(shown["status"], "done", "{context}: {shown}");
    assert_eq!(shown["scanned"], subscribers, "{context}: {shown}");
    let gone = (0..subscribers).filter(|i| is_gone(*i)).count() as u64;
    let alive = subscribers as u64 - gone;
    let expected = [("accepted".to_owned(), alive), ("gone".to_owned(), gone)];
    assert_eq!(counts(&shown), expected.into(), "{context}: {shown}");
    assert_eq!(harness.subscribed().await, alive, "{context}");
    let open = harness.store.ledger.open_parts(&campaign.id, None).await;
    assert_eq!(open.expect("it reads"), [], "{context}");
    let told = harness.announced();
    assert!(!told.is_empty(), "{context}: nobody is told");
    assert!(told.iter().all(|it| *it == shown), "{context}: {told:?}");

    let deliveries = service.deliveries();
    let all = by_subscription(&deliveries);
    let reached: HashSet<usize> = all.keys().map(|id| number(id)).collect();
    let expected: HashSet<usize> = (0..subscribers).filter(|i| !is_gone(*i)).collect();
    assert_eq!(reached, expected, "{context}: reached subscribers");
    let twice = deliveries.len() - all.len();
    let page = pushcast::campaign::MAX_UNRECORDED_PUSHES / at_once;
    assert!(twice <= page, "{context}: {twice} were pushed to twice");
    if !faults.happened() {
        assert_eq!(twice, 0, "without any fault nobody is pushed to twice");
    }
}

async fn survives_at_every_step(scenario: &Scenario, jobs: Jobs, fault: StepFault, least: usize) {
    let mut steps = 0;
    while survives(scenario, jobs, fault, steps).await {
        steps += 1;
    }
    assert!(steps > least, "a campaign has more steps than {steps}");
}

#[tokio::test]
async fn a_worker_may_die_before_each_step() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, StepFault::Dies, 40).await;
}

#[tokio::test]
async fn a_worker_may_die_after_each_step() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, StepFault::DiesAfter, 40).await;
}

#[tokio::test]
async fn a_server_may_die_with_its_queue_before_or_after_each_step() {
    for fault in [StepFault::Dies, StepFault::DiesAfter] {
        survives_at_every_step(&SMALL_PAGES, Jobs::AreLost, fault, 40).await;
    }
}

#[tokio::test]
async fn a_step_may_fail() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, StepFault::Fails, 40).await;
}

#[tokio::test]
async fn a_step_may_succeed_and_seem_to_fail() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, StepFault::FailsAfter, 40).await;
}

#[tokio::test]
async fn a_worker_may_die_while_it_removes_more_subscribers_than_one_transaction_can() {
    survives_at_every_step(&MANY_GONE, Jobs::Return, StepFault::Dies, 15).await;
    survives_at_every_step(&MANY_GONE, Jobs::Return, StepFault::DiesAfter, 15).await;
}
