//! The test tells the push service to misbehave.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use tokio::net::TcpStream;
use webpush::Message;

use super::{PATIENCE, Scene};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Canned, Whom};
use crate::support::push_service::raw_client::{Answer, BOTH, Client};

#[tokio::test]
async fn prepared_answers_come_in_order_before_normal_service() {
    let scene = Scene::new().await;
    let busy = Canned::status(429).header("retry-after", "3").text("busy");
    scene.service.answer(Whom::Everyone, busy).times(2);
    let overloaded = Canned::autopush(503, 201, "Use exponential back-off");
    scene.service.answer(Whom::Everyone, overloaded).times(1);
    scene
        .service
        .answer(&scene.browser, Canned::status(500))
        .times(1);
    scene
        .service
        .answer(&scene.browser, Canned::status(418))
        .times(0);

    let own = scene.send(scene.request()).await;
    assert_eq!(own.status, 500);
    for _ in 0..2 {
        let answer = scene.send(scene.request()).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.headers["retry-after"], "3");
        assert_eq!(answer.read().await, "busy");
    }
    let answer = scene.send(scene.request()).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json().await["errno"], 201);
    assert!(scene.service.deliveries().is_empty());
    scene
        .assert_accepted("normal service", scene.request())
        .await;
    assert_eq!(scene.service.requests(), 5);
}

#[tokio::test]
async fn a_behaviour_lasts_until_the_test_ends_it_and_hides_no_fault() {
    let scene = Scene::new().await;
    let other = scene.service.subscribe(None);
    scene
        .service
        .redirect(&scene.browser, "https://127.0.0.1:1/elsewhere");
    for _ in 0..3 {
        let answer = scene.send(scene.request()).await;
        assert_eq!(answer.status, 307);
        assert_eq!(answer.headers["location"], "https://127.0.0.1:1/elsewhere");
    }
    let request = scene.request_to(&other, &Message::text("hello"));
    scene.assert_accepted("to another", request).await;
    let mut no_ttl = scene.request();
    no_ttl.headers_mut().remove("ttl");
    scene
        .assert_refused("no TTL", no_ttl, (400, 111, "TTL"))
        .await;
    scene.service.behave_normally();
    scene
        .assert_accepted("normal service", scene.request())
        .await;
}

#[tokio::test]
async fn a_hanging_request_hangs_until_its_client_leaves() {
    for builder in [PushService::builder(), PushService::builder().http1_only()] {
        let scene = Scene::with(builder).await;
        scene.service.hang(&scene.browser);
        let request = scene.request();
        let (service, client) = (&scene.service, scene.client);
        let hanging = tokio::spawn(async move { client.send(request).await.map(|_| ()) });
        service.wait_for_requests(1, PATIENCE).await;
        assert!(!hanging.is_finished());
        hanging.abort();
        service.wait_until_idle(PATIENCE).await;
        assert!(service.deliveries().is_empty());
    }
}

#[tokio::test]
async fn the_service_resets_a_connection_with_tcp_rst() {
    for builder in [PushService::builder(), PushService::builder().http1_only()] {
        let mut scene = Scene::with(builder).await;
        scene.service.reset(&scene.browser).times(1);
        scene.service.lose_answer(&scene.browser).times(1);
        for delivered in [0, 1] {
            let error = scene.client.send(scene.request()).await.map(|_| ());
            assert_reset(&error.expect_err("there is no answer"));
            assert_eq!(scene.service.deliveries().len(), delivered);
            scene.client = Client::connect(&scene.service, BOTH)
                .await
                .expect("it listens");
        }
        scene
            .assert_accepted("normal service", scene.request())
            .await;
        assert_eq!(scene.service.connections(), 3);
    }
}

fn assert_reset(error: &(dyn std::error::Error + 'static)) {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let reset = causes.any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionReset)
    });
    assert!(reset, "{error:?}");
}

#[tokio::test]
async fn all_open_connections_can_be_reset() {
    let scene = Scene::new().await;
    scene.service.hang(Whom::Everyone);
    let both = async {
        scene.service.wait_for_requests(1, PATIENCE).await;
        scene.service.reset_connections();
    };
    let (answer, ()) = tokio::join!(scene.client.send(scene.request()), both);
    assert_reset(&answer.map(|_| ()).expect_err("there is no answer"));
    scene.service.wait_until_idle(PATIENCE).await;
}

