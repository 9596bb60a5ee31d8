//! The concurrency limit per push service, observed through a client and a push service.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pushcast::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use webpush::client::Congestion;
use webpush::{AllowList, Keyring, Message, Origin, Outcome, Subscription, VapidKey};
use webpush::{Client, Dispatched, Limits, Pusher, Report};

use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Canned, Whom};
use crate::support::subscribers::browser::Browser;

/// Much longer than any push here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than it takes to start a burst of pushes.
const BURST_STARTS: Duration = Duration::from_millis(100);
/// Concurrency limit of a service that is not known yet.
const START: usize = 100;

/// A client, and a pusher that uses it.
#[derive(Clone)]
struct Sender {
    client: Client,
    pusher: Pusher,
}

impl Sender {
    /// Trusts the certificate of `service`.
    fn new(limits: Limits, service: &PushService) -> Self {
        let client = Client::new(limits, Some(service.ca_file())).expect("a client");
        let keyring = Keyring::new(VapidKey::generate().expect("randomness"), vec![], None);
        Self {
            pusher: Pusher::new(client.clone(), keyring, Clock::system()),
            client,
        }
    }
}

/// The subscription of `browser`, moved to `origin`.
fn subscription(browser: &Browser, origin: &str) -> Subscription {
    let mut json = browser.to_json();
    json["endpoint"] = format!("{origin}/wpush/v2/{}", browser.id()).into();
    let allowed = AllowList::new([Origin::parse(origin).expect("an origin")]);
    Subscription::from_json(&json.to_string(), &allowed).expect("it is good")
}

/// A push service, one of its subscribers, and a client.
struct Scene {
    service: PushService,
    subscription: Subscription,
    sender: Sender,
}

impl Scene {
    async fn new(limits: Limits) -> Self {
        let service = PushService::start().await;
        let sender = Sender::new(limits, &service);
        Self::of(service, sender)
    }

    fn of(service: PushService, sender: Sender) -> Self {
        Self {
            subscription: subscription(&service.subscribe(None), &service.origin()),
            service,
            sender,
        }
    }

    /// A new subscriber.
    fn new_subscriber(&self) -> (Browser, Subscription) {
        let browser = self.service.subscribe(None);
        let subscription = subscription(&browser, &self.service.origin());
        (browser, subscription)
    }

    fn congestion(&self) -> Congestion {
        let origin = self.subscription.endpoint.origin();
        self.sender.client.congestion(origin)
    }

    /// Starts `n` pushes in order, and waits for all of them.
    async fn burst(&self, n: usize) -> Vec<Report> {
        let pushes = (0..n).map(async |n| {
            let message = Message::text(format!("message {n}"));
            self.sender.pusher.push(&self.subscription, &message).await
        });
        let reports = tokio::time::timeout(PATIENCE, join_all(pushes)).await;
        reports.expect("every push ends")
    }

    async fn assert_served(&self, n: usize) {
        for report in self.burst(n).await {
            assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
        }
    }

    /// Starts a push in its own task.
    fn dispatch(&self, text: &'static str) -> (JoinHandle<Report>, Arc<Dispatched>) {
        self.dispatch_to(self.subscription.clone(), text)
    }

    fn dispatch_to(
        &self,
        to: Subscription,
        text: &'static str,
    ) -> (JoinHandle<Report>, Arc<Dispatched>) {
        let pusher = self.sender.pusher.clone();
        let dispatched = Arc::new(Dispatched::default());
        let watched = Arc::clone(&dispatched);
        let push = tokio::spawn(async move {
            let message = Message::text(text);
            pusher.push_tracked(None, &to, &message, &watched).await
        });
        (push, dispatched)
    }

    /// Lets the service complain until the concurrency limit is 1.
    async fn lower_limit_to_one(&self) {
        let busy = Canned::status(429);
        self.service.answer(Whom::Everyone, busy);
        for _ in 0..20 {
            for report in self.burst(START).await {
                assert_eq!(report.status(), Some(429));
            }
        }
        assert_eq!(self.congestion().limit, 1);
        self.service.behave_normally();
    }

