//! Databases that fail, refuse requests, lose answers or are slow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pushcast::campaign::PartKey;
use pushcast::ledger::{Taken, Worker};

use super::{behind, behind_sdk, browser, count, endpoint, now, registration, row, scan};
use crate::support::aws::faulty_dynamodb::{Fault, possible};
use crate::support::random::impatient;

/// The SDK repeats the request and finds a lease that it already holds.
#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_held() {
    let lost = AtomicBool::new(false);
    let first = move |operation: &str| {
        let first = operation == "UpdateItem" && !lost.swap(true, Ordering::Relaxed);
        first.then_some(Fault::LostAnswer)
    };
    let (store, real, _) = behind_sdk(3, first).await;
    let (id, part) = ("leased".parse().unwrap(), PartKey::Segment(0));
    real.ledger
        .plan_segments(&id, 1)
        .await
        .expect("it is written");
    let worker = Worker::one_of_many(&impatient());
    let minute = Duration::from_secs(60);
    let taken = store
        .ledger
        .take_segment(&id, &part, &worker, minute, now())
        .await;
    let taken = taken.expect("it is asked for again");
    assert!(matches!(taken, Taken::Ours(..)), "{taken:?}");
    let other = real
        .ledger
        .take_segment(&id, &part, &worker, minute, now())
        .await;
    let other = other.expect("it reads");
    assert!(matches!(other, Taken::Held(_)), "{other:?}");
}

#[tokio::test]
async fn a_lasting_fault_is_a_transient_error_and_leaves_no_partial_write() {
    let mut faults = possible("TransactWriteItems");
    faults.push(Fault::Refused(400, "TransactionConflictException"));
    for fault in faults {
        let (store, faultless, seen) = behind_sdk(2, move |operation| match (operation, fault) {
            ("UpdateItem", Fault::Cancelled(_)) => None,
            ("UpdateItem" | "TransactWriteItems", fault) => Some(fault),
            _ => None,
        })
        .await;
        let keys = browser();
        let (there, fresh) = (endpoint(1), endpoint(2));
        let kept = registration(&keys, &there);
        faultless
            .subscribers
            .subscribe(&kept, now())
            .await
            .expect("it is stored");
        let before = row(&faultless, &there).await;
        let mut errors = Vec::new();
        let new = registration(&keys, &fresh);
        errors.extend(store.subscribers.subscribe(&new, now()).await.err());
        errors.extend(store.subscribers.replace(&there, &new, now()).await.err());
        errors.extend(store.subscribers.prune(&before, now()).await.err());
        errors.extend(store.subscribers.unsubscribe(&there, now()).await.err());
        assert_eq!(errors.len(), 4, "{fault:?}: {errors:?}");
        for error in &errors {
            assert!(error.is_transient(), "{fault:?}: {error:?}");
        }
        let rows = scan(&faultless).await;
        assert_eq!(count(&faultless).await, rows.len(), "{fault:?}");
        if fault != Fault::LostAnswer {
            assert_eq!(rows.values().collect::<Vec<_>>(), [&before], "{fault:?}");
        }
        // Our code makes at most a dozen attempts at each of the four operations, and the SDK sends each attempt twice.
        // Opening the day adds a few requests.
        assert!(seen.requests().len() <= 4 * 12 * 2 + 10, "{fault:?}");
    }
}

#[tokio::test]
async fn a_read_that_fails_is_a_transient_error() {
    for fault in possible("Query") {
        let (store, _, _) = behind(move |_| Some(fault)).await;
        let errors = [
            store.subscribers.count().await.err(),
            store.subscribers.get(&endpoint(1)).await.err(),
            store.subscribers.all(None, 1).await.err(),
            store.subscribers.of_user("ada", None, 1).await.err(),
        ];
        for error in errors {
            let error = error.expect("there is no answer");
            assert!(error.is_transient(), "{fault:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_dynamodb_refuses_for_good_is_not_repeated() {
    let fault = Fault::Refused(400, "ResourceNotFoundException");
    let (store, _, seen) = behind(move |_| Some(fault)).await;
    let new = registration(&browser(), &endpoint(1));
    let error = store
        .subscribers
        .subscribe(&new, now())
        .await
        .expect_err("no table");
    assert!(!error.is_transient());
    let error = store
        .subscribers
        .unsubscribe(&endpoint(1), now())
        .await
        .expect_err("no table");
    assert!(!error.is_transient());
    let written = seen.requests();
    let written = written.iter().filter(|(operation, _)| operation != "Query");
    assert_eq!(written.count(), 2, "the opening of the day was not written");
}

/// As on a busy machine, or with a slow disk.
#[tokio::test]
async fn the_store_waits_for_a_slow_database() {
    let (store, _, _) = behind_sdk(1, |_| Some(Fault::Late(Duration::from_secs(8)))).await;
    let registration = registration(&browser(), &endpoint(1));
    let stored = store
        .subscribers
        .subscribe_all(&[registration], now())
        .await;
    assert_eq!(stored.expect("it waits"), 1);
}
