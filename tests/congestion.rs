use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use pushcast::clock::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use webpush::Permit;
use webpush::{
    AllowList, Answer, Keyring, Message, Origin, Outcome, PushService as Whose, Subscription,
    VapidKey,
};
use webpush::{Client, Congestion, Dispatched, Limiter, Limits, Pusher, Report, Signal};

use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Canned, Whom};
use crate::support::random::Random;
use crate::support::subscribers::browser::Browser;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than it takes to ask for many things at once.
const A_WHILE: Duration = Duration::from_millis(100);
/// Requests under way to a service of which nothing is known.
const START: usize = 100;

/// A client, and what it sends with.
#[derive(Clone)]
struct Sender {
    client: Client,
    pusher: Pusher,
}

impl Sender {
    /// Trusts whoever `service` trusts.
    fn new(limits: Limits, service: &PushService) -> Self {
        let client = Client::new(limits, Some(service.ca_file())).expect("a client");
        let keyring = Keyring::new(VapidKey::generate().expect("randomness"), vec![], None);
        Self {
            pusher: Pusher::new(client.clone(), keyring, Clock::system()),
            client,
        }
    }
}

/// `browser`'s subscription, as if it were at `origin`.
fn subscription(browser: &Browser, origin: &str) -> Subscription {
    let mut json = browser.to_json();
    json["endpoint"] = format!("{origin}/wpush/v2/{}", browser.id()).into();
    let allowed = AllowList::new([Origin::parse(origin).expect("an origin")]);
    Subscription::from_json(&json.to_string(), &allowed).expect("it is good")
}

