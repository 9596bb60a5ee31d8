//! Broadcasts through the built program: every subscriber is reached once, whatever the push services answer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::program::Server;
use crate::support::program::campaigns::counts;
use crate::support::push_service::behaviour::{Behaviour, Canned, Whom};
use crate::support::push_service::{Delivery, PushService};
use crate::support::subscribers::{Subscribers, by_subscription, number};
use crate::support::waiting::PATIENCE;

/// The push service answers at once. When a connection is reset, it still processes the requests that it has read.
/// One second is enough for both, also on a busy machine.
const IN_FLIGHT: Duration = Duration::from_secs(1);
/// Requests that the push service allows on one connection: a reset can lose no more than these.
const STREAMS: u32 = 100;

fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let counts = counts.iter().map(|(name, n)| ((*name).to_owned(), *n));
    counts.filter(|(_, n)| *n > 0).collect()
}

#[tokio::test]
async fn a_campaign_reaches_its_audience_and_nobody_else() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let tags = |i| match i % 4 {
        0 => vec!["news"],
        1 => vec!["news", "beta"],
        2 => vec!["sports"],
        _ => vec![],
    };
    let crowd = Subscribers::import(&server, &service, 200, tags).await;
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

/// The push service's answer to the first push to subscriber `i` of 20 000.
fn first_answer(i: usize) -> Option<Behaviour> {
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
async fn a_campaign_reaches_every_living_subscriber_and_prunes_the_gone_whatever_the_push_service_does()
 {
    const ALL: usize = 20_000;
    let service = PushService::builder().max_streams(STREAMS).start().await;
    let server = Server::start(&service).await;
    Subscribers::import(&server, &service, ALL, |_| vec![]).await;
    service.plan(|id, visit| {
        let gone = number(id) % 100 < 3;
        (visit == 0 || gone)
            .then(|| first_answer(number(id)))
            .flatten()
    });
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "to all", "urgency": "high"}))
        .await;
    let campaign = server.done(&id, PATIENCE * 6).await;

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
    only_lost_answers_are_pushed_to_again(&service, &all);
}

/// Second pushes are allowed only where a reset hit the first one in flight: nobody can know whether it was taken.
#[expect(clippy::print_stdout, reason = "how few is worth knowing")]
fn only_lost_answers_are_pushed_to_again(
    service: &PushService,
    all: &HashMap<&str, Vec<&Delivery>>,
) {
    let resets = service.resets();
    let lost = |delivery: &&Delivery| {
        let cut = |(line, at): &(usize, Instant)| {
            let apart = delivery.at.max(*at) - delivery.at.min(*at);
            *line == delivery.connection && apart < IN_FLIGHT
        };
        resets.iter().any(cut)
    };
    let again = all
        .values()
        .flat_map(|deliveries| deliveries[..deliveries.len() - 1].iter().copied());
    let (lost, wrong): (Vec<&Delivery>, Vec<&Delivery>) = again.partition(lost);
    let wrong: Vec<_> = wrong
        .iter()
        .map(|it| (&it.id, it.connection, it.at))
        .collect();
    assert!(
        wrong.is_empty(),
        "pushed to again without a fault: {wrong:?}; resets {resets:?}"
    );
    let mut by_line: BTreeMap<usize, u32> = BTreeMap::new();
    for delivery in &lost {
        *by_line.entry(delivery.connection).or_default() += 1;
    }
    println!(
        "{} subscribers, {} resets: {} pushed to twice, as their answers were lost; by connection {by_line:?}",
        all.len(),
        resets.len(),
        lost.len()
    );
    assert!(by_line.values().all(|n| *n <= STREAMS), "{by_line:?}");
}

impl Server {
    async fn cancel_or_resume(&self, id: &str, action: &str) -> Value {
        let path = format!("/push/campaigns/{id}/{action}");
        let answer = self.post_with_token(&path, &json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json
    }
}

/// Waits until the server sends no more pushes. After a cancellation some pushes are still in flight.
async fn wait_until_no_pushes(service: &PushService) {
    let mut before = None;
    while before != Some(service.requests()) {
        before = Some(service.requests());
        service.wait_until_idle(PATIENCE).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The subscribers that got the message. Fails if one of them got it twice.
#[track_caller]
fn delivered_once(service: &PushService) -> BTreeSet<usize> {
    let deliveries = service.deliveries();
    let reached: BTreeSet<usize> = deliveries.iter().map(|it| number(&it.id)).collect();
    assert_eq!(
        reached.len(),
        deliveries.len(),
        "somebody is pushed to twice"
    );
    reached
}

/// Some subscribers are gone, some pushes must be retried, and every answer is slow.
fn slow_answer(id: &str, visit: usize) -> Option<Behaviour> {
    let busy = Canned::status(503);
    Some(match (number(id) % 50, visit) {
        (0, _) => Behaviour::Answer(Canned::status(410)),
        (1, 0) => Behaviour::Answer(busy),
        _ => Behaviour::Slow(Duration::from_millis(300)),
    })
}

#[tokio::test]
async fn a_campaign_that_is_cancelled_halfway_and_resumed_reaches_each_subscriber_once() {
    const ALL: usize = 1_500;
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    Subscribers::import(&server, &service, ALL, |_| vec![]).await;
    service.plan(slow_answer);
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "x"}))
        .await;
    service.wait_for(ALL / 3, PATIENCE).await;
    assert_eq!(
        server.cancel_or_resume(&id, "cancel").await["status"],
        "cancelled"
    );
    wait_until_no_pushes(&service).await;

