use std::time::Duration;

use pushcast::campaign::Campaign;

use crate::support::program::campaigns::counts;
use crate::support::push_service::behaviour::{Behaviour, Canned};
use crate::support::worker_harness::{Attempt, WorkerHarness};

use super::{PATIENCE, deliveries_per_subscriber, event, expected_counts, one_delivery_each};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// One of two push services refuses our token with `status` until the operator fixes it.
async fn a_refused_token_halts_the_campaign(status: u16, words: &str) {
    let harness = WorkerHarness::new(2).await;
    harness.add_subscribers(0, 60).await;
    harness.add_subscribers(1, 150).await;
    let refused = Canned::autopush(status, 109, words);
    harness.services[1].plan(move |_, _| Some(Behaviour::Answer(refused.clone())));
    harness.event(&event("refused"));
    let worker = harness.worker("worker", 20);
    harness.run_to_the_end(&worker).await;

    let (campaign, shown) = harness.campaign("refused").await;
    assert_eq!(shown["status"], "halted", "{shown}");
    let reason = shown["reason"].as_str().expect("a reason");
    let origin = harness.services[1].origin();
    for said in [&origin, &status.to_string(), words] {
        assert!(reason.contains(said), "{said} in: {reason}");
    }
    assert!(!reason.contains(&harness.services[0].origin()), "{reason}");
    assert_eq!(harness.announced(), std::slice::from_ref(&shown));
    assert_eq!(harness.subscribed().await, 210, "nobody is pruned");
    let before = counts(&shown);
    let scanned = shown["scanned"].as_u64().expect("a number");
    assert_eq!(before.values().sum::<u64>(), scanned, "{shown}");
    assert!(scanned < 210, "it stops before the end");
    assert!(before.keys().all(|it| it == "accepted" || it == "retrying"));
    let accepted = before.get("accepted").copied().unwrap_or_default();
    assert_eq!(harness.services[0].deliveries().len() as u64, accepted);

    // A job does not resume a halted campaign.
    let requests = harness.services[1].requests();
    harness.run_to_the_end(&worker).await;
    assert_eq!(harness.services[1].requests(), requests);

    harness.services[1].plan(|_, _| None);
    let resumed = worker.broadcast.resume(&campaign.id).await;
    assert_eq!(resumed.expect("it goes on").resumed, 1);
    harness.run_to_the_end(&worker).await;
    let (_, shown) = harness.campaign("refused").await;
    assert_eq!(shown["status"], "done", "{shown}");
    assert_eq!(shown.get("reason"), None);
    assert_eq!(counts(&shown), expected_counts([("accepted", 210)]));
    assert_eq!(shown["scanned"], 210, "from the checkpoint: {shown}");
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(60)
    );
    assert_eq!(
        deliveries_per_subscriber(&harness.services[1]),
        one_delivery_each(150)
    );
    assert_eq!(harness.announced().last(), Some(&shown));
    assert_eq!(harness.announced().len(), 2);
}

#[tokio::test]
async fn a_token_that_one_service_refuses_halts_the_campaign_until_it_is_resumed() {
    a_refused_token_halts_the_campaign(401, "Expired token").await;
}

#[tokio::test]
async fn a_service_that_forbids_every_push_halts_the_campaign_until_it_is_resumed() {
    a_refused_token_halts_the_campaign(403, "Not for you").await;
}

/// The operator needs longer than the TTL: the subscribers still get the message.
#[tokio::test]
async fn a_push_refused_before_a_halt_is_sent_after_it_whatever_its_ttl() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 120).await;
    harness.services[0].plan(|_, _| Some(Behaviour::Answer(Canned::status(401))));
    let mut short_lived = event("short-lived");
    short_lived["detail"]["ttl"] = 600.into();
    harness.event(&short_lived);
    let worker = harness.worker("worker", 20);
    harness.run_to_the_end(&worker).await;
    let (campaign, shown) = harness.campaign("short-lived").await;
    assert_eq!(shown["status"], "halted", "{shown}");

    harness.time.advance(HOUR);
    harness.services[0].plan(|_, _| None);
    let resumed = worker.broadcast.resume(&campaign.id).await;
    resumed.expect("it goes on");
    harness.run_to_the_end(&worker).await;
    let (_, shown) = harness.campaign("short-lived").await;
    assert_eq!(
        counts(&shown),
        expected_counts([("accepted", 120)]),
        "{shown}"
    );
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(120)
    );
}

