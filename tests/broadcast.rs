//! A rule's event, a schedule's firing or a bare message starts one campaign, however often it is delivered.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use pushcast::campaign::Status;
use pushcast::deliver::Deliver;
use serde_json::{Value, json};

use crate::deliver::{deliveries_per_subscriber, event, expected_counts, one_delivery_each};
use crate::support::program::campaigns::counts;
use crate::support::worker_harness::{Jobs, WorkerHarness};

#[tokio::test]
async fn an_event_that_is_delivered_three_times_starts_one_campaign() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 10).await;
    let workers = [0, 1, 2].map(|i| harness.worker(&format!("worker {i}"), 1));
    let event = event("one-event");
    let start = async |worker: &Deliver<Jobs>| {
        let campaign = worker.broadcast.handle(&event, "request").await;
        campaign.expect("it starts").id
    };
    let [a, b, c] = &workers;
    let (a, b, c) = tokio::join!(start(a), start(b), start(c));
    harness.run_to_the_end(&workers[0]).await;
    let later = start(&workers[1]).await;
    assert!(
        [&a, &b, &c, &later]
            .iter()
            .all(|id| id.as_str() == "one-event")
    );
    harness.run_to_the_end(&workers[2]).await;
    let all = harness
        .store
        .ledger
        .campaigns(None, 10)
        .await
        .expect("it reads");
    assert_eq!(all.campaigns.len(), 1);
    assert_eq!(
        deliveries_per_subscriber(&harness.services[0]),
        one_delivery_each(10)
    );
    let (_, campaign) = harness.campaign("one-event").await;
    assert_eq!(counts(&campaign), expected_counts([("accepted", 10)]));
}

#[tokio::test]
async fn a_schedule_s_firing_starts_one_campaign_whatever_its_execution_id() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 3).await;
    let worker = harness.worker("worker", 1);
    let firing = |execution: &str, schedule: &str, time: &str| {
        json!({
            "schedule": format!("arn:aws:scheduler:eu-west-1:1:schedule/{schedule}"),
            "scheduled_time": time, "execution": execution, "attempt": execution,
            "message": {"to": {"audience": "all"}, "data": "hello"},
        })
    };
    let start = async |event: Value| {
        let campaign = worker.broadcast.handle(&event, "request").await;
        campaign.expect("it starts").id
    };
    let first = start(firing("a", "news/daily", "2027-01-15T08:00:00Z")).await;
    let again = start(firing("b", "news/daily", "2027-01-15T08:00:00Z")).await;
    assert_eq!(first, again);
    let tomorrow = start(firing("a", "news/daily", "2027-01-16T08:00:00Z")).await;
    let namesake = start(firing("a", "sports/daily", "2027-01-15T08:00:00Z")).await;
    let all = HashSet::from([first, tomorrow, namesake]);
    assert_eq!(all.len(), 3, "{all:?}");
    harness.run_to_the_end(&worker).await;
    let campaigns = harness
        .store
        .ledger
        .campaigns(None, 10)
        .await
        .expect("it reads");
    assert_eq!(campaigns.campaigns.len(), 3);
    assert_eq!(harness.services[0].deliveries().len(), 9);
}

#[tokio::test]
async fn a_bare_message_starts_one_campaign_per_id_or_per_request_without_an_id() {
    let harness = WorkerHarness::new(1).await;
    harness.add_subscribers(0, 3).await;
    let worker = harness.worker("worker", 1);
    let start = async |message: Value, request: &str| {
        let campaign = worker.broadcast.handle(&message, request).await;
        campaign.expect("it starts").id.to_string()
    };
    let named = json!({"to": {"audience": "all"}, "data": "hello", "id": "news-17"});
    assert_eq!(start(named.clone(), "request-1").await, "news-17");
    assert_eq!(start(named, "request-2").await, "news-17");
    let unnamed = json!({"to": {"audience": "all"}, "data": "hello"});
    assert_eq!(start(unnamed.clone(), "request-3").await, "request-3");
    assert_eq!(start(unnamed.clone(), "request-3").await, "request-3");
    assert_eq!(start(unnamed, "request-4").await, "request-4");
    harness.run_to_the_end(&worker).await;
    let campaigns = harness
        .store
        .ledger
        .campaigns(None, 10)
        .await
        .expect("it reads");
    assert_eq!(campaigns.campaigns.len(), 3);
    assert_eq!(harness.services[0].deliveries().len(), 9);
}

/// The operator cancels a campaign while a restarted server continues it, before each of its database requests in turn.
#[tokio::test]
async fn a_campaign_that_is_cancelled_while_the_server_restarts_stays_cancelled() {
    for at in 0.. {
        let harness = WorkerHarness::new(1).await;
        harness.add_subscribers(0, 3).await;
        let worker = harness.worker("worker", 1);
        let started = worker.broadcast.handle(&event("stopped"), "request").await;
        let id = started.expect("it starts").id;
        harness.lose_jobs();
        let (restarted, seen) = harness.late("restarted", at);
        let is_over = Cell::new(false);
        let recover = async {
            let recovered = restarted.broadcast.recover().await;
            is_over.set(true);
            recovered
        };
        let cancel = async {
            while seen.requests().len() <= at {
                if is_over.get() {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Some(worker.broadcast.cancel(&id).await)
        };
        let (recovered, cancelled) = tokio::join!(recover, cancel);
        recovered.expect("it goes on, or has nothing more to do");
        let Some(cancelled) = cancelled else {
            assert!(at > 5, "a recovery has more requests than {at}");
            return;
        };
        let cancelled = cancelled.expect("it cancels").status();
        let (campaign, _) = harness.campaign("stopped").await;
        assert_eq!(
            (cancelled, campaign.status()),
            (Status::Cancelled, Status::Cancelled),
            "at request {at}"
        );
        harness.run_to_the_end(&worker).await;
        assert_eq!(harness.services[0].requests(), 0, "at request {at}");
    }
}
