use std::collections::HashSet;
use std::time::Duration;

use pushcast::campaign::PAGE;
use serde_json::json;

use crate::support::behaviour::{Behaviour, Canned};
use crate::support::crowd::{Crowd, by_subscription, counts, number};
use crate::support::faults::Random;
use crate::support::program::Server;
use crate::support::push_service::PushService;

const ALL: usize = 20_000;
const KILLS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
const SEED: u64 = 20_270_115;

fn is_gone(i: usize) -> bool {
    i.is_multiple_of(50)
}

/// Some are gone, and some have to be pushed to again.
fn answer(i: usize, visit: usize) -> Option<Behaviour> {
    let status = match (i % 50, visit) {
        (0, _) => 410,
        (1, 0) => 429,
        (2, 0) => 500,
        _ => return None,
    };
    Some(Behaviour::Answer(
        Canned::status(status).header("retry-after", "1"),
    ))
}

#[expect(clippy::print_stdout, reason = "how few is worth knowing")]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_kills_the_program_and_how_often_nobody_is_missed() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    Crowd::import(&server, &service, ALL, |_| vec![]).await;
    service.plan(|id, visit| answer(number(id), visit));
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "to all"}))
        .await;

    // The kills are spread over the campaign, each some pushes after the program has begun again.
    let random = Random::new(SEED);
    let mut before = 0;
    let mut most = 0;
    for _ in 0..KILLS {
        let sent = service.deliveries().len();
        let more = 1 + random.below(ALL / KILLS);
        service.wait_for(sent + more, PATIENCE).await;
        server.kill().await;
        service.wait_until_idle(PATIENCE).await;
        let twice = duplicates(&service);
        // Those of the kill before, when the program has gone on from it.
        most = most.max(twice - before);
        before = twice;
        server.restart().await;
    }
    let campaign = server.done(&id, PATIENCE * 5).await;
    service.wait_until_idle(PATIENCE).await;

    let deliveries = service.deliveries();
    let all = by_subscription(&deliveries);
    let reached: HashSet<usize> = all.keys().map(|id| number(id)).collect();
    let alive: HashSet<usize> = (0..ALL).filter(|i| !is_gone(*i)).collect();
    let missed: Vec<_> = alive.difference(&reached).collect();
    assert!(missed.is_empty(), "missed: {missed:?}");
    assert!(reached == alive, "only the living are delivered to");

    let twice = duplicates(&service);
    most = most.max(twice - before);
    println!(
        "{ALL} subscribers, {KILLS} kills: {twice} duplicates, {most} at most after one kill, of {PAGE} allowed"
    );
    assert!(most <= PAGE, "{most} duplicates after one kill");

    let gone = (ALL - alive.len()) as u64;
    let counted = counts(&campaign);
    let expected = [("accepted", ALL as u64 - gone), ("gone", gone)];
    let expected = expected.map(|(name, n)| (name.to_owned(), n));
    assert_eq!(counted, expected.into(), "{campaign}");
    assert_eq!(campaign["scanned"], ALL, "{campaign}");
    assert_eq!(campaign["subscribers"], ALL, "{campaign}");
    assert_eq!(server.exported().await.len(), alive.len());
}

/// Deliveries beyond everyone's first.
fn duplicates(service: &PushService) -> usize {
    let deliveries = service.deliveries();
    deliveries.len() - by_subscription(&deliveries).len()
}