/// Somebody subscribed to a push service, and who sends there.
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

    /// Another subscriber.
    fn somebody(&self) -> (Browser, Subscription) {
        let browser = self.service.subscribe(None);
        let subscription = subscription(&browser, &self.service.origin());
        (browser, subscription)
    }

    fn congestion(&self) -> Congestion {
        let origin = self.subscription.endpoint.origin();
        self.sender.client.congestion(origin)
    }

    /// Asked for together, in this order.
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

    /// On a task of its own.
    fn begin(&self, text: &'static str) -> (JoinHandle<Report>, Arc<Dispatched>) {
        self.begin_to(self.subscription.clone(), text)
    }

    fn begin_to(
        &self,
        to: Subscription,
        text: &'static str,
    ) -> (JoinHandle<Report>, Arc<Dispatched>) {
        let pusher = self.sender.pusher.clone();
        let begun = Arc::new(Dispatched::default());
        let watched = Arc::clone(&begun);
        let push = tokio::spawn(async move {
            let message = Message::text(text);
            pusher.push_tracked(None, &to, &message, &watched).await
        });
        (push, begun)
    }

    /// Complains until a single place is left.
    async fn down_to_one_place(&self) {
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

async fn give_up(push: JoinHandle<Report>) {
    push.abort();
    assert!(push.await.expect_err("it was given up").is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_complaints_halves_the_limit_once() {
    for status in [429, 503] {
        let scene = Scene::new(Limits::default()).await;
        assert_eq!(scene.congestion().limit, START);
        let busy = Canned::status(status);
        scene.service.answer_late(Whom::Everyone, A_WHILE, busy);
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
async fn a_few_complaints_are_about_a_few_subscribers_and_change_nothing() {
    let scene = Scene::new(Limits::default()).await;
    for _ in 0..20 {
        let busy = Canned::status(429);
        scene.service.answer(Whom::Everyone, busy).times(5);
        scene.burst(START).await;
    }
    assert!(scene.congestion().limit >= START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_who_hang_do_not_hold_up_the_rest() {
    let limits = Limits {
        per_origin: 4,
        total: PATIENCE * 10,
        ..Limits::default()
    };
    let scene = Scene::new(limits).await;
    let hanging: Vec<_> = (0..8).map(|_| scene.somebody()).collect();
    let mut held = Vec::new();
    for (browser, to) in hanging {
        scene.service.hang(&browser);
        held.push(scene.begin_to(to, "held").0);
    }
    scene.assert_served(20).await;
    assert!(held.iter().all(|push| !push.is_finished()));
}

#[tokio::test]
async fn a_service_that_does_not_answer_gets_half_as_much() {
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
async fn a_service_that_keeps_up_gets_more_and_soon() {
    let scene = Scene::new(Limits::default()).await;
    scene.service.slow(Whom::Everyone, A_WHILE);
    scene.assert_served(1000).await;
    let congestion = scene.congestion();
    assert_eq!(congestion.limit, Limits::default().per_origin);
    assert_eq!((congestion.in_flight, congestion.waiting), (0, 0));
}

#[tokio::test]
async fn what_was_not_needed_is_not_grown() {
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
        .answer_late(Whom::Everyone, A_WHILE, busy)
        .times(START);
    scene.burst(START).await;
    let low = scene.congestion().limit;
    assert!(low <= START / 2, "{low}");
    // A limit's worth of answers for each step.
    scene.assert_served(6 * low).await;
    let grown = scene.congestion().limit;
    assert!((low + 1..=low + 6).contains(&grown), "{low} to {grown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_single_place_work_goes_on_and_in_order() {
    let scene = Scene::new(Limits::default()).await;
    scene.down_to_one_place().await;
    scene.assert_served(30).await;
    assert_eq!(scene.service.deliveries().len(), 30);
    assert!(scene.congestion().limit > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_first_is_sent_first() {
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
async fn a_busy_service_holds_up_no_other() {
    let limits = Limits {
        total: PATIENCE,
        ..Limits::default()
    };
    let busy = Scene::new(limits).await;
    busy.down_to_one_place().await;
    busy.service.hang(Whom::Everyone);
    let held: Vec<_> = (0..200).map(|_| busy.begin("held").0).collect();
    busy.until(|it| it.in_flight == 1 && it.waiting > 100).await;

    // A client trusts one authority, and plain HTTP needs none.
    let other = PushService::builder().plain().start().await;
    let other = Scene::of(other, busy.sender.clone());
    other.assert_served(300).await;
    assert_eq!(busy.congestion().limit, 1);
    assert!(busy.congestion().waiting > 0);
    assert!(other.congestion().limit > START);
    assert!(held.iter().all(|push| !push.is_finished()));
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
    let (sent, sent_begun) = scene.begin_to(to, "sent");
    scene.service.wait_for_requests(1, PATIENCE).await;
    assert!(sent_begun.is_set());

    let mut waiting = Vec::new();
    for n in 1..=3 {
        waiting.push(scene.begin("never sent"));
        scene.until(|it| it.waiting == n).await;
    }
    let (last, last_begun) = waiting.pop().expect("three wait");
    for (push, begun) in waiting {
        give_up(push).await;
        assert!(!begun.is_set());
    }
    assert_eq!(scene.congestion().waiting, 1);
    assert!(!last_begun.is_set());
    // Its place goes to the one that still waits.
    give_up(sent).await;
    let report = tokio::time::timeout(PATIENCE, last).await;
    let report = report.expect("it is its turn").expect("no panic");
    assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
    assert!(last_begun.is_set());
    assert_eq!(scene.service.requests(), 2);
    let Congestion {
        in_flight, waiting, ..
    } = scene.congestion();
    assert_eq!((in_flight, waiting), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_tried_under_another_key_stays_begun() {
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
    let (push, begun) = scene.begin("mismatched");
    scene.service.wait_for_requests(1, PATIENCE).await;
    // Whoever comes between has the only place when the other key's turn comes.
    let (between, _) = scene.begin_to(to, "between");
    scene.service.wait_for_requests(2, PATIENCE).await;
    scene.until(|it| it.waiting == 1).await;
    assert!(begun.is_set());
    give_up(push).await;
    give_up(between).await;
    assert!(begun.is_set());
    assert_eq!(scene.service.requests(), 2);
}

#[tokio::test]
async fn a_push_given_up_before_there_is_a_connection_was_never_sent() {
    // It takes connections, and says nothing on them.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("it is bound").port();
    let origin = format!("https://localhost:{port}");
    let mut scene = Scene::new(Limits::default()).await;
    scene.subscription = subscription(&scene.service.subscribe(None), &origin);

    let (push, begun) = scene.begin("never sent");
    let (_socket, _) = silent.accept().await.expect("it connects");
    assert_eq!(scene.congestion().in_flight, 1);
    give_up(push).await;
    assert!(!begun.is_set());
    assert_eq!(scene.congestion().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_long_a_service_asks_to_wait_is_known_until_it_serves_again() {
    let scene = Scene::new(Limits::default()).await;
    assert_eq!(scene.congestion().not_before, None);
    let asked = Clock::system().now();
    for seconds in ["600", "60"] {
        let busy = Canned::status(429).header("retry-after", seconds);
        scene.service.answer(Whom::Everyone, busy).times(1);
        scene.burst(1).await;
        // The longer one stands.
        let not_before = scene.congestion().not_before.expect("it asked to wait");
        let wait = not_before.duration_since(asked);
        assert!((600..660).contains(&wait.as_secs()), "{wait:?}");
    }

    // What was under way before it asked says nothing about now.
    let (slow, to) = scene.somebody();
    scene.service.slow(&slow, A_WHILE * 20);
    let (early, _) = scene.begin_to(to, "early");
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

#[test]
fn each_service_complains_in_its_own_words() {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
    let until = |seconds| Some(now + SignedDuration::from_secs(seconds));
    let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
        let of = |&(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(of).collect()
    };
    let verdict = |whose, status, pairs: &[(&'static str, &'static str)]| {
        let answer = Answer::read(whose, status, &headers(pairs), b"", now);
        Signal::of(&answer, now)
    };
    for (whose, status, pairs, said) in [
        (Whose::Mozilla, 201, &[][..], Signal::Served),
        (Whose::Mozilla, 410, &[], Signal::Served),
        (Whose::Fcm, 429, &[], Signal::Busy(None)),
        (
            Whose::Fcm,
            429,
            &[("retry-after", "30")],
            Signal::Busy(until(30)),
        ),
        (
            Whose::Mozilla,
            503,
            &[("retry-after", "Sun, 01 Mar 2026 12:02:00 GMT")],
            Signal::Busy(until(120)),
        ),
        (
            Whose::Wns,
            406,
            &[("x-wns-continue-after", "7200")],
            Signal::Busy(until(7200)),
        ),
        (Whose::Mozilla, 406, &[], Signal::Unclear),
        // One subscriber's channel, not the service.
        (
            Whose::Wns,
            200,
            &[("x-wns-status", "channelthrottled")],
            Signal::Unclear,
        ),
        (
            Whose::Wns,
            200,
            &[("x-wns-status", "dropped")],
            Signal::Unclear,
        ),
        (
            Whose::Wns,
            200,
            &[("x-wns-status", "received")],
            Signal::Served,
        ),
        (Whose::Apple, 500, &[], Signal::Unclear),
        (Whose::Apple, 403, &[], Signal::Unclear),
    ] {
        assert_eq!(verdict(whose, status, pairs), said, "{whose:?} {status}");
    }
}

type Taking = Pin<Box<dyn Future<Output = Permit>>>;

/// Everyone who uses the places of one service, one step at a time.
struct Callers {
    places: Arc<Limiter>,
    waiting: Vec<Taking>,
    holding: Vec<Permit>,
}

impl Callers {
    fn new(most: usize) -> Self {
        Self {
            places: Limiter::new(most),
            waiting: Vec::new(),
            holding: Vec::new(),
        }
    }

    fn ask(&mut self) {
        let places = Arc::clone(&self.places);
        let queue = places.congestion().waiting;
        let mut taking: Taking = Box::pin(async move { places.acquire().await });
        match poll(&mut taking) {
            Poll::Ready(place) => {
                assert_eq!(queue, 0, "nobody goes before who waits");
                self.holding.push(place);
            }
            Poll::Pending => self.waiting.push(taking),
        }
    }

    /// Everyone looks whether it is their turn.
    fn look(&mut self) {
        let mut still = Vec::new();
        for mut taking in self.waiting.drain(..) {
            match poll(&mut taking) {
                Poll::Ready(place) => {
                    assert!(still.is_empty(), "nobody goes before who waits");
                    self.holding.push(place);
                }
                Poll::Pending => still.push(taking),
            }
        }
        self.waiting = still;
    }

    fn step(&mut self, random: &Random) {
        let verdict = || match random.below(8) {
            0 => Signal::Busy(None),
            1 => Signal::Unclear,
            _ => Signal::Served,
        };
        match random.below(6) {
            0..=1 => self.ask(),
            2 => self.look(),
            3 if !self.waiting.is_empty() => {
                drop(self.waiting.remove(random.below(self.waiting.len())));
            }
            4 if !self.holding.is_empty() => {
                drop(self.holding.remove(random.below(self.holding.len())));
            }
            _ if !self.holding.is_empty() => {
                let place = self.holding.remove(random.below(self.holding.len()));
                place.report(verdict());
            }
            _ => {}
        }
    }
}

fn poll(taking: &mut Taking) -> Poll<Permit> {
    taking
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn no_place_is_lost_or_made_whatever_happens() {
    for seed in 0..200 {
        let random = Random::new(seed);
        let most = 1 + random.below(12);
        let mut callers = Callers::new(most);
        let mut before = callers.places.congestion();
        assert_eq!(before.limit, most);
        for step in 0..600 {
            callers.step(&random);
            let now = callers.places.congestion();
            let at = format!("seed {seed}, step {step}: {before:?}, then {now:?}");
            assert!((1..=most).contains(&now.limit), "{at}");
            // Above the limit only after it was lowered, and then nobody is let in.
            assert!(now.in_flight <= now.limit.max(before.in_flight), "{at}");
            assert!(now.waiting == 0 || now.in_flight >= now.limit, "{at}");
            let everyone = callers.holding.len() + callers.waiting.len();
            assert_eq!(now.in_flight + now.waiting, everyone, "{at}");
            assert!(now.in_flight >= callers.holding.len(), "{at}");
            before = now;
        }
        callers.holding.clear();
        callers.look();
        callers.waiting.clear();
        callers.holding.clear();
        let end = callers.places.congestion();
        assert_eq!((end.in_flight, end.waiting), (0, 0), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn places_survive_being_given_up_on_other_threads() {
    let places = Limiter::new(3);
    let takers: Vec<_> = (0..2000)
        .map(|n: usize| {
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                let place = places.acquire().await;
                let congestion = places.congestion();
                assert!(congestion.in_flight <= congestion.limit, "{congestion:?}");
                tokio::task::yield_now().await;
                if n.is_multiple_of(2) {
                    place.report(Signal::Served);
                }
            })
        })
        .collect();
    for taker in takers.iter().step_by(3) {
        taker.abort();
        tokio::task::yield_now().await;
    }
    for ended in join_all(takers).await {
        assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()));
    }
    let end = places.congestion();
    assert_eq!((end.limit, end.in_flight, end.waiting), (3, 0, 0));
}
