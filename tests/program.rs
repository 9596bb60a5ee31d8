use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::support::program::{Server, environment_of, program};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::Canned;
use crate::support::waiting::PATIENCE;

/// Subscribes a browser of `service` as `user`, and sends to it by endpoint and by user.
async fn sends_arrive(server: &Server, service: &PushService, text: &str) {
    let browser = service.subscribe(Some(&server.public_key().await));
    let user = format!("user of {text}");
    let body = browser.to_json_with(json!({"user": user, "userSignature": server.sign(&user)}));
    let subscribed = server.post("/push/subscribe", &body).await;
    assert_eq!(subscribed.status, StatusCode::OK, "{subscribed:?}");

    let before = service.deliveries().len();
    for to in [
        json!({"endpoint": browser.endpoint()}),
        json!({"user": user}),
    ] {
        let sent = server
            .post_with_token("/push/send", &json!({"to": to, "data": text}))
            .await;
        assert_eq!(sent.status, StatusCode::OK, "{sent:?}");
        let expected = json!({"results": [{"endpoint": browser.endpoint(), "outcome": "accepted", "status": 201}]});
        assert_eq!(sent.json, expected);
    }
    service.wait_for(before + 2, PATIENCE).await;
    let texts: Vec<Vec<u8>> = service
        .deliveries_to(&browser)
        .into_iter()
        .map(|delivery| delivery.text)
        .collect();
    assert_eq!(texts, [text.as_bytes(), text.as_bytes()]);
}

#[tokio::test]
async fn messages_by_endpoint_and_by_user_arrive_also_after_kill_9() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    sends_arrive(&server, &service, "before").await;

    let key = server.public_key().await;
    let browser = service.subscribe(Some(&key));
    let kept = server.post("/push/subscribe", &browser.to_json()).await;
    assert_eq!(kept.json, json!({"ok": true, "count": 2}));
    server.kill().await;
    server.restart().await;

    assert_eq!(
        server.public_key().await,
        key,
        "the key is that of the first start"
    );
    let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "after"});
    let sent = server.post_with_token("/push/send", &message).await;
    assert_eq!(sent.json["results"][0]["outcome"], "accepted", "{sent:?}");
    sends_arrive(&server, &service, "again").await;
    let again = server.post("/push/subscribe", &browser.to_json()).await;
    assert_eq!(again.json["count"], 3);
}

#[tokio::test]
async fn a_subscription_answered_with_200_survives_kill_9_at_any_moment() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    let mut answered = 0;
    for round in 0..4 {
        let key = server.public_key().await;
        let subscribing = async {
            loop {
                let browser = service.subscribe(Some(&key));
                let subscribed = server.post("/push/subscribe", &browser.to_json()).await;
                assert_eq!(subscribed.status, StatusCode::OK, "{subscribed:?}");
                answered += 1;
            }
        };
        let moment = Duration::from_millis(150 + 70 * round);
        assert!(tokio::time::timeout(moment, subscribing).await.is_err());
        server.kill().await;
        server.restart().await;
        let unknown = json!({"endpoint": format!("{}/wpush/v2/unknown", service.origin())});
        let count = server.post("/push/unsubscribe", &unknown).await.json["count"].clone();
        let count = count.as_u64().expect("a count");
        // The request in flight at the kill may have been stored without an answer.
        assert!(
            (answered..=answered + 1).contains(&count),
            "{count} of {answered}"
        );
        answered = count;
    }
    assert!(answered > 0);
}

#[tokio::test]
async fn ctrl_c_lets_requests_finish_and_then_stops() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    server.post("/push/subscribe", &browser.to_json()).await;
    service.slow(&browser, Duration::from_millis(800));

    let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "last words"});
    let (token, url) = (server.token(), server.url.clone());
    let sending = tokio::spawn(async move {
        let sender = crate::support::program::api_client::Backend { url, token };
        sender.send(&message).await
    });
    service.wait_for_requests(1, PATIENCE).await;
    assert!(server.interrupt().await, "it ends with success");
    let sent = sending.await.expect("the request was not cut off");
    assert_eq!(sent.json["results"][0]["outcome"], "accepted", "{sent:?}");
}