    // The worker may still be writing the checkpoint of its last page.
    let pushed = delivered_once(&service).len();
    let written = |campaign: &Value| campaign["counts"]["accepted"] == pushed;
    let cancelled = server.campaign_until(&id, PATIENCE, written).await;
    assert_eq!(cancelled["status"], "cancelled");
    let before = counts(&cancelled);
    assert_eq!(before.values().sum::<u64>(), cancelled["scanned"]);
    assert!(before["retrying"] > 0, "{cancelled}");
    assert!(pushed < ALL * 4 / 5, "it stops before the end: {pushed}");

    // The queue dies with the server. Only the ledger still knows the first pushes and retries that are left.
    server.kill().await;
    server.restart().await;
    assert_eq!(server.campaign(&id).await["status"], "cancelled");
    assert_eq!(
        server.cancel_or_resume(&id, "resume").await["status"],
        "running"
    );
    let campaign = server.done(&id, PATIENCE).await;
    let gone = (ALL / 50) as u64;
    let accepted = ALL as u64 - gone;
    assert_eq!(
        counts(&campaign),
        expected(&[("accepted", accepted), ("gone", gone)])
    );
    assert_eq!(campaign["scanned"], ALL, "{campaign}");
    assert_eq!(campaign["subscribers"], ALL, "{campaign}");
    let alive: BTreeSet<usize> = (0..ALL).filter(|i| i % 50 != 0).collect();
    assert!(delivered_once(&service) == alive, "everyone alive, once");
    assert_eq!(server.exported().await.len(), alive.len());
}

#[tokio::test]
async fn cancelling_and_resuming_with_pushes_in_flight_repeats_no_push() {
    const ALL: usize = 1_500;
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    Subscribers::import(&server, &service, ALL, |_| vec![]).await;
    service.slow(Whom::Everyone, Duration::from_millis(300));
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "x"}))
        .await;
    for part in 1..=5 {
        service.wait_for(ALL * part / 6, PATIENCE).await;
        assert_eq!(
            server.cancel_or_resume(&id, "cancel").await["status"],
            "cancelled"
        );
        assert_eq!(
            server.cancel_or_resume(&id, "resume").await["status"],
            "running"
        );
    }
    let campaign = server.done(&id, PATIENCE).await;
    wait_until_no_pushes(&service).await;
    assert_eq!(counts(&campaign), expected(&[("accepted", ALL as u64)]));
    assert_eq!(campaign["scanned"], ALL, "{campaign}");
    assert!(delivered_once(&service) == (0..ALL).collect());
}

/// Two push services, and a server that allows and trusts both.
async fn two_push_services() -> (PushService, PushService, NamedTempFile, Server) {
    let (first, second) = (PushService::start().await, PushService::start().await);
    let mut roots = NamedTempFile::with_suffix(".pem").expect("a file");
    for service in [&first, &second] {
        let root = std::fs::read(service.ca_file()).expect("a certificate");
        roots.write_all(&root).expect("room on the disk");
    }
    let origins = format!("{},{}", first.origin(), second.origin());
    let environment = vec![
        ("PUSHCAST_PUSH_ORIGINS", origins),
        ("PUSHCAST_CA_FILE", roots.path().display().to_string()),
    ];
    let server = Server::start_with(environment).await;
    (first, second, roots, server)
}

/// Runs a campaign to 1 000 subscribers. `others` of them are at a push service that behaves like this; the rest are at
/// one that answers at once and must be reached soon. Later the first service recovers, and its subscribers are reached
/// too.
async fn a_push_service_delays_no_other(behaviour: Behaviour, others: usize) {
    const ALL: usize = 1_000;
    // Many times what an idle machine needs, and less than the timeout of one push: no push to the fast service waited
    // for the slow one.
    const SOON: Duration = Duration::from_secs(14);
    let (quick, other, _roots, server) = two_push_services().await;
    let each = [(&quick, ALL - others), (&other, others)];
    for (service, n) in each {
        Subscribers::import(&server, service, n, |_| vec![]).await;
    }
    other.behave(Whom::Everyone, behaviour);
    let id = server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "x"}))
        .await;
    quick.wait_for(ALL - others, SOON).await;
    let reached = other.deliveries().len();
    assert!(reached < others, "the other's still wait: {reached}");

    // By now the worker has read every subscriber, and has given up on none.
    let campaign = server
        .campaign_until(&id, PATIENCE, |it| it["scanned"] == ALL)
        .await;
    assert_eq!(campaign["status"], "running", "{campaign}");
    let counted = counts(&campaign);
    assert_eq!(counted.values().sum::<u64>(), ALL as u64, "{campaign}");
    let names: Vec<_> = counted.keys().collect();
    assert_eq!(names, ["accepted", "retrying"], "{campaign}");
    assert_eq!(server.exported().await.len(), ALL, "nobody is pruned");

    other.behave_normally();
    let campaign = server.done(&id, PATIENCE * 2).await;
    assert_eq!(counts(&campaign), expected(&[("accepted", ALL as u64)]));
    for (service, n) in each {
        assert!(delivered_once(service) == (0..n).collect(), "{service:?}");
    }
    assert_eq!(server.exported().await.len(), ALL, "nobody is pruned");
}

#[tokio::test]
async fn a_push_service_that_never_answers_delays_no_other() {
    a_push_service_delays_no_other(Behaviour::Hang, 500).await;
}

#[tokio::test]
async fn a_small_push_service_that_never_answers_delays_no_other() {
    a_push_service_delays_no_other(Behaviour::Hang, 100).await;
}

#[tokio::test]
async fn a_push_service_that_answers_after_many_seconds_delays_no_other() {
    a_push_service_delays_no_other(Behaviour::Slow(Duration::from_secs(12)), 500).await;
}