    async fn until(&self, ready: impl Fn(Congestion) -> bool) {
        let waiting = async {
            while !ready(self.congestion()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(in_time.is_ok(), "{:?}", self.congestion());
    }
}

async fn abort(push: JoinHandle<Report>) {
    push.abort();
    assert!(push.await.expect_err("it was dropped").is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_refusals_halves_the_limit_once() {
    for status in [429, 503] {
        let scene = Scene::new(Limits::default()).await;
        assert_eq!(scene.congestion().limit, START);
        let busy = Canned::status(status);
        scene
            .service
            .answer_late(Whom::Everyone, BURST_STARTS, busy);
        for limit in [100, 50, 25] {
            assert_eq!(scene.congestion().limit, limit);
            for report in scene.burst(limit).await {
                assert_eq!(report.status(), Some(status));
            }
            assert_eq!(scene.congestion().limit, limit / 2, "{status}");
        }
        assert!(scene.service.peak_in_flight() <= START);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_refusals_concern_a_few_subscribers_and_leave_the_limit() {
    let scene = Scene::new(Limits::default()).await;
    for _ in 0..20 {
        let busy = Canned::status(429);
        scene.service.answer(Whom::Everyone, busy).times(5);
        scene.burst(START).await;
    }
    assert!(scene.congestion().limit >= START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_hanging_requests_do_not_delay_the_others() {
    let limits = Limits {
        per_origin: 4,
        total: PATIENCE * 10,
        ..Limits::default()
    };
    let scene = Scene::new(limits).await;
    let hanging: Vec<_> = (0..8).map(|_| scene.new_subscriber()).collect();
    let mut held = Vec::new();
    for (browser, to) in hanging {
        scene.service.hang(&browser);
        held.push(scene.dispatch_to(to, "held").0);
    }
    scene.assert_served(20).await;
    assert!(held.iter().all(|push| !push.is_finished()));
}

#[tokio::test]
async fn a_service_that_does_not_answer_gets_half_the_limit() {
    let limits = Limits {
        total: Duration::from_millis(300),
        ..Limits::default()
    };
    let scene = Scene::new(limits).await;
    scene.service.hang(Whom::Everyone);
    for report in scene.burst(START).await {
        assert_eq!(*report.outcome(), Outcome::Unreachable, "{report:?}");
    }
    assert_eq!(scene.congestion().limit, START / 2);
}

#[tokio::test]
async fn other_answers_leave_the_limit_alone() {
    let scene = Scene::new(Limits::default()).await;
    for status in [400, 401, 403, 404, 410, 413, 500, 502] {
        let canned = Canned::status(status);
        scene.service.answer(Whom::Everyone, canned).times(5);
        scene.burst(5).await;
        assert_eq!(scene.congestion().limit, START, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_grows_quickly_while_the_service_keeps_up() {
    let scene = Scene::new(Limits::default()).await;
    scene.service.slow(Whom::Everyone, BURST_STARTS);
    scene.assert_served(1000).await;
    let congestion = scene.congestion();
    assert_eq!(congestion.limit, Limits::default().per_origin);
    assert_eq!((congestion.in_flight, congestion.waiting), (0, 0));
}

#[tokio::test]
async fn a_limit_that_is_not_used_up_does_not_grow() {
    let scene = Scene::new(Limits::default()).await;
    for _ in 0..20 {
        scene.assert_served(START - 1).await;
    }
    assert_eq!(scene.congestion().limit, START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_complaint_the_limit_grows_back_one_by_one() {
    let scene = Scene::new(Limits::default()).await;
    let busy = Canned::status(429);
    scene
        .service
        .answer_late(Whom::Everyone, BURST_STARTS, busy)
        .times(START);
    scene.burst(START).await;
    let low = scene.congestion().limit;
    assert!(low <= START / 2, "{low}");
    // The limit grows by one after as many answers as it allows pushes at once.
    scene.assert_served(6 * low).await;
    let grown = scene.congestion().limit;
    assert!((low + 1..=low + 6).contains(&grown), "{low} to {grown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_limit_of_one_pushes_go_on_and_the_limit_grows_again() {
    let scene = Scene::new(Limits::default()).await;
    scene.lower_limit_to_one().await;
    scene.assert_served(30).await;
    assert_eq!(scene.service.deliveries().len(), 30);
    assert!(scene.congestion().limit > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_are_sent_in_order_of_arrival() {
    let limits = Limits {
        per_origin: 1,
        ..Limits::default()
    };
    let scene = Scene::new(limits).await;
    scene.assert_served(50).await;
    let deliveries = scene.service.deliveries();
    let texts: Vec<_> = deliveries.into_iter().map(|it| it.text).collect();
    let asked: Vec<_> = (0..50)
        .map(|n| format!("message {n}").into_bytes())
        .collect();
    assert_eq!(texts, asked);
    assert_eq!(scene.service.peak_in_flight(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_service_delays_no_other() {
    let limits = Limits {
        total: PATIENCE,
        ..Limits::default()
    };
    let busy = Scene::new(limits).await;
    busy.lower_limit_to_one().await;
    busy.service.hang(Whom::Everyone);
    let held: Vec<_> = (0..200).map(|_| busy.dispatch("held").0).collect();
    busy.until(|it| it.in_flight == 1 && it.waiting > 100).await;

    // Over plain HTTP, because the client trusts only the certificate of the first service.
    let other = PushService::builder().plain().start().await;
    let other = Scene::of(other, busy.sender.clone());
    other.assert_served(300).await;
    assert_eq!(busy.congestion().limit, 1);
    assert!(busy.congestion().waiting > 0);
    assert!(other.congestion().limit > START);
    assert!(held.iter().all(|push| !push.is_finished()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_dropped_while_it_waits_was_never_sent() {
    let limits = Limits {
        per_origin: 1,
        ..Limits::default()
    };
    let scene = Scene::new(limits).await;
    let (slowest, to) = scene.new_subscriber();
    scene.service.hang(&slowest);
    let (sent, sent_dispatched) = scene.dispatch_to(to, "sent");
    scene.service.wait_for_requests(1, PATIENCE).await;
    assert!(sent_dispatched.is_set());

    let mut waiting = Vec::new();
    for n in 1..=3 {
        waiting.push(scene.dispatch("never sent"));
        scene.until(|it| it.waiting == n).await;
    }
    let (last, last_dispatched) = waiting.pop().expect("three wait");
    for (push, dispatched) in waiting {
        abort(push).await;
        assert!(!dispatched.is_set());
    }
    assert_eq!(scene.congestion().waiting, 1);
    assert!(!last_dispatched.is_set());
    // The next waiting push gets its permit.
    abort(sent).await;
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
async fn a_push_that_is_tried_with_another_key_stays_dispatched() {
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
    let (between, to) = scene.new_subscriber();
    scene
        .service
        .answer_late(Whom::Everyone, BURST_STARTS * 10, mismatch);
    scene.service.hang(&between);
    let (push, dispatched) = scene.dispatch("mismatched");
    scene.service.wait_for_requests(1, PATIENCE).await;
    // Another push takes the only permit before the second key is tried.
    let (between, _) = scene.dispatch_to(to, "between");
    scene.service.wait_for_requests(2, PATIENCE).await;
    scene.until(|it| it.waiting == 1).await;
    assert!(dispatched.is_set());
    abort(push).await;
    abort(between).await;
    assert!(dispatched.is_set());
    assert_eq!(scene.service.requests(), 2);
}

#[tokio::test]
async fn a_push_that_is_dropped_before_there_is_a_connection_was_never_sent() {
    // A server that accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("it is bound").port();
    let origin = format!("https://localhost:{port}");
    let mut scene = Scene::new(Limits::default()).await;
    scene.subscription = subscription(&scene.service.subscribe(None), &origin);

    let (push, dispatched) = scene.dispatch("never sent");
    let (_socket, _) = silent.accept().await.expect("it connects");
    assert_eq!(scene.congestion().in_flight, 1);
    abort(push).await;
    assert!(!dispatched.is_set());
    assert_eq!(scene.congestion().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_remembers_a_requested_wait_until_the_service_serves_again() {
    let scene = Scene::new(Limits::default()).await;
    assert_eq!(scene.congestion().not_before, None);
    let asked = Clock::system().now();
    for seconds in ["600", "60"] {
        let busy = Canned::status(429).header("retry-after", seconds);
        scene.service.answer(Whom::Everyone, busy).times(1);
        scene.burst(1).await;
        // The later time counts.
        let not_before = scene.congestion().not_before.expect("it asked to wait");
        let wait = not_before.duration_since(asked);
        assert!((600..660).contains(&wait.as_secs()), "{wait:?}");
    }

    // A request that was in flight before the service asked to wait says nothing about now.
    let (slow, to) = scene.new_subscriber();
    scene.service.slow(&slow, BURST_STARTS * 20);
    let (early, _) = scene.dispatch_to(to, "early");
    scene.service.wait_for_requests(3, PATIENCE).await;
    let busy = Canned::status(503).header("retry-after", "900");
    scene.service.answer(Whom::Everyone, busy).times(1);
    scene.burst(1).await;
    let noted = scene.congestion().not_before;
    assert_eq!(*early.await.expect("no panic").outcome(), Outcome::Accepted);
    assert_eq!(scene.congestion().not_before, noted);
    assert!(noted.is_some());

    scene.assert_served(1).await;
    assert_eq!(scene.congestion().not_before, None);
}
