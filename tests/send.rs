use std::process::Stdio;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use webpush::{VapidKey, base64url};

use crate::support::program::api_client::Backend;
use crate::support::program::{Server, environment_of, program};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::Canned;
use crate::support::subscribers::browser::Browser;
use crate::support::waiting::PATIENCE;

/// A server, its push service, and the VAPID key that pages subscribe with.
struct Scene {
    service: PushService,
    server: Server,
    key: Vec<u8>,
}

impl Scene {
    async fn new() -> Self {
        let service = PushService::start().await;
        let server = Server::start(&service).await;
        let key = server.public_key().await;
        Self {
            service,
            server,
            key,
        }
    }

    async fn subscribe(&self) -> Browser {
        let browser = self.service.subscribe(Some(&self.key));
        let subscribed = self
            .server
            .post("/push/subscribe", &browser.to_json())
            .await;
        assert_eq!(subscribed.status, StatusCode::OK, "{subscribed:?}");
        browser
    }

    /// Sends to `browser` and returns the only result.
    async fn send(&self, browser: &Browser) -> Value {
        let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "hello"});
        let sent = self.server.post_with_token("/push/send", &message).await;
        assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
        assert_eq!(sent.json["results"].as_array().map(Vec::len), Some(1));
        sent.json["results"][0].clone()
    }

    async fn is_subscribed(&self, browser: &Browser) -> bool {
        let before = self.count().await;
        let again = self
            .server
            .post("/push/subscribe", &browser.to_json())
            .await;
        let after = again.json["count"].as_u64().expect("a count");
        assert!(after - before <= 1);
        after == before
    }

    async fn count(&self) -> u64 {
        count(&self.server, &self.service).await
    }
}

async fn count(server: &Server, service: &PushService) -> u64 {
    let nobody = json!({"endpoint": format!("{}/wpush/v2/nobody", service.origin())});
    let answer = server.post("/push/unsubscribe", &nobody).await;
    answer.json["count"].as_u64().expect("a count")
}

/// Imports these lines while the server runs. Returns the error message if a line is refused.
async fn import(server: &Server, environment: &[(&str, String)], lines: &[Value]) {
    let data = server.data().display().to_string();
    let mut command = program(&["subscriptions", "--data", &data, "import"]);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    for line in lines {
        let line = format!("{line}\n");
        input.write_all(line.as_bytes()).await.expect("it reads");
    }
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{output:?}");
}

