//! Whatever step of its work a worker dies at, or fails at: nobody is missed, few are pushed to twice, and the figures
//! add up.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::behaviour::{Behaviour, Canned};
use crate::support::crowd::{by_subscription, counts, number};
use crate::support::stage::{Fate, Stage, Trouble, Went};

const ALL: usize = 16;
/// Makes pages of six, which leave one under way.
const AT_ONCE: usize = 62;
const PATIENCE: Duration = Duration::from_secs(30);

fn event() -> Value {
    json!({
        "id": "event-1", "detail-type": "news", "source": "newsroom",
        "detail": {"to": {"audience": "all"}, "data": "hello"},
    })
}

/// What the push service does to the `visit`th push to subscriber `i`.
fn answer(i: usize, visit: usize) -> Option<Behaviour> {
    let status = match (i % 6, visit) {
        (0, _) => 410,
        (1, 0) | (3, 0..2) => 429,
        (2, 0) => 500,
        _ => return None,
    };
    Some(Behaviour::Answer(Canned::status(status)))
}

fn is_gone(i: usize) -> bool {
    i.is_multiple_of(6)
}

/// One campaign, in which a worker is troubled at step `at`. False when it had no such step.
async fn survives(trouble: Trouble, at: usize) -> bool {
    let stage = Stage::new(1).await;
    stage.crowd(0, ALL).await;
    let service = &stage.services[0];
    service.plan(|id, visit| answer(number(id), visit));
    stage.event(&event());
    let fate = Fate::new(Some((at, trouble)));
    let mut worker = stage.fated("the first", AT_ONCE, &fate);
    while let Some(waiting) = stage.next() {
        match stage.deliver(&worker, &waiting).await {
            Went::Well => {}
            Went::Badly => stage.again(waiting),
            Went::Died => {
                stage.again(waiting);
                worker = stage.worker("the second", AT_ONCE);
            }
        }
        let passed = stage.time.passed();
        assert!(passed < PATIENCE * 1_000, "it does not end: {stage:?}");
    }
    service.wait_until_idle(PATIENCE).await;

    let context = format!("{trouble:?} at step {at}");
    let (campaign, shown) = stage.campaign("event-1").await;
    assert_eq!(shown["status"], "done", "{context}: {shown}");
    assert_eq!(shown["scanned"], ALL, "{context}: {shown}");
    let gone = (0..ALL).filter(|i| is_gone(*i)).count() as u64;
    let alive = ALL as u64 - gone;
    let expected = [("accepted".to_owned(), alive), ("gone".to_owned(), gone)];
    assert_eq!(counts(&shown), expected.into(), "{context}: {shown}");
    assert_eq!(stage.subscribed().await, alive, "{context}");
    let open = stage.store.open_parts(&campaign.id, None).await;
    assert_eq!(open.expect("it reads"), [], "{context}");
    let told = stage.told();
    assert!(!told.is_empty(), "{context}: nobody is told");
    assert!(told.iter().all(|it| *it == shown), "{context}: {told:?}");

    let deliveries = service.deliveries();
    let all = by_subscription(&deliveries);
    let reached: HashSet<usize> = all.keys().map(|id| number(id)).collect();
    let expected: HashSet<usize> = (0..ALL).filter(|i| !is_gone(*i)).collect();
    assert_eq!(reached, expected, "{context}: who was reached");
    let twice = deliveries.len() - all.len();
    let page = pushcast::campaign::PAGE / AT_ONCE;
    assert!(twice <= page, "{context}: {twice} were pushed to twice");
    if !fate.came() {
        assert_eq!(twice, 0, "without any trouble nobody is pushed to twice");
    }
    fate.came()
}

async fn survives_at_every_step(trouble: Trouble) {
    let mut steps = 0;
    while survives(trouble, steps).await {
        steps += 1;
    }
    assert!(steps > 40, "a campaign has more steps than {steps}");
}

#[tokio::test]
async fn a_worker_may_die_before_any_step() {
    survives_at_every_step(Trouble::Dies).await;
}

#[tokio::test]
async fn a_worker_may_die_after_any_step() {
    survives_at_every_step(Trouble::DiesAfter).await;
}

#[tokio::test]
async fn any_step_may_fail() {
    survives_at_every_step(Trouble::Fails).await;
}

#[tokio::test]
async fn any_step_may_be_done_and_seem_to_fail() {
    survives_at_every_step(Trouble::FailsAfter).await;
}
