//! A worker may die or fail at any step: nobody is missed, few are pushed to twice, and the figures add up.

use std::collections::HashSet;
use std::time::Duration;

use crate::support::behaviour::{Behaviour, Canned};
use crate::support::crowd::{by_subscription, counts, number};
use crate::support::stage::{Fate, Stage, Trouble, Went, What};

use super::event;

const PATIENCE: Duration = Duration::from_secs(30);

/// Subscribers, and what their push service answers.
struct Play {
    subscribers: usize,
    /// Jobs that the worker does at a time: one job has this share of the pushes in flight.
    at_once: usize,
    /// The status of the `visit`th push to subscriber `i`. None when it is accepted.
    answer: fn(i: usize, visit: usize) -> Option<u16>,
    is_gone: fn(i: usize) -> bool,
}

/// Batches of four, which leave one straggler, and answers of every kind.
const SMALL_PAGES: Play = Play {
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

/// One batch in which more are gone than one transaction removes, among first pushes and among retries.
const MANY_GONE: Play = Play {
    subscribers: 150,
    at_once: 1,
    answer: |i, visit| match (i % 15, visit) {
        (0..7, _) | (7..14, 1..) => Some(410),
        (7..14, 0) => Some(429),
        _ => None,
    },
    is_gone: |i| i % 15 < 14,
};

/// What becomes of the jobs of a dead worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jobs {
    /// The queue redelivers them.
    Return,
    /// They are lost with the process that held the queue: the next one recovers from the ledger.
    AreLost,
}

/// One campaign whose worker meets `trouble` at step `at`. False when there was no such step.
async fn survives(play: &Play, jobs: Jobs, trouble: Trouble, at: usize) -> bool {
    let Play {
        subscribers,
        at_once,
        answer,
        is_gone,
    } = *play;
    let stage = Stage::new(1).await;
    stage.crowd(0, subscribers).await;
    let service = &stage.services[0];
    service.plan(move |id, visit| {
        let status = answer(number(id), visit)?;
        Some(Behaviour::Answer(Canned::status(status)))
    });
    stage.event(&event("deaths"));
    let fate = Fate::new(Some((at, trouble)));
    let mut worker = stage.fated("the first", at_once, &fate);
    while let Some(waiting) = stage.next() {
        match stage.deliver(&worker, &waiting).await {
            Went::Well => {}
            Went::Badly => stage.again(waiting),
            Went::Died => {
                worker = stage.worker("the second", at_once);
                if jobs == Jobs::Return || matches!(waiting.what, What::Event(_)) {
                    stage.again(waiting);
                }
                if jobs == Jobs::AreLost {
                    stage.forget_jobs();
                    worker.broadcast.recover().await.expect("it goes on");
                }
            }
        }
        let passed = stage.time.passed();
        assert!(passed < PATIENCE * 1_000, "it does not end: {stage:?}");
    }
    service.wait_until_idle(PATIENCE).await;

    let context = format!("{trouble:?} at step {at}, jobs {jobs:?}");
    let (campaign, shown) = stage.campaign("deaths").await;
    assert_eq!(shown["status"], "done", "{context}: {shown}");
    assert_eq!(shown["scanned"], subscribers, "{context}: {shown}");
    let gone = (0..subscribers).filter(|i| is_gone(*i)).count() as u64;
    let alive = subscribers as u64 - gone;
    let expected = [("accepted".to_owned(), alive), ("gone".to_owned(), gone)];
    assert_eq!(counts(&shown), expected.into(), "{context}: {shown}");
    assert_eq!(stage.subscribed().await, alive, "{context}");
    let open = stage.store.ledger.open_parts(&campaign.id, None).await;
    assert_eq!(open.expect("it reads"), [], "{context}");
    let told = stage.told();
    assert!(!told.is_empty(), "{context}: nobody is told");
    assert!(told.iter().all(|it| *it == shown), "{context}: {told:?}");

    let deliveries = service.deliveries();
    let all = by_subscription(&deliveries);
    let reached: HashSet<usize> = all.keys().map(|id| number(id)).collect();
    let expected: HashSet<usize> = (0..subscribers).filter(|i| !is_gone(*i)).collect();
    assert_eq!(reached, expected, "{context}: who was reached");
    let twice = deliveries.len() - all.len();
    let page = pushcast::campaign::PAGE / at_once;
    assert!(twice <= page, "{context}: {twice} were pushed to twice");
    if !fate.came() {
        assert_eq!(twice, 0, "without any trouble nobody is pushed to twice");
    }
    fate.came()
}

async fn survives_at_every_step(play: &Play, jobs: Jobs, trouble: Trouble, least: usize) {
    let mut steps = 0;
    while survives(play, jobs, trouble, steps).await {
        steps += 1;
    }
    assert!(steps > least, "a campaign has more steps than {steps}");
}

#[tokio::test]
async fn a_worker_may_die_before_any_step() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, Trouble::Dies, 40).await;
}

#[tokio::test]
async fn a_worker_may_die_after_any_step() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, Trouble::DiesAfter, 40).await;
}

#[tokio::test]
async fn a_server_may_die_before_or_after_any_step_and_its_queue_with_it() {
    for trouble in [Trouble::Dies, Trouble::DiesAfter] {
        survives_at_every_step(&SMALL_PAGES, Jobs::AreLost, trouble, 40).await;
    }
}

#[tokio::test]
async fn any_step_may_fail() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, Trouble::Fails, 40).await;
}

#[tokio::test]
async fn any_step_may_be_done_and_seem_to_fail() {
    survives_at_every_step(&SMALL_PAGES, Jobs::Return, Trouble::FailsAfter, 40).await;
}

#[tokio::test]
async fn a_worker_may_die_while_it_removes_more_than_fit_into_one_write() {
    survives_at_every_step(&MANY_GONE, Jobs::Return, Trouble::Dies, 15).await;
    survives_at_every_step(&MANY_GONE, Jobs::Return, Trouble::DiesAfter, 15).await;
}