/// An answer, its outcome, and whether the subscription is pruned.
type Row = (Canned, &'static str, bool);

/// Acceptance, expired subscriptions, and faults of the application server.
fn final_answers() -> Vec<Row> {
    let autopush = Canned::autopush;
    let apple = |status, reason: &str| Canned::status(status).json(&json!({"reason": reason}));
    let mismatch = "VAPID public key mismatch";
    vec![
        (Canned::status(200), "accepted", false),
        (Canned::status(201), "accepted", false),
        (Canned::status(202), "accepted", false),
        (Canned::status(204), "accepted", false),
        (Canned::status(404), "gone", true),
        (Canned::status(410), "gone", true),
        (autopush(404, 102, "Request did not validate"), "gone", true),
        (autopush(410, 103, "Expired URL endpoint"), "gone", true),
        (
            autopush(410, 105, "Endpoint became unavailable"),
            "gone",
            true,
        ),
        (autopush(410, 106, "Unsubscribed"), "gone", true),
        (apple(404, "BadPath"), "gone", true),
        (apple(410, "Unregistered"), "gone", true),
        (autopush(400, 110, "Invalid header"), "our_fault", false),
        (autopush(400, 111, "Missing TTL"), "our_fault", false),
        (autopush(400, 112, "Invalid TTL"), "our_fault", false),
        (autopush(400, 113, "Invalid topic"), "our_fault", false),
        (autopush(400, 114, "Invalid"), "our_fault", false),
        (autopush(401, 109, "Invalid signature"), "our_fault", false),
        (autopush(401, 109, mismatch), "mismatched", false),
        (apple(400, "BadTtl"), "our_fault", false),
        (apple(400, "BadUrgency"), "our_fault", false),
        (apple(400, "BadWebPushTopic"), "our_fault", false),
        (apple(400, "BadWebPushRequest"), "our_fault", false),
        (apple(403, "BadAuthorizationHeader"), "our_fault", false),
        (apple(403, "BadJwtToken"), "our_fault", false),
        (apple(403, "BadVapidPublicKey"), "our_fault", false),
        (apple(400, "VapidPkHashMismatch"), "mismatched", false),
        (apple(403, "VapidPkHashMismatch"), "mismatched", false),
    ]
}

/// Answers without a known reason, and answers that ask for a retry.
fn other_answers() -> Vec<Row> {
    let autopush = Canned::autopush;
    let apple = |status, reason: &str| Canned::status(status).json(&json!({"reason": reason}));
    vec![
        (Canned::status(401), "our_fault", false),
        (Canned::status(403), "our_fault", false),
        (Canned::status(400), "refused", false),
        (Canned::status(406), "refused", false),
        (autopush(413, 104, "Too large"), "too_large", false),
        (Canned::status(413), "too_large", false),
        (
            Canned::status(429).header("retry-after", "7"),
            "throttled",
            false,
        ),
        (apple(429, "TooManyRequests"), "throttled", false),
        (Canned::status(500), "unavailable", false),
        (autopush(502, 900, "Bad gateway"), "unavailable", false),
        (
            autopush(503, 201, "Later").header("retry-after", "120"),
            "unavailable",
            false,
        ),
        (
            Canned::status(301).header("location", "/elsewhere"),
            "refused",
            false,
        ),
        (
            Canned::status(308).header("location", "/elsewhere"),
            "refused",
            false,
        ),
    ]
}

/// Every answer whose meaning does not depend on the push service's host name.
#[tokio::test]
async fn every_answer_has_its_outcome_and_only_404_and_410_prune() {
    let scene = Scene::new().await;
    let bystander = scene.subscribe().await;
    for (canned, outcome, pruned) in final_answers().into_iter().chain(other_answers()) {
        let browser = scene.subscribe().await;
        let what = format!("{canned:?}");
        scene.service.answer(&browser, canned).times(1);
        let before = scene.count().await;
        let result = scene.send(&browser).await;
        assert_eq!(result["outcome"], outcome, "{what}: {result}");
        assert!(result["status"].is_u64(), "{what}: {result}");
        let after = scene.count().await;
        assert_eq!(before - after, u64::from(pruned), "{what}");
        assert_eq!(scene.is_subscribed(&browser).await, !pruned, "{what}");
    }
    assert!(scene.is_subscribed(&bystander).await);
    assert_eq!(scene.send(&bystander).await["outcome"], "accepted");
}

#[tokio::test]
async fn the_sender_gets_the_retry_delay_whether_in_seconds_or_as_a_date() {
    let scene = Scene::new().await;
    let browser = scene.subscribe().await;
    for (value, expected) in [
        ("0", json!(0)),
        ("120", json!(120)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", json!(0)),
        ("Fri, 31 Dec 2100 23:59:59 GMT", json!(7 * 24 * 60 * 60)),
        ("soon", Value::Null),
    ] {
        let canned = Canned::status(503).header("retry-after", value);
        scene.service.answer(&browser, canned).times(1);
        let result = scene.send(&browser).await;
        assert_eq!(result["retry_after"], expected, "{value}: {result}");
    }
}

#[tokio::test]
async fn a_failed_exchange_prunes_no_subscription() {
    let scene = Scene::new().await;
    let target = PushService::start().await;
    // Answers that end at once, and one that takes the whole timeout of an exchange.
    let [reset, lost, redirected, huge_gone, huge_bad, hanging] = [
        scene.subscribe().await,
        scene.subscribe().await,
        scene.subscribe().await,
        scene.subscribe().await,
        scene.subscribe().await,
        scene.subscribe().await,
    ];
    scene.service.reset(&reset).times(1);
    scene.service.lose_answer(&lost).times(1);
    let location = format!("{}/wpush/v2/{}", target.origin(), redirected.id());
    scene.service.redirect(&redirected, &location).times(1);
    scene
        .service
        .huge(&huge_bad, StatusCode::BAD_REQUEST)
        .times(1);
    scene.service.huge(&huge_gone, StatusCode::CREATED).times(1);
    for (browser, outcome, status) in [
        (&reset, "unreachable", Value::Null),
        (&lost, "unreachable", Value::Null),
        (&redirected, "refused", json!(307)),
        (&huge_bad, "refused", json!(400)),
        (&huge_gone, "accepted", json!(201)),
    ] {
        let result = scene.send(browser).await;
        assert_eq!(result["outcome"], outcome, "{result}");
        assert_eq!(result["status"], status, "{result}");
    }
    assert_eq!(target.connections(), 0);

    scene.service.hang(&hanging).times(1);
    assert_eq!(scene.send(&hanging).await["outcome"], "unreachable");
    assert_eq!(scene.count().await, 6);
    let browsers = [reset, lost, redirected, huge_gone, huge_bad, hanging];
    for browser in &browsers {
        assert_eq!(scene.send(browser).await["outcome"], "accepted");
    }
}

#[tokio::test]
async fn an_untrusted_or_unreachable_push_service_prunes_no_subscription() {
    let service = PushService::start().await;
    let origins = format!("{},https://push.pushcast.invalid", service.origin());
    let server = Server::start_with(vec![("PUSHCAST_PUSH_ORIGINS", origins)]).await;
    let key = server.public_key().await;
    let untrusted = service.subscribe(Some(&key));
    let nowhere = Browser::new(
        "nowhere".to_owned(),
        "https://push.pushcast.invalid/wpush/v2/nowhere".to_owned(),
    );
    for browser in [&untrusted, &nowhere] {
        server.post("/push/subscribe", &browser.to_json()).await;
        let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "hello"});
        let sent = server.post_with_token("/push/send", &message).await;
        let result = &sent.json["results"][0];
        assert_eq!(result["outcome"], "unreachable", "{result}");
        assert!(result["detail"].is_string(), "{result}");
    }
    assert_eq!(count(&server, &service).await, 2);
    assert_eq!(service.requests(), 0);
}

