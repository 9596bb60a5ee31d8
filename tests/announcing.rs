use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_eventbridge::config::retry::RetryConfig;
use aws_sdk_eventbridge::config::{Credentials, Region};
use aws_sdk_eventbridge::{Client, Config};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use pushcast::announce::{AnnounceError, Announcer};
use pushcast::aws::behavior_version;
use pushcast::broadcast::{Broadcast, BroadcastError};
use pushcast::campaign::CampaignId;
use pushcast::clock::{Chance, Clock};
use pushcast::problem::Problem;
use pushcast::queue::LocalQueue;
use pushcast::store::Store;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::program::Server;
use crate::support::push_service::PushService;

const PATIENCE: Duration = Duration::from_secs(60);

/// EventBridge at the level of HTTP: it gives prepared answers in order and keeps the entries that it took.
#[derive(Default)]
struct FakeEventBridge {
    answers: VecDeque<(u16, Value)>,
    taken: Vec<Value>,
}

type Shared = Arc<Mutex<FakeEventBridge>>;

async fn put(State(eventbridge): State<Shared>, headers: HeaderMap, body: String) -> Response {
    assert_eq!(headers["x-amz-target"], "AWSEvents.PutEvents");
    let asked: Value = serde_json::from_str(&body).expect("JSON");
    let entries = asked["Entries"].as_array().expect("entries").clone();
    assert_eq!(entries.len(), 1);
    let mut eventbridge = eventbridge.lock().unwrap();
    let (status, answer) = eventbridge.answers.pop_front().unwrap_or_else(|| {
        let taken = json!({"FailedEntryCount": 0, "Entries": [{"EventId": "e"}]});
        (200, taken)
    });
    if status == 200 && answer["FailedEntryCount"] == 0 {
        eventbridge.taken.extend(entries);
    }
    let kind = [("content-type", "application/x-amz-json-1.1")];
    (StatusCode::from_u16(status).unwrap(), kind, Json(answer)).into_response()
}

impl FakeEventBridge {
    /// Starts an EventBridge that gives `answers` first, and a campaign service that announces to it.
    async fn start(
        bus: Option<&str>,
        answers: impl IntoIterator<Item = (u16, Value)>,
    ) -> (Shared, Broadcast<LocalQueue>) {
        let eventbridge = Shared::default();
        eventbridge.lock().unwrap().answers.extend(answers);
        let app = Router::new()
            .route("/", post(put))
            .with_state(Arc::clone(&eventbridge));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        let config = Config::builder()
            .behavior_version(behavior_version())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(url);
        let announcer = Announcer::EventBridge {
            client: Client::from_conf(config.build()),
            bus: bus.map(str::to_owned),
        };
        let broadcast = Broadcast {
            store: Store::open(None, Chance::system()).await.unwrap(),
            queue: LocalQueue::default(),
            announcer: Arc::new(announcer),
            clock: Clock::system(),
            chance: Chance::system(),
            metrics: pushcast::telemetry::metrics::Metrics::off(),
            most_segments: 1,
        };
        (eventbridge, broadcast)
    }
}

async fn started(broadcast: &Broadcast<LocalQueue>) -> CampaignId {
    let message = json!({"to": {"audience": "news"}, "data": "secret", "id": "c"});
    broadcast.handle(&message, "").await.unwrap().id
}

#[tokio::test]
async fn the_end_of_a_campaign_is_put_on_the_event_bus_as_the_api_shows_it() {
    let (eventbridge, broadcast) = FakeEventBridge::start(Some("announcements"), []).await;
    let id = started(&broadcast).await;
    broadcast.cancel(&id).await.unwrap();
    let taken = eventbridge.lock().unwrap().taken.clone();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0]["Source"], "pushcast");
    assert_eq!(taken[0]["DetailType"], "pushcast.campaign");
    assert_eq!(taken[0]["EventBusName"], "announcements");
    let detail: Value = serde_json::from_str(taken[0]["Detail"].as_str().unwrap()).unwrap();
    let campaign = broadcast.store.ledger.campaign(&id).await.unwrap().unwrap();
    assert_eq!(detail, broadcast.view(&campaign).await.unwrap());
    assert_eq!(detail["status"], "cancelled");
    assert!(!detail.to_string().contains("secret"), "{detail}");
}

#[tokio::test]
async fn without_a_configured_bus_the_event_goes_to_the_account_s_default_bus() {
    let (eventbridge, broadcast) = FakeEventBridge::start(None, []).await;
    let id = started(&broadcast).await;
    let campaign = broadcast.store.ledger.campaign(&id).await.unwrap();
    let campaign = campaign.expect("it is there");
    broadcast.halt(&campaign, "the key is wrong").await.unwrap();
    let taken = eventbridge.lock().unwrap().taken.clone();
    assert_eq!(taken[0]["EventBusName"], Value::Null);
    let detail: Value = serde_json::from_str(taken[0]["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(detail["status"], "halted");
    assert_eq!(detail["reason"], "the key is wrong");
}

#[tokio::test]
async fn an_event_that_eventbridge_refuses_is_sent_again_and_one_that_it_takes_is_not() {
    let refused = json!({
        "FailedEntryCount": 1,
        "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "Slow down."}],
    });
    let nameless = json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]});
    let failed = json!({"__type": "InternalException", "message": "oh"});
    let answers = [(200, refused), (200, nameless), (500, failed)];
    let (eventbridge, broadcast) = FakeEventBridge::start(None, answers).await;
    let id = started(&broadcast).await;
    for why in [Some("Slow down."), Some("InternalFailure"), None] {
        let error = broadcast.cancel(&id).await.unwrap_err();
        match (&error, why) {
            (BroadcastError::Announce(AnnounceError::Refused(said)), Some(why)) => {
                assert_eq!(said, why);
            }
            (BroadcastError::Announce(AnnounceError::Put(_)), None) => {}
            (error, _) => panic!("{error:?} instead of {why:?}"),
        }
        let problem = Problem::from(error);
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(eventbridge.lock().unwrap().taken.len(), 0);
    for _ in 0..3 {
        broadcast.cancel(&id).await.unwrap();
        broadcast.finish(&id).await.unwrap();
    }
    assert_eq!(eventbridge.lock().unwrap().taken.len(), 1);
}

#[tokio::test]
async fn a_campaign_that_is_resumed_and_ends_again_is_announced_again() {
    let (eventbridge, broadcast) = FakeEventBridge::start(None, []).await;
    let id = started(&broadcast).await;
    broadcast.cancel(&id).await.unwrap();
    broadcast.resume(&id).await.unwrap();
    broadcast.cancel(&id).await.unwrap();
    assert_eq!(eventbridge.lock().unwrap().taken.len(), 2);
}

#[tokio::test]
async fn serve_announces_the_end_of_a_campaign_in_its_log() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    let message = json!({"to": {"audience": "all"}, "data": "secret", "id": "logged-1"});
    let id = server.broadcast(&message).await;
    server.done(&id, PATIENCE).await;
    assert!(server.interrupt().await);
    let log = server.output_and_log().await;
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("pushcast.campaign"))
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    for said in ["logged-1", "done", "accepted"] {
        assert!(told[0].contains(said), "{said} in {}", told[0]);
    }
    assert!(!log.contains("secret"), "{log}");
}
