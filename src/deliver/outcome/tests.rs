use std::sync::Arc;

use super::*;
use crate::dynamo::item::{Item, string};
use webpush::AllowList;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const TTL: u32 = 86_400;

fn recipient(n: usize) -> Arc<Recipient> {
    let endpoint = format!("https://fcm.googleapis.com/fcm/send/{n:04}");
    let row = Row::read(&Item::from([("endpoint".to_owned(), string(&endpoint))]));
    Arc::new(Recipient::new(row, &AllowList::default()))
}

fn landed(outcomes: impl IntoIterator<Item = Outcome>) -> Landed {
    let reports = outcomes.into_iter().enumerate();
    let report = |(n, outcome)| (recipient(n), Report::unanswered(outcome, "a test"));
    Landed {
        done: reports.map(report).collect(),
        deferred: Vec::new(),
    }
}

fn keys() -> impl FnMut() -> PartKey {
    let mut serial = 0;
    move || {
        serial += 1;
        PartKey::Retry { segment: 0, serial }
    }
}

/// The figures that are not zero, by name.
fn counts(outcome: &BatchOutcome) -> BTreeMap<String, i64> {
    outcome.figures.entries().collect()
}

fn named<const N: usize>(counts: [(&str, i64); N]) -> BTreeMap<String, i64> {
    counts.map(|(name, n)| (name.to_owned(), n)).into()
}

#[test]
fn every_row_of_a_batch_is_counted_once_and_removed_or_retried_as_its_outcome_asks() {
    let all = [
        Outcome::Accepted,
        Outcome::Gone,
        Outcome::Mismatched,
        Outcome::Unreachable,
    ];
    let mut outcome = BatchOutcome::of_first_pushes(TTL, NOW);
    outcome.add(landed(all), false);
    let expected = [
        ("fcm.accepted", 1),
        ("fcm.gone", 1),
        ("fcm.mismatched", 1),
        ("fcm.retrying", 1),
    ];
    assert_eq!(counts(&outcome), named(expected));
    let gone: Vec<&str> = outcome.gone.keys().map(String::as_str).collect();
    assert_eq!(gone, [recipient(1).endpoint()]);
    let retries = outcome.take_retries(keys());
    let [part] = &retries[..] else {
        panic!("one part: {}", retries.len());
    };
    let retried = [recipient(3).endpoint().to_owned()];
    assert_eq!(part.retry.endpoints, retried.into());
    assert_eq!(part.retry.state.attempts, 1);
}

#[test]
fn a_retry_part_moves_its_rows_from_retrying_to_another_count() {
    let state = RetryState::new(NOW);
    let mut outcome = BatchOutcome::of_retries(state, TTL, NOW);
    outcome.add(landed([Outcome::Accepted, Outcome::Unreachable]), false);
    outcome.vanished(recipient(2).endpoint());
    outcome.unanswered(recipient(3).endpoint());
    outcome.postponed(&recipient(4));
    let expected = [("fcm.accepted", 1), ("fcm.gone", 1), ("fcm.retrying", -2)];
    assert_eq!(counts(&outcome), named(expected));
    assert_eq!(outcome.figures.total(), 0);
}

#[test]
fn while_the_campaign_halts_a_fault_of_our_own_costs_no_attempt() {
    for (is_halting, attempts) in [(true, 0), (false, 1)] {
        let mut outcome = BatchOutcome::of_first_pushes(0, NOW);
        outcome.add(landed([Outcome::OurFault]), is_halting);
        let retries = outcome.take_retries(keys());
        let state = retries[0].retry.state;
        assert_eq!((state.attempts, state.expires), (attempts, None));
    }
}

#[test]
fn stragglers_are_held_in_parts_of_their_own_and_count_as_retrying() {
    let mut outcome = BatchOutcome::of_first_pushes(TTL, NOW);
    let until = after(NOW, Duration::from_secs(90));
    let endpoints = (0..3).map(|n| recipient(n).endpoint().to_owned());
    outcome.hold(endpoints.collect(), "a worker", until, keys());
    assert_eq!(counts(&outcome), named([("fcm.retrying", 3)]));
    let [held] = &outcome.held[..] else {
        panic!("one part: {}", outcome.held.len());
    };
    assert_eq!((&held.owner[..], held.until), ("a worker", until));
    assert!(outcome.take_retries(keys()).is_empty(), "held, not queued");
}

#[test]
fn many_due_times_become_few_and_no_retry_is_too_early() {
    let mut outcome = BatchOutcome::of_first_pushes(TTL, NOW);
    let wait = |n: u64| Duration::from_secs(40 << n);
    let asked = |n| Outcome::Throttled(Some(wait(n)));
    outcome.ttl = u32::MAX;
    outcome.add(landed((0..20).map(asked)), false);
    let retries = outcome.take_retries(keys());
    assert_eq!(retries.len(), MAX_DUE_TIMES);
    for n in 0..20_u32 {
        let recipient = recipient(n as usize);
        let part = retries
            .iter()
            .find(|part| part.retry.endpoints.contains(recipient.endpoint()));
        let state = part.expect("it is in a part").retry.state;
        assert!(state.not_before >= after(NOW, wait(n.into())), "{n}");
    }
}