#[tokio::test]
async fn a_browser_that_subscribes_again_during_its_410_stays_subscribed() {
    let scene = Scene::new().await;
    let backend = Backend {
        url: scene.server.url.clone(),
        token: scene.server.token(),
    };
    // The browser subscribes again with the same keys, and then with new ones.
    for (round, new_keys) in [false, true].into_iter().enumerate() {
        let browser = scene.subscribe().await;
        let late = Duration::from_millis(300);
        let gone = Canned::status(410);
        scene.service.answer_late(&browser, late, gone).times(1);
        let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "hello"});
        let sending = {
            let backend = backend.clone();
            tokio::spawn(async move { backend.send(&message).await })
        };
        scene.service.wait_for_requests(round + 1, PATIENCE).await;
        let mut back = browser.to_json();
        if new_keys {
            let other = Browser::new(String::new(), browser.endpoint().to_owned());
            back = other.to_json();
        }
        let back = scene.server.post("/push/subscribe", &back).await;
        assert_eq!(back.json["count"], round + 1, "{back:?}");
        assert!(!sending.is_finished(), "the answer is still under way");
        let sent = sending.await.expect("it is answered");
        assert_eq!(sent.json["results"][0]["outcome"], "gone", "{sent:?}");
        assert_eq!(scene.count().await, u64::try_from(round + 1).expect("few"));
    }
}

#[tokio::test]
async fn an_expired_subscription_is_pruned_without_a_push() {
    let scene = Scene::new().await;
    let browser = scene.service.subscribe(Some(&scene.key));
    let end = pushcast::clock::Clock::system().now() + Duration::from_millis(1200);
    let body = browser.to_json_with(json!({"expirationTime": end.as_millisecond()}));
    let subscribed = scene.server.post("/push/subscribe", &body).await;
    assert_eq!(subscribed.json["count"], 1, "{subscribed:?}");
    assert_eq!(scene.send(&browser).await["outcome"], "accepted");
    let left = end.duration_since(pushcast::clock::Clock::system().now());
    let left = Duration::try_from(left).unwrap_or_default();
    tokio::time::sleep(left + Duration::from_millis(5)).await;

    let result = scene.send(&browser).await;
    assert_eq!(result["outcome"], "gone", "{result}");
    assert_eq!(result["status"], Value::Null);
    assert_eq!(scene.service.requests(), 1);
    assert_eq!(scene.count().await, 0);
}