#[tokio::test]
async fn a_service_that_goes_away_loses_no_request_and_makes_clients_reconnect() {
    for builder in [PushService::builder(), PushService::builder().http1_only()] {
        let mut scene = Scene::with(builder).await;
        scene
            .service
            .slow(&scene.browser, Duration::from_millis(100));
        let leave = async {
            scene.service.wait_for_requests(1, PATIENCE).await;
            scene.service.go_away().await;
        };
        let (answer, ()) = tokio::join!(scene.client.send(scene.request()), leave);
        assert_eq!(answer.map(|answer| answer.status).ok(), Some(201));
        assert_eq!(scene.service.open_connections(), 0);
        assert!(scene.client.send(scene.request()).await.is_err());

        scene.client = Client::connect(&scene.service, BOTH)
            .await
            .expect("it listens");
        assert_eq!(scene.send(scene.request()).await.status, 201);
        let deliveries = scene.service.wait_for(2, PATIENCE).await;
        assert_eq!(
            deliveries.iter().map(|d| d.connection).collect::<Vec<_>>(),
            [0, 1]
        );
    }
}

#[tokio::test]
async fn slow_requests_are_served_together_up_to_the_limit() {
    let scene = Scene::with(PushService::builder().max_streams(3)).await;
    let delay = Duration::from_millis(100);
    scene.service.slow(Whom::Everyone, delay);
    let started = Instant::now();
    // The client learns the limit from the first answer.
    assert_eq!(scene.send(scene.request()).await.status, 201);
    let answers = join_all((0..9).map(|_| scene.send(scene.request()))).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert_eq!(scene.service.peak_in_flight(), 3);
    let deliveries = scene.service.wait_for(10, PATIENCE).await;
    assert!(deliveries[0].at >= started + delay);
    assert!(deliveries[9].at >= started + 4 * delay);
}

#[tokio::test]
async fn a_dripping_body_does_not_end() {
    let scene = Scene::new().await;
    scene
        .service
        .drip(&scene.browser, StatusCode::BAD_GATEWAY)
        .times(1);
    scene
        .service
        .drip(&scene.browser, StatusCode::CREATED)
        .times(1);
    for (status, delivered) in [(502, 0), (201, 1)] {
        let mut answer = scene.send(scene.request()).await;
        assert_eq!(answer.status, status);
        let first = answer.body.frame().await.expect("a frame").expect("whole");
        assert_eq!(first.into_data().expect("data"), ".");
        assert!(!hyper::body::Body::is_end_stream(&answer.body));
        assert_eq!(scene.service.deliveries().len(), delivered);
    }
}

#[tokio::test]
async fn a_huge_answer_has_a_body_of_10_mb() {
    let scene = Scene::new().await;
    scene
        .service
        .huge(&scene.browser, StatusCode::CREATED)
        .times(1);
    scene
        .service
        .huge(&scene.browser, StatusCode::BAD_REQUEST)
        .times(1);
    let answer = scene.send(scene.request()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.read().await.len(), 10_000_000);
    let answer = scene.send(scene.request()).await;
    assert_eq!(answer.status, 400);
    assert!(Limited::new(answer.body, 65_536).collect().await.is_err());
    assert_eq!(scene.service.deliveries().len(), 1);
}

#[tokio::test]
async fn dropping_the_service_ends_it() {
    let scene = Scene::new().await;
    let (client, service) = (scene.client, scene.service);
    let browser = service.subscribe(None);
    service.hang(&browser);
    let origin = service.origin();
    drop(service);
    let request = Request::post(browser.endpoint()).body(Bytes::new());
    assert!(client.send(request.expect("a request")).await.is_err());
    let authority = origin.strip_prefix("https://").expect("https");
    assert!(TcpStream::connect(authority).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_counts_many_requests_at_once() {
    let mut scene = Scene::new().await;
    let browsers = [(); 20].map(|()| scene.service.subscribe(None));
    for connection in 1..=4 {
        let sends = (0..100).map(|n| {
            let message = Message::text(format!("{connection}/{n}"));
            scene.send(scene.request_to(&browsers[n % 20], &message))
        });
        let answers: Vec<Answer> = join_all(sends).await;
        assert!(answers.iter().all(|answer| answer.status == 201));
        let client = Client::connect(&scene.service, BOTH).await;
        scene.client = client.expect("it listens");
    }
    let texts = scene.service.deliveries().into_iter().map(|d| d.text);
    let different: HashSet<_> = texts.collect();
    assert_eq!(different.len(), 400);
    assert_eq!(scene.service.requests(), 400);
    assert_eq!(scene.service.connections(), 5);
    for browser in &browsers {
        assert_eq!(scene.service.deliveries_to(browser).len(), 20);
    }
    scene.service.wait_until_idle(PATIENCE).await;
}