#[tokio::test]
async fn the_server_keeps_secrets_in_files_of_mode_0600_and_never_prints_them() {
    let service = PushService::start().await;
    // At these levels the SDK and the HTTP client log whole requests.
    let talkative = ("RUST_LOG", "trace".to_owned());
    let environment = environment_of(&service).into_iter().chain([talkative]);
    let mut server = Server::start_with(environment.collect()).await;
    let secrets = [server.token(), server.user_secret()];
    let mut files = 0;
    for file in std::fs::read_dir(server.data()).expect("a folder") {
        let file = file.expect("an entry");
        let mode = file.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
        files += 1;
    }
    assert!(files >= 5, "database, lock, key, token and secret");
    let folder = std::fs::metadata(server.data())
        .expect("metadata")
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(folder, 0o700);

    sends_arrive(&server, &service, "secretly").await;
    assert!(server.interrupt().await);
    let said = server.welcome.clone() + &server.output_and_log().await;
    let key = std::fs::read_to_string(server.data().join("vapid.pem")).expect("a key");
    let key = key.lines().nth(1).expect("base64");
    for secret in secrets.iter().map(String::as_str).chain([key]) {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(said.contains("request"), "the log was read: {said}");
    for browser in service.deliveries() {
        assert!(
            !said.contains(&browser.id),
            "an endpoint is in the log: {said}"
        );
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let data = server.data().display().to_string();
    let second = program(&["serve", "--listen", "127.0.0.1:0", "--data", &data])
        .output()
        .await;
    let second = second.expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another `pushcast serve`"), "{said}");
}

#[tokio::test]
async fn a_server_without_a_subject_starts_and_warns_that_apple_will_refuse() {
    let service = PushService::start().await;
    for (subject, warns) in [("", true), ("mailto:you@pushcast.dev", false)] {
        let mut environment = environment_of(&service);
        environment.push(("PUSHCAST_VAPID_SUBJECT", subject.to_owned()));
        let mut server = Server::start_with(environment).await;
        // Wait until it serves: before that, a signal ends it without a message.
        assert_eq!(server.get("/push/key").await.status, 200);
        assert!(server.interrupt().await);
        let said = server.output_and_log().await;
        let warned = said.contains("warning: PUSHCAST_VAPID_SUBJECT is not set");
        assert_eq!(warned, warns, "{said}");
    }
}

#[tokio::test]
async fn a_wrong_variable_is_named_at_start_and_no_secret_is_printed() {
    for (name, value, says) in [
        ("PUSHCAST_VAPID_SUBJECT", "me@pushcast.dev", "mailto:"),
        ("PUSHCAST_VAPID_SUBJECT", "mailto:me@localhost", "Apple"),
        (
            "PUSHCAST_VAPID_KEYS",
            "not-a-key-but-kept-secret",
            "neither a file",
        ),
        ("PUSHCAST_TOKEN", "short-secret", "too short"),
        ("PUSHCAST_PUSH_ORIGINS", "push.pushcast.dev", "origin"),
        ("PUSHCAST_CORS_ORIGINS", "https://a.dev/page", "origin"),
        (
            "PUSHCAST_LEDGER_TABLE",
            "only-one",
            "PUSHCAST_SUBSCRIPTIONS_TABLE",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--data", "data"]);
        let output = command.current_dir(&folder).env(name, value).output().await;
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{name}={value}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains(says) && said.contains("PUSHCAST_"),
            "{name}: {said}"
        );
        assert!(!said.contains("secret"), "{said}");
        assert!(
            !folder.path().join("data").exists(),
            "{name}: nothing was made"
        );
    }
}

#[tokio::test]
async fn a_variable_may_hold_the_key_itself_in_every_text_form() {
    let key = webpush::VapidKey::generate().expect("a key");
    let raw = key.to_raw_base64url();
    let json = json!({"publicKey": key.public_base64url(), "privateKey": raw}).to_string();
    let forms = [
        raw,
        json,
        key.to_pkcs8_pem(),
        key.to_sec1_pem().replace('\n', " "),
    ];
    for form in forms {
        let server = Server::start_with(vec![("PUSHCAST_VAPID_KEYS", form)]).await;
        assert_eq!(server.public_key().await, key.public());
        assert!(!server.data().join("vapid.pem").exists(), "none was made");
    }
}

#[tokio::test]
async fn an_unwritable_folder_and_a_port_in_use_are_clear_errors() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let busy = server.url.trim_start_matches("http://");
    let (inside_file, fresh) = (file.join("data"), folder.path().join("fresh"));
    for (listen, data, says) in [
        ("127.0.0.1:0", &inside_file, "data folder"),
        (busy, &fresh, "--listen"),
    ] {
        let data = data.display().to_string();
        let output = program(&["serve", "--listen", listen, "--data", &data])
            .output()
            .await;
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn a_dead_push_service_is_reported_and_nobody_is_pruned() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    server.post("/push/subscribe", &browser.to_json()).await;
    drop(service);

    let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "anyone?"});
    let sent = server.post_with_token("/push/send", &message).await;
    assert_eq!(
        sent.json["results"][0]["outcome"], "unreachable",
        "{sent:?}"
    );
    assert_eq!(sent.json["results"][0]["status"], json!(null));
    let again = server.post("/push/subscribe", &browser.to_json()).await;
    assert_eq!(again.json["count"], 1);
}

#[tokio::test]
async fn a_user_s_gone_devices_are_pruned_and_the_others_get_the_message() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let key = server.public_key().await;
    let signature = server.sign("ada");
    let mut browsers = Vec::new();
    for _ in 0..3 {
        let browser = service.subscribe(Some(&key));
        let body = browser.to_json_with(json!({"user": "ada", "userSignature": signature}));
        assert_eq!(
            server.post("/push/subscribe", &body).await.status,
            StatusCode::OK
        );
        browsers.push(browser);
    }
    service.forget(&browsers[0]);
    service.answer(
        &browsers[1],
        Canned::status(503).header("retry-after", "120"),
    );

    let message = json!({"to": {"user": "ada"}, "data": "hello"});
    let sent = server.post_with_token("/push/send", &message).await;
    let mut results: Vec<_> = sent.json["results"].as_array().expect("results").clone();
    results.sort_by_key(|result| result["outcome"].to_string());
    assert_eq!(results[0]["outcome"], "accepted");
    assert_eq!(results[1]["outcome"], "gone");
    assert_eq!(results[1]["endpoint"], browsers[0].endpoint());
    assert_eq!(results[2]["outcome"], "unavailable");
    assert_eq!(results[2]["retry_after"], 120);
    let gone = json!({"to": {"endpoint": browsers[0].endpoint()}, "data": "hello"});
    assert_eq!(
        server.post_with_token("/push/send", &gone).await.status,
        StatusCode::NOT_FOUND
    );
    let again = server.post("/push/subscribe", &browsers[2].to_json()).await;
    assert_eq!(again.json["count"], 2);
}
