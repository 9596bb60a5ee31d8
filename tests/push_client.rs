use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, StatusCode, Version};
use pushcast::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use webpush::{AllowList, Keyring, Message, Origin, Outcome, Subscription, VapidKey};
use webpush::{Client, Limits, Pusher, Report};

use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Canned, Whom};
use crate::support::push_service::listener::Builder;
use crate::support::random::Random;
use crate::support::subscribers::browser::Browser;

/// Much longer than any push here takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn pusher(limits: Limits, service: Option<&PushService>) -> Pusher {
    let client = Client::new(limits, service.map(PushService::ca_file));
    let keyring = Keyring::new(VapidKey::generate().expect("randomness"), vec![], None);
    Pusher::new(client.expect("it can be made"), keyring, Clock::system())
}

/// The subscription of `browser`, moved to `origin`.
fn at(origin: &str, browser: &Browser) -> Subscription {
    let mut json = browser.to_json();
    json["endpoint"] = format!("{origin}/wpush/v2/{}", browser.id()).into();
    let allowed = AllowList::new([Origin::parse(origin).expect("an origin")]);
    Subscription::from_json(&json.to_string(), &allowed).expect("it is good")
}

/// A push service, one of its subscribers, and a client.
struct Scene {
    service: PushService,
    browser: Browser,
    subscription: Subscription,
    pusher: Pusher,
}

impl Scene {
    async fn new(builder: Builder, limits: Limits) -> Self {
        let service = builder.start().await;
        let browser = service.subscribe(None);
        Self {
            subscription: at(&service.origin(), &browser),
            pusher: pusher(limits, Some(&service)),
            browser,
            service,
        }
    }

    async fn push(&self, text: &str) -> Report {
        let message = Message::text(text);
        let push = self.pusher.push(&self.subscription, &message);
        let report = tokio::time::timeout(PATIENCE, push).await;
        report.expect("every push ends")
    }

    async fn burst(&self, texts: impl IntoIterator<Item = String>) -> Vec<Report> {
        let pushes = texts.into_iter().map(async |text| self.push(&text).await);
        join_all(pushes).await
    }

    async fn assert_accepted(&self, text: &str) {
        let report = self.push(text).await;
        assert_eq!(*report.outcome(), Outcome::Accepted, "{text}: {report:?}");
    }

    /// Each of `texts` was delivered once, and nothing else was.
    fn assert_delivered(&self, texts: impl IntoIterator<Item = String>) {
        let mut delivered: Vec<String> = self.service.deliveries().iter().map(text).collect();
        let mut expected: Vec<String> = texts.into_iter().collect();
        delivered.sort();
        expected.sort();
        assert_eq!(delivered, expected, "{:?}", self.service);
    }

    /// Fails if any permit is still taken: `permits` requests must fit in flight again.
    async fn assert_every_permit_is_free(&self, permits: usize) {
        self.service.wait_until_idle(PATIENCE).await;
        self.service.behave_normally();
        let asked = self.service.requests();
        self.service.hang(Whom::Everyone).times(permits);
        let hanging: Vec<JoinHandle<_>> = (0..permits)
            .map(|_| {
                let (pusher, subscription) = (self.pusher.clone(), self.subscription.clone());
                let message = Message::text("hanging");
                tokio::spawn(async move { pusher.push(&subscription, &message).await })
            })
            .collect();
        self.service
            .wait_for_requests(asked + permits, PATIENCE)
            .await;
        for push in hanging {
            push.abort();
        }
        self.service.wait_until_idle(PATIENCE).await;
        // A request that the client dropped before the service read it has not used up its prepared answer.
        self.service.behave_normally();
        self.assert_accepted("after all").await;
    }
}

fn text(delivery: &crate::support::push_service::Delivery) -> String {
    String::from_utf8(delivery.text.clone()).expect("text")
}

fn numbered(n: usize) -> impl Iterator<Item = String> + Clone {
    (0..n).map(|n| format!("message {n}"))
}

