//! A push that is given up says whether its push service may have seen it.

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use webpush::{Congestion, Keyring, Limits, Outcome, Pusher, Report, VapidKey};

use super::{A_WHILE, PATIENCE, Scene, subscription};
use crate::support::push_service::behaviour::{Canned, Whom};
use pushcast::clock::Clock;

async fn give_up(push: JoinHandle<Report>) {
    push.abort();
    assert!(push.await.expect_err("it was given up").is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_given_up_while_it_waits_was_never_sent() {
    let limits = Limits {
        per_origin: 1,
        ..Limits::default()
    };
    let scene = Scene::new(limits).await;
    let (slowest, to) = scene.somebody();
    scene.service.hang(&slowest);
    let (sent, sent_dispatched) = scene.begin_to(to, "sent");
    scene.service.wait_for_requests(1, PATIENCE).await;
    assert!(sent_dispatched.is_set());

    let mut waiting = Vec::new();
    for n in 1..=3 {
        waiting.push(scene.begin("never sent"));
        scene.until(|it| it.waiting == n).await;
    }
    let (last, last_dispatched) = waiting.pop().expect("three wait");
    for (push, dispatched) in waiting {
        give_up(push).await;
        assert!(!dispatched.is_set());
    }
    assert_eq!(scene.congestion().waiting, 1);
    assert!(!last_dispatched.is_set());
    // Its permit goes to the push that still waits.
    give_up(sent).await;
    let report = tokio::time::timeout(PATIENCE, last).await;
    let report = report.expect("it is its turn").expect("no panic");
    assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
    assert!(last_dispatched.is_set());
    assert_eq!(scene.service.requests(), 2);
    let Congestion {
        in_flight, waiting, ..
    } = scene.congestion();
    assert_eq!((in_flight, waiting), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_tried_under_another_key_stays_dispatched() {
    let limits = Limits {
        per_origin: 1,
        ..Limits::default()
    };
    let mut scene = Scene::new(limits).await;
    let keys = [(); 2].map(|()| VapidKey::generate().expect("randomness"));
    let [current, older] = keys;
    let keyring = Keyring::new(current, vec![older], None);
    scene.sender.pusher = Pusher::new(scene.sender.client.clone(), keyring, Clock::system());
    let mismatch = Canned::autopush(403, 109, "VAPID public key mismatch");
    let (between, to) = scene.somebody();
    scene
        .service
        .answer_late(Whom::Everyone, A_WHILE * 10, mismatch);
    scene.service.hang(&between);
    let (push, dispatched) = scene.begin("mismatched");
    scene.service.wait_for_requests(1, PATIENCE).await;
    // Another push has the only permit when the other key is tried.
    let (between, _) = scene.begin_to(to, "between");
    scene.service.wait_for_requests(2, PATIENCE).await;
    scene.until(|it| it.waiting == 1).await;
    assert!(dispatched.is_set());
    give_up(push).await;
    give_up(between).await;
    assert!(dispatched.is_set());
    assert_eq!(scene.service.requests(), 2);
}

#[tokio::test]
async fn a_push_given_up_before_there_is_a_connection_was_never_sent() {
    // It accepts connections, and sends nothing on them.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("it is bound").port();
    let origin = format!("https://localhost:{port}");
    let mut scene = Scene::new(Limits::default()).await;
    scene.subscription = subscription(&scene.service.subscribe(None), &origin);

    let (push, dispatched) = scene.begin("never sent");
    let (_socket, _) = silent.accept().await.expect("it connects");
    assert_eq!(scene.congestion().in_flight, 1);
    give_up(push).await;
    assert!(!dispatched.is_set());
    assert_eq!(scene.congestion().in_flight, 0);
}