#[tokio::test]
async fn a_subscription_off_the_current_allow_list_gets_no_push_and_is_not_pruned() {
    let scene = Scene::new().await;
    let removed = PushService::start().await;
    let browser = removed.subscribe(None);
    let origins = format!("{},{}", scene.service.origin(), removed.origin());
    let environment = [("PUSHCAST_PUSH_ORIGINS", origins)];
    import(&scene.server, &environment, &[browser.to_json()]).await;
    assert_eq!(scene.count().await, 1);

    let result = scene.send(&browser).await;
    assert_eq!(result["outcome"], "refused", "{result}");
    assert_eq!(result["status"], Value::Null);
    assert_eq!((removed.connections(), scene.count().await), (0, 1));
}

/// A new key in a PEM file, and the file's path.
fn key_file(folder: &std::path::Path, name: &str) -> (VapidKey, String) {
    let key = VapidKey::generate().expect("there is randomness");
    let file = folder.join(name);
    std::fs::write(&file, key.to_pkcs8_pem()).expect("it is written");
    (key, file.display().to_string())
}

#[tokio::test]
async fn a_server_with_two_keys_reaches_the_subscribers_of_both_and_remembers_each_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let (new, new_file) = key_file(folder.path(), "new.pem");
    let (old, old_file) = key_file(folder.path(), "old.pem");
    let service = PushService::start().await;
    let ca_file = service.ca_file().display().to_string();
    let environment = vec![
        ("PUSHCAST_VAPID_KEYS", format!("{new_file},{old_file}")),
        ("PUSHCAST_PUSH_ORIGINS", service.origin()),
        ("PUSHCAST_CA_FILE", ca_file),
    ];
    let server = Server::start_with(environment.clone()).await;
    assert_eq!(server.public_key().await, new.public());
    let send = async |browser: &Browser| {
        let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "hello"});
        let sent = server.post_with_token("/push/send", &message).await;
        sent.json["results"][0]["outcome"].clone()
    };

    for key in [&old, &new] {
        let browser = service.subscribe(Some(key.public()));
        let named = json!({"applicationServerKey": base64url::encode(key.public())});
        let body = browser.to_json_with(named);
        let subscribed = server.post("/push/subscribe", &body).await;
        assert_eq!(subscribed.status, StatusCode::OK, "{subscribed:?}");
        assert_eq!(send(&browser).await, "accepted");
    }
    assert_eq!(service.refused().len(), 0, "each by its own key at once");

    // The subscription comes from elsewhere, and nobody recorded its key.
    let unknown = service.subscribe(Some(old.public()));
    import(&server, &environment, &[unknown.to_json()]).await;
    assert_eq!(send(&unknown).await, "accepted");
    assert_eq!(service.refused().len(), 1, "tried with the current one");
    assert_eq!(send(&unknown).await, "accepted");
    assert_eq!(service.refused().len(), 1, "its key was remembered");
    assert_eq!(service.deliveries_to(&unknown).len(), 2);

    // A subscription with a key that this server does not have: the sender hears it, and the row stays.
    let stranger = VapidKey::generate().expect("there is randomness");
    let foreign = service.subscribe(Some(stranger.public()));
    import(&server, &environment, &[foreign.to_json()]).await;
    assert_eq!(send(&foreign).await, "mismatched");
    assert_eq!(service.refused().len(), 3, "tried with both");
    assert_eq!(count(&server, &service).await, 4);
}

#[tokio::test]
async fn a_page_that_does_not_name_its_key_leaves_the_stored_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, new_file) = key_file(folder.path(), "new.pem");
    let (old, old_file) = key_file(folder.path(), "old.pem");
    let service = PushService::start().await;
    let mut environment = environment_of(&service);
    environment.push(("PUSHCAST_VAPID_KEYS", format!("{new_file},{old_file}")));
    let server = Server::start_with(environment).await;

    let first = service.subscribe(Some(old.public()));
    let named = json!({"applicationServerKey": base64url::encode(old.public())});
    let moved = service.subscribe(Some(old.public()));
    for (browser, body) in [
        (&first, first.to_json_with(named)),
        (&first, first.to_json()),
        (
            &moved,
            moved.to_json_with(json!({"replaces": first.endpoint()})),
        ),
    ] {
        let subscribed = server.post("/push/subscribe", &body).await;
        assert_eq!(subscribed.json, json!({"ok": true, "count": 1}));
        let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "hello"});
        let sent = server.post_with_token("/push/send", &message).await;
        assert_eq!(sent.json["results"][0]["outcome"], "accepted", "{sent:?}");
    }
    assert_eq!(service.refused().len(), 0, "never tried with the new key");
}