fn all_protocols() -> [(Builder, Version); 3] {
    [
        (PushService::builder(), Version::HTTP_2),
        (PushService::builder().http1_only(), Version::HTTP_11),
        (PushService::builder().plain(), Version::HTTP_11),
    ]
}

fn both_versions() -> [Builder; 2] {
    [
        PushService::builder().http2_only(),
        PushService::builder().http1_only(),
    ]
}

/// Waits until the client has noticed the connections that the service closed.
async fn wait_until_noticed(service: &PushService) {
    while service.open_connections() > 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn the_client_speaks_every_http_version_and_reuses_its_connection() {
    for (builder, version) in all_protocols() {
        let scene = Scene::new(builder, Limits::default()).await;
        for text in numbered(3) {
            scene.assert_accepted(&text).await;
        }
        scene.assert_delivered(numbered(3));
        for delivery in scene.service.deliveries() {
            assert_eq!((delivery.http_version, delivery.connection), (version, 0));
        }
        assert_eq!(scene.service.connections(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_at_the_start_opens_one_connection() {
    let scene = Scene::new(PushService::builder(), Limits::default()).await;
    for report in scene.burst(numbered(100)).await {
        assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
    }
    scene.assert_delivered(numbered(100));
    assert_eq!(scene.service.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_pushes_share_a_few_connections_and_each_arrives_once() {
    let builder = PushService::builder().max_streams(100);
    let limits = Limits::default();
    let scene = Scene::new(builder, limits).await;
    for report in scene.burst(numbered(1000)).await {
        assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
    }
    scene.assert_delivered(numbered(1000));
    assert!(scene.service.connections() <= limits.http2_connections);
    assert!(scene.service.peak_in_flight() <= limits.per_origin);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_service_gets_more_connections_and_no_more_than_its_limits() {
    let limits = Limits {
        per_origin: 70,
        http2_connections: 3,
        ..Limits::default()
    };
    // First 3 connections of 20 streams: 60 streams for 70 permits. Then more streams than permits.
    for (streams, peak, connections) in [(20, 60, 3), (50, 70, 2)] {
        let builder = PushService::builder().max_streams(streams);
        let scene = Scene::new(builder, limits).await;
        // On a busy machine, too, no answer comes before all permitted requests are in flight.
        let slowness = Duration::from_millis(1_500);
        scene.service.slow(Whom::Everyone, slowness);
        for report in scene.burst(numbered(140)).await {
            assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
        }
        assert_eq!(scene.service.peak_in_flight(), peak, "{streams} streams");
        assert_eq!(scene.service.connections(), connections);
        scene.assert_delivered(numbered(140));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_reuses_a_few_http1_connections() {
    for builder in [
        PushService::builder().http1_only(),
        PushService::builder().plain(),
    ] {
        let limits = Limits {
            http1_connections: 5,
            ..Limits::default()
        };
        let scene = Scene::new(builder, limits).await;
        scene
            .service
            .slow(Whom::Everyone, Duration::from_millis(20));
        for report in scene.burst(numbered(60)).await {
            assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
        }
        scene.assert_delivered(numbered(60));
        assert_eq!(scene.service.peak_in_flight(), 5);
        assert_eq!(scene.service.connections(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_http1_connection_serves_every_waiting_push() {
    let limits = Limits {
        http1_connections: 1,
        ..Limits::default()
    };
    for _ in 0..20 {
        let scene = Scene::new(PushService::builder().plain(), limits).await;
        for report in scene.burst(numbered(10)).await {
            assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
        }
        assert_eq!(scene.service.connections(), 1);
    }
}

fn short_limits() -> Limits {
    Limits {
        connect: Duration::from_millis(400),
        total: Duration::from_millis(400),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_hanging_service_costs_one_timeout_and_the_next_push_works() {
    for builder in both_versions() {
        let scene = Scene::new(builder, short_limits()).await;
        scene.service.hang(Whom::Everyone).times(1);
        let started = Instant::now();
        let report = scene.push("hanging").await;
        assert_eq!(*report.outcome(), Outcome::Unreachable, "{report:?}");
        assert!(started.elapsed() >= short_limits().total);
        let why = report.detail().expect("it says why");
        assert!(why.contains("in time"), "{why}");
        scene.assert_accepted("next").await;
        scene.assert_delivered(["next".to_owned()]);
    }
}

/// The reason in the report of a push to `origin`.
async fn failure_reason(origin: &str, limits: Limits, trusted: Option<&PushService>) -> String {
    let browser = Browser::new("somebody".to_owned(), format!("{origin}/somebody"));
    let pusher = pusher(limits, trusted);
    let subscription = at(origin, &browser);
    let message = Message::text("anyone?");
    let push = pusher.push(&subscription, &message);
    let report = tokio::time::timeout(PATIENCE, push).await.expect("it ends");
    assert_eq!(*report.outcome(), Outcome::Unreachable, "{report:?}");
    assert_eq!(report.status(), None);
    report.detail().expect("it says why")
}

async fn loopback() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

#[tokio::test]
async fn each_reason_of_a_failed_connection_is_reported_differently() {
    let (silent, address) = loopback().await;
    let _accepting = tokio::spawn(async move {
        let mut sockets = Vec::new();
        while let Ok((socket, _)) = silent.accept().await {
            sockets.push(socket);
        }
    });
    let origin = format!("https://localhost:{}", address.port());
    let why = failure_reason(&origin, short_limits(), None).await;
    assert!(why.contains("accept a connection in time"), "{why}");

    let (nobody, address) = loopback().await;
    drop(nobody);
    let origin = format!("https://localhost:{}", address.port());
    let why = failure_reason(&origin, short_limits(), None).await;
    assert!(why.contains("cannot be reached"), "{why}");

    let why = failure_reason("https://push.pushcast.invalid", Limits::default(), None).await;
    assert!(why.contains("cannot be reached"), "{why}");

    let service = PushService::start().await;
    let stranger = PushService::start().await;
    // The certificate is for 127.0.0.1, and not for this address.
    let other = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).await;
    let other = other.expect("all of 127/8 is this machine");
    let elsewhere = format!("https://{}", other.local_addr().expect("it is bound"));
    let port = service.origin().rsplit(':').next().map(str::to_owned);
    let _relaying = tokio::spawn(async move {
        let address = format!("127.0.0.1:{}", port.expect("a port"));
        while let Ok((mut client, _)) = other.accept().await {
            let mut server = TcpStream::connect(&address).await.expect("it listens");
            // Ends when the client closes the connection.
            copy_bidirectional(&mut client, &mut server).await.ok();
        }
    });
    for (origin, trusted) in [
        (service.origin(), None),
        (service.origin(), Some(&stranger)),
        (elsewhere, Some(&service)),
    ] {
        let why = failure_reason(&origin, Limits::default(), trusted).await;
        assert!(why.contains("TLS"), "{why}");
    }
    assert_eq!(service.requests(), 0);
}

#[tokio::test]
async fn a_push_whose_connection_is_reset_is_not_sent_again() {
    for builder in both_versions() {
        let scene = Scene::new(builder, Limits::default()).await;
        scene.service.reset(Whom::Everyone).times(1);
        let report = scene.push("reset").await;
        assert_eq!(*report.outcome(), Outcome::Unreachable, "{report:?}");
        scene.service.lose_answer(Whom::Everyone).times(1);
        let report = scene.push("delivered").await;
        assert_eq!(*report.outcome(), Outcome::Unreachable, "{report:?}");
        scene.assert_accepted("next").await;
        scene.assert_delivered(["delivered", "next"].map(str::to_owned));
        assert_eq!(scene.service.requests(), 3);
    }
}

/// A plain HTTP/1.1 server that reads a request, writes `answer` and closes.
async fn answering(answer: &'static str) -> (String, JoinHandle<()>) {
    let (listener, address) = loopback().await;
    let serving = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            // A single read holds the small request. The client notices if reading or writing fails.
            let _read = socket.read(&mut request).await;
            socket.write_all(answer.as_bytes()).await.ok();
        }
    });
    (format!("http://localhost:{}", address.port()), serving)
}

#[tokio::test]
async fn a_truncated_answer_counts_only_with_a_success_status() {
    for (answer, outcome) in [
        ("", Outcome::Unreachable),
        ("HTTP/1.1 201 Cre", Outcome::Unreachable),
        ("nonsense\r\n\r\n", Outcome::Unreachable),
        (
            "HTTP/1.1 410 Gone\r\ncontent-length: 10\r\n\r\nhalf",
            Outcome::Unreachable,
        ),
        (
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 10\r\n\r\nhalf",
            Outcome::Unreachable,
        ),
        (
            "HTTP/1.1 201 Created\r\ncontent-length: 10\r\n\r\nhalf",
            Outcome::Accepted,
        ),
        (
            "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
            Outcome::Accepted,
        ),
    ] {
        let (origin, serving) = answering(answer).await;
        let browser = Browser::new("somebody".to_owned(), format!("{origin}/somebody"));
        let pusher = pusher(Limits::default(), None);
        let message = Message::text("hello");
        let report = pusher.push(&at(&origin, &browser), &message).await;
        assert_eq!(*report.outcome(), outcome, "{answer}: {report:?}");
        serving.abort();
    }
}

#[tokio::test]
async fn a_dripping_answer_ends_at_the_timeout() {
    for builder in both_versions() {
        let scene = Scene::new(builder, short_limits()).await;
        let drip = |status| scene.service.drip(Whom::Everyone, status).times(1);
        for (status, outcome) in [
            (StatusCode::SERVICE_UNAVAILABLE, Outcome::Unreachable),
            (StatusCode::GONE, Outcome::Unreachable),
            (StatusCode::CREATED, Outcome::Accepted),
        ] {
            drip(status);
            let started = Instant::now();
            let report = scene.push("dripping").await;
            assert_eq!(*report.outcome(), outcome, "{status}: {report:?}");
            assert!(started.elapsed() >= short_limits().total);
        }
        scene.assert_accepted("next").await;
        scene.assert_delivered(["dripping", "next"].map(str::to_owned));
    }
}

#[tokio::test]
async fn the_client_reports_a_redirect_and_does_not_follow_it() {
    let target = PushService::start().await;
    let scene = Scene::new(PushService::builder(), Limits::default()).await;
    let location = format!("{}/wpush/v2/{}", target.origin(), scene.browser.id());
    scene.service.redirect(Whom::Everyone, &location);
    let report = scene.push("where to?").await;
    assert_eq!(*report.outcome(), Outcome::Refused);
    assert_eq!(report.status(), Some(307));
    assert_eq!((target.connections(), target.requests()), (0, 0));
    assert_eq!(scene.service.requests(), 1);
}

#[tokio::test]
async fn a_huge_answer_is_cut_off_and_the_next_push_works() {
    for (builder, is_http2) in [
        (PushService::builder().http2_only(), true),
        (PushService::builder().http1_only(), false),
    ] {
        let limits = Limits::default();
        let scene = Scene::new(builder, limits).await;
        let origin = scene.subscription.endpoint.origin();
        let client = Client::new(limits, Some(scene.service.ca_file())).expect("a client");
        // Together the answers exceed the flow-control window of one connection, unless the client gives the window
        // back.
        for round in 0..4 {
            let report = {
                scene
                    .service
                    .huge(Whom::Everyone, StatusCode::CREATED)
                    .times(1);
                scene.push(&format!("huge {round}")).await
            };
            assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
            let words = report.detail().expect("the service's words");
            assert_eq!(words.len(), 200);
            scene.assert_accepted(&format!("next {round}")).await;
        }
        assert_eq!(scene.service.deliveries().len(), 8);
        assert_eq!(is_http2, scene.service.connections() == 1);

        // A body within the limit is complete, and the first byte beyond the limit is cut off.
        for (size, read) in [
            (0, 0),
            (limits.body, limits.body),
            (limits.body + 1, limits.body),
        ] {
            let canned = Canned::status(400).text(vec![b'x'; size]);
            scene.service.answer(Whom::Everyone, canned).times(1);
            let request = webpush::build_request(
                &scene.subscription,
                &Message::text("hello"),
                &webpush::Vapid::new(VapidKey::generate().expect("randomness"), None),
                Clock::system().now(),
            );
            let answer = client.exchange(origin, request.expect("it is built")).await;
            assert_eq!(answer.expect("an answer").body.len(), read);
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_between_two_pushes_costs_no_push() {
    for builder in both_versions() {
        let scene = Scene::new(builder, Limits::default()).await;
        let texts: Vec<String> = numbered(8).collect();
        for (round, text) in texts.iter().enumerate() {
            scene.assert_accepted(text).await;
            if round % 2 == 0 {
                scene.service.go_away().await;
            } else {
                scene.service.reset_connections();
            }
            wait_until_noticed(&scene.service).await;
        }
        scene.assert_delivered(texts);
        assert_eq!(scene.service.connections(), 8);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_while_the_service_goes_away_is_delivered_once() {
    let builder = PushService::builder().http2_only().max_streams(100);
    let scene = Scene::new(builder, Limits::default()).await;
    scene.service.slow(Whom::Everyone, Duration::from_millis(3));
    let going = async {
        for n in 1..6 {
            scene.service.wait_for_requests(n * 60, PATIENCE).await;
            scene.service.go_away().await;
        }
    };
    let pushing = async {
        let mut reports = Vec::new();
        // Never more at once than one connection has streams: a connection that ends loses the requests that wait
        // inside it.
        for chunk in numbered(400).collect::<Vec<_>>().chunks(50) {
            reports.extend(scene.burst(chunk.iter().cloned()).await);
        }
        reports
    };
    let (reports, ()) = tokio::join!(pushing, going);
    for report in &reports {
        assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
    }
    scene.assert_delivered(numbered(400));
    assert!(scene.service.connections() > 3);
}

#[tokio::test]
async fn a_push_survives_when_every_connection_is_about_to_close() {
    let limits = Limits {
        http2_connections: 6,
        ..Limits::default()
    };
    let builder = PushService::builder().http2_only().max_streams(2);
    let scene = Scene::new(builder, limits).await;
    // One request hangs on each connection, so that no connection can close immediately.
    scene
        .service
        .slow(Whom::Everyone, Duration::from_millis(600));
    let slow: Vec<_> = (0..12)
        .map(|n| {
            let (pusher, subscription) = (scene.pusher.clone(), scene.subscription.clone());
            let message = Message::text(format!("message {n}"));
            tokio::spawn(async move { pusher.push(&subscription, &message).await })
        })
        .collect();
    scene.service.wait_for_requests(12, PATIENCE).await;
    assert_eq!(scene.service.connections(), 6);
    // Dropping half of the requests leaves each connection one free stream.
    for push in slow.iter().step_by(2) {
        push.abort();
    }
    scene.service.behave_normally();
    let (closed, report) = tokio::join!(scene.service.go_away(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        scene.push("late").await
    });
    let () = closed;
    assert_eq!(*report.outcome(), Outcome::Accepted, "{report:?}");
}

#[tokio::test]
async fn a_dead_origin_delays_no_other() {
    let limits = Limits {
        per_origin: 4,
        total: Duration::from_secs(20),
        ..Limits::default()
    };
    let scene = Scene::new(PushService::builder(), limits).await;
    let (silent, address) = loopback().await;
    let dead = format!("http://localhost:{}", address.port());
    let subscription = at(&dead, &scene.browser);
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let (pusher, subscription) = (scene.pusher.clone(), subscription.clone());
            let message = Message::text("lost");
            tokio::spawn(async move { pusher.push(&subscription, &message).await })
        })
        .collect();
    let started = Instant::now();
    for text in numbered(20) {
        scene.assert_accepted(&text).await;
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(waiting.iter().all(|push| !push.is_finished()));
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_dropped_at_any_moment_returns_its_permit() {
    for (seed, builder) in both_versions().into_iter().enumerate() {
        let random = Random::new(seed.try_into().expect("small"));
        let limits = Limits {
            per_origin: 30,
            http2_connections: 2,
            http1_connections: 30,
            ..Limits::default()
        };
        let scene = Scene::new(builder.max_streams(15), limits).await;
        scene.service.slow(Whom::Everyone, Duration::from_millis(4));
        let moments = (0..400).map(|_| Duration::from_micros(random.below(30_000) as u64));
        let pushes = moments.map(async |moment| {
            let push = scene.push("perhaps");
            tokio::time::timeout(moment, push).await.is_ok()
        });
        let ended = join_all(pushes).await;
        assert!(ended.iter().any(|ended| !ended), "some were given up");
        scene.assert_every_permit_is_free(30).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_connection_fails_all_pushes_that_wait_and_the_next_push_connects_again() {
    for plain in [true, false] {
        let builder = || {
            if plain {
                PushService::builder().plain()
            } else {
                PushService::builder()
            }
        };
        let scene = Scene::new(builder(), Limits::default()).await;
        scene.assert_accepted("before").await;
        let origin = scene.service.origin();
        let port = origin.rsplit(':').next().expect("a port").to_owned();
        let Scene {
            service,
            subscription,
            pusher,
            ..
        } = scene;
        drop(service);
        let started = Instant::now();
        let message = Message::text("anyone?");
        for _ in 0..3 {
            let pushes = (0..60).map(|_| pusher.push(&subscription, &message));
            let reports = tokio::time::timeout(PATIENCE, join_all(pushes)).await;
            for report in reports.expect("all are told") {
                assert_eq!(*report.outcome(), Outcome::Unreachable, "{report:?}");
            }
        }
        assert!(started.elapsed() < Duration::from_secs(5));

        // The push service is back on the same port and answers.
        let address = format!("127.0.0.1:{port}");
        let back = TcpListener::bind(&address).await.expect("the port is free");
        let answered = tokio::spawn(async move { back.accept().await.is_ok() });
        let pushing = tokio::spawn(async move { pusher.push(&subscription, &message).await });
        let connected = tokio::time::timeout(PATIENCE, answered).await;
        assert!(connected.expect("it is tried").expect("no panic"));
        pushing.abort();
    }
}

#[tokio::test]
async fn the_client_sends_its_user_agent_and_uses_the_given_uri() {
    let (listener, address) = loopback().await;
    let origin = Origin::parse(&format!("http://localhost:{}", address.port())).expect("one");
    let client = Client::new(Limits::default(), None).expect("a client");
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{origin}/a/b?c=d"))
        .body(Bytes::from_static(b"body"))
        .expect("a request");
    let reading = async {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut read = Vec::new();
        while !read.ends_with(b"body") {
            socket.read_buf(&mut read).await.expect("a request");
        }
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok";
        socket.write_all(answer).await.expect("it reads");
        String::from_utf8(read).expect("text")
    };
    let (read, answer) = tokio::join!(reading, client.exchange(&origin, request));
    let answer = answer.expect("an answer");
    assert_eq!(
        (answer.status, &answer.body[..]),
        (StatusCode::ACCEPTED, &b"ok"[..])
    );
    let lines: HashSet<&str> = read.split("\r\n").collect();
    let host = format!("host: localhost:{}", address.port());
    for line in ["POST /a/b?c=d HTTP/1.1", &host, "content-length: 4"] {
        assert!(lines.contains(line), "{line}: {read}");
    }
    assert!(read.contains("user-agent: webpush/"), "{read}");
}