/// A slow worker reports a fault from before the operator's fix.
#[tokio::test]
async fn a_campaign_that_was_resumed_is_not_halted_for_an_earlier_fault() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 120).await;
    harness.services[0].plan(|_, _| Some(Behaviour::Answer(Canned::status(401))));
    harness.event(&event("late"));
    let worker = harness.worker("worker", 20);
    harness.run_to_the_end(&worker).await;
    let (before, shown) = harness.campaign("late").await;
    assert_eq!(shown["status"], "halted", "{shown}");
    let resumed = worker.broadcast.resume(&before.id).await;
    resumed.expect("it goes on");
    let late = Campaign {
        resumed: 0,
        ..before
    };
    let halted = worker.broadcast.halt(&late, "an old fault").await;
    halted.expect("it is none");
    let (_, shown) = harness.campaign("late").await;
    assert_eq!(shown["status"], "running", "{shown}");
    assert_eq!(shown.get("reason"), None);
}

/// Each part meets only a few faults, for example when a key is lost after all subscribers were read. Their sum counts.
#[tokio::test]
async fn faults_spread_over_many_parts_halt_the_campaign() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 120).await;
    harness.services[0].plan(|_, visit| {
        let status = if visit == 0 { 503 } else { 401 };
        Some(Behaviour::Answer(Canned::status(status)))
    });
    harness.event(&event("spread"));
    // Batches of three, and retry parts of three.
    let worker = harness.worker("worker", 100);
    harness.run_to_the_end(&worker).await;
    let (_, shown) = harness.campaign("spread").await;
    assert_eq!(shown["status"], "halted", "{shown}");
    let refused = harness.services[0].requests() - 120;
    assert!((51..=60).contains(&refused), "{refused}: {shown}");
    assert_eq!(harness.subscribed().await, 120, "nobody is pruned");
    assert_eq!(counts(&shown), expected_counts([("retrying", 120)]));
}

#[tokio::test]
async fn a_push_service_that_is_unavailable_for_an_hour_costs_no_subscriber_and_delays_no_other_service()
 {
    let harness = WorkerHarness::new(2).await;
    harness.add_subscribers(0, 80).await;
    harness.add_subscribers(1, 80).await;
    let time = harness.time.clone();
    harness.services[1].plan(move |_, _| {
        let away = time.elapsed() < HOUR;
        away.then(|| Behaviour::Answer(Canned::status(503)))
    });
    harness.event(&event("outage"));
    let worker = harness.worker("worker", 20);
    // Deliver everything that is due now.
    while let Some(waiting) = harness.due() {
        assert_eq!(harness.deliver(&worker, &waiting).await, Attempt::Succeeded);
    }
    assert_eq!(harness.time.elapsed(), Duration::ZERO);
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(80)
    );
    let (_, shown) = harness.campaign("outage").await;
    assert_eq!(shown["status"], "running");
    let expected = [("accepted", 80), ("retrying", 80)];
    assert_eq!(counts(&shown), expected_counts(expected));

    harness.run_to_the_end(&worker).await;
    harness.services[1].wait_until_idle(PATIENCE).await;
    assert!(harness.time.elapsed() >= HOUR);
    let (_, shown) = harness.campaign("outage").await;
    assert_eq!(shown["status"], "done");
    assert_eq!(counts(&shown), expected_counts([("accepted", 160)]));
    assert_eq!(
        deliveries_per_subscriber(&harness.services[1]),
        one_delivery_each(80)
    );
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(80)
    );
    assert_eq!(harness.subscribed().await, 160, "nobody is pruned");
}
