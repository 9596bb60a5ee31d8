//! Broadcasts, through the built program: everyone is reached once, whatever the services answer.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::behaviour::{Behaviour, Canned};
use crate::support::crowd::{Crowd, by_subscription, counts, number};
use crate::support::program::Server;
use crate::support::push_service::{Delivery, PushService};

const PATIENCE: Duration = Duration::from_secs(120);

fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let counts = counts.iter().map(|(name, n)| ((*name).to_owned(), *n));
    counts.filter(|(_, n)| *n > 0).collect()
}

#[tokio::test]
async fn an_audience_is_pushed_to_and_nobody_else() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let tags = |i| match i % 4 {
        0 => vec!["news"],
        1 => vec!["news", "beta"],
        2 => vec!["sports"],
        _ => vec![],
    };
    let crowd = Crowd::import(&server, &service, 200, tags).await;
    let id = server
        .broadcast(&json!({
            "to": {"audience": "news && !(sports || beta)"},
            "notification": {"title": "Hi", "navigate": "https://www.example.org/"},
        }))
        .await;
    let campaign = server.done(&id, PATIENCE).await;
    assert_eq!(counts(&campaign), expected(&[("accepted", 50)]));
    assert_eq!(campaign["subscribers"], 200);
    assert_eq!(campaign["scanned"], 200);
    assert_eq!(campaign["audience"], "news && !(sports || beta)");
    let deliveries = service.deliveries();
    let reached: HashSet<usize> = deliveries.iter().map(|it| number(&it.id)).collect();
    assert_eq!(reached, (0..200).filter(|i| i % 4 == 0).collect());
    assert_eq!(deliveries.len(), 50);
    let topics: HashSet<_> = deliveries.iter().map(|it| it.topic.clone()).collect();
    assert_eq!(
        topics.len(),
        1,
        "each push of a campaign carries the same topic"
    );
    assert!(!topics.contains(&None));
    let tags: HashSet<_> = deliveries
        .iter()
        .map(|it| it.json()["notification"]["tag"].to_string())
        .collect();
    assert_eq!(tags.len(), 1, "and its notification the same tag");
    assert!(!tags.contains("null"));
    assert_eq!(crowd.browsers.len(), 200);
}

/// What happens to the first push to subscriber `i` of 20 000.
fn fate(i: usize) -> Option<Behaviour> {
    match i % 100 {
        0..3 => Some(Behaviour::Answer(Canned::status(410))),
        3..8 => Some(Behaviour::Answer(
            Canned::status(429).header("retry-after", "1"),
        )),
        8..10 => Some(Behaviour::Answer(Canned::status(500))),
        10 => Some(Behaviour::Hang),
        11 if i % 2_000 == 11 => Some(Behaviour::Reset),
        _ => None,
    }
}

#[tokio::test]
async fn everyone_alive_is_reached_and_the_gone_are_pruned_whatever_the_service_does() {
    const ALL: usize = 20_000;
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    Crowd::import(&server, &service, ALL, |_| vec![]).await;
    service.plan(|id, visit| {
        let gone = number(id) % 100 < 3;
        (visit == 0 || gone).then(|| fate(number(id))).flatten()
    });
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "to all", "urgency": "high"}))
        .await;
    let campaign = server.done(&id, PATIENCE * 4).await;

    let gone = ALL as u64 * 3 / 100;
    let accepted = ALL as u64 - gone;
    assert_eq!(
        counts(&campaign),
        expected(&[("accepted", accepted), ("gone", gone)])
    );
    let left: HashSet<usize> = server
        .exported()
        .await
        .keys()
        .map(|endpoint| number(endpoint))
        .collect();
    let alive: HashSet<usize> = (0..ALL).filter(|i| i % 100 >= 3).collect();
    assert!(left == alive, "the gone are pruned, and only they");

    let deliveries = service.deliveries();
    let all = by_subscription(&deliveries);
    let reached: HashSet<usize> = all.keys().map(|id| number(id)).collect();
    assert!(reached == alive, "everyone alive is pushed to");
    let resets = service.resets();
    // The answer was under way when its connection was reset.
    let lost = |delivery: &Delivery| {
        let soon = |at: &Instant| *at < delivery.at + Duration::from_secs(20);
        resets
            .iter()
            .any(|(line, at)| *line == delivery.connection && soon(at))
    };
    let mut again: Vec<_> = all
        .values()
        .flat_map(|deliveries| &deliveries[..deliveries.len() - 1])
        .collect();
    again.retain(|delivery| !lost(delivery));
    let again: Vec<_> = again
        .iter()
        .map(|it| (&it.id, it.connection, it.at))
        .collect();
    assert!(
        again.is_empty(),
        "pushed to again without a fault: {again:?}; resets {resets:?}"
    );
}
