use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::program::{Answer, Server, environment_of};
use crate::support::push_service::PushService;
use crate::support::subscribers::browser::Browser;
use crate::support::waiting::PATIENCE;

/// Subscribes and returns the count.
async fn subscribe(server: &Server, body: &Value) -> u64 {
    let answer = server.post("/push/subscribe", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json["ok"], true);
    answer.json["count"].as_u64().expect("a count")
}

async fn unsubscribe(server: &Server, endpoint: &str) -> u64 {
    let body = json!({"endpoint": endpoint});
    let answer = server.post("/push/unsubscribe", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json["count"].as_u64().expect("a count")
}

fn refused(answer: &Answer, status: StatusCode, field: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json["field"], field, "{answer:?}");
}

/// Sends `text`. The browser must receive and decrypt it.
async fn reaches(server: &Server, service: &PushService, browser: &Browser, text: &str) {
    let before = service.deliveries().len();
    let message = json!({"to": {"endpoint": browser.endpoint()}, "data": text});
    let sent = server.post_with_token("/push/send", &message).await;
    assert_eq!(sent.json["results"][0]["outcome"], "accepted", "{sent:?}");
    let all = service.wait_for(before + 1, PATIENCE).await;
    let last = all.last().expect("it waited for one");
    assert_eq!(
        (last.id.as_str(), last.text.as_slice()),
        (browser.id(), text.as_bytes())
    );
}

#[tokio::test]
async fn a_repeated_endpoint_gets_the_new_keys_and_is_counted_once() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let key = server.public_key().await;
    let (browser, other) = (service.subscribe(Some(&key)), service.subscribe(Some(&key)));
    assert_eq!(subscribe(&server, &browser.to_json()).await, 1);
    assert_eq!(subscribe(&server, &other.to_json()).await, 2);
    reaches(&server, &service, &browser, "to the first keys").await;

    let again = service.rekey(&browser);
    assert_eq!(again.endpoint(), browser.endpoint());
    assert_ne!(again.p256dh(), browser.p256dh());
    // Until the page sends its new keys, messages are encrypted for keys that the browser has dropped.
    let message = json!({"to": {"endpoint": browser.endpoint()}, "data": "unreadable"});
    let sent = server.post_with_token("/push/send", &message).await;
    assert_ne!(sent.json["results"][0]["outcome"], "accepted", "{sent:?}");

    assert_eq!(subscribe(&server, &again.to_json()).await, 2);
    reaches(&server, &service, &again, "to the new keys").await;
    reaches(&server, &service, &other, "and to the neighbour").await;
}

#[tokio::test]
async fn tags_user_and_time_zone_are_kept_when_left_out_cleared_by_null_and_replaced_when_given() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browser = service.subscribe(None);
    let (ada, bob) = (server.sign("ada"), server.sign("bob"));
    let full = json!({"tags": ["b", "a", "b"], "user": "ada", "timezone": "Europe/Paris"});
    let mut first = full.clone();
    first["userSignature"] = json!(ada);
    // The posted members, and the row's members afterwards.
    let steps = [
        (
            first,
            json!({"tags": ["a", "b"], "user": "ada", "timezone": "Europe/Paris"}),
        ),
        (
            json!({}),
            json!({"tags": ["a", "b"], "user": "ada", "timezone": "Europe/Paris"}),
        ),
        (
            json!({"tags": ["team:blue"]}),
            json!({"tags": ["team:blue"], "user": "ada", "timezone": "Europe/Paris"}),
        ),
        (
            json!({"user": "bob", "userSignature": bob}),
            json!({"tags": ["team:blue"], "user": "bob", "timezone": "Europe/Paris"}),
        ),
        (
            json!({"timezone": "america/new_york"}),
            json!({"tags": ["team:blue"], "user": "bob", "timezone": "America/New_York"}),
        ),
        (
            json!({"user": null}),
            json!({"tags": ["team:blue"], "timezone": "America/New_York"}),
        ),
        (json!({"timezone": null}), json!({"tags": ["team:blue"]})),
        (json!({"tags": null}), json!({})),
        (
            json!({"tags": ["x"], "timezone": "UTC"}),
            json!({"tags": ["x"], "timezone": "UTC"}),
        ),
        (json!({"tags": []}), json!({"timezone": "UTC"})),
    ];
    for (posted, expected) in steps {
        let body = browser.to_json_with(posted.clone());
        assert_eq!(subscribe(&server, &body).await, 1);
        let row = server.exported().await.remove(browser.endpoint());
        let row = row.expect("it is exported");
        for name in ["tags", "user", "timezone"] {
            assert_eq!(row.get(name), expected.get(name), "after {posted}: {row}");
        }
    }
}

#[tokio::test]
async fn replaces_moves_every_member_to_the_new_endpoint_and_keeps_the_count() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let (old, new) = (service.subscribe(None), service.subscribe(None));
    let signature = server.sign("ada");
    let body = old.to_json_with(json!({
        "tags": ["news"], "user": "ada", "userSignature": signature, "timezone": "Asia/Tokyo",
    }));
    assert_eq!(subscribe(&server, &body).await, 1);
    let before = server.exported().await.remove(old.endpoint());
    let before = before.expect("the old row");

    let moved = new.to_json_with(json!({"replaces": old.endpoint()}));
    assert_eq!(subscribe(&server, &moved).await, 1);
    let rows = server.exported().await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), [new.endpoint()]);
    let row = &rows[new.endpoint()];
    for name in ["tags", "user", "timezone", "createdAt"] {
        assert!(row.get(name).is_some(), "{name} in {row}");
        assert_eq!(row[name], before[name], "{name}");
    }
    reaches(&server, &service, &new, "at the new address").await;

    // The same request again: a page repeats it when the answer was lost.
    assert_eq!(subscribe(&server, &moved).await, 1);
    assert_eq!(server.exported().await, rows);

    // Members of the request win over those of the replaced row.
    let third = service.subscribe(None);
    let body = json!({"replaces": new.endpoint(), "tags": ["sports"], "user": null});
    assert_eq!(subscribe(&server, &third.to_json_with(body)).await, 1);
    let row = &server.exported().await[third.endpoint()];
    assert_eq!(row["tags"], json!(["sports"]));
    assert_eq!(row.get("user"), None);
    assert_eq!(row["timezone"], "Asia/Tokyo");
}

#[tokio::test]
async fn replaces_merges_two_stored_endpoints_into_one() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let (old, new) = (service.subscribe(None), service.subscribe(None));
    let old_body = old.to_json_with(json!({"tags": ["old"]}));
    assert_eq!(subscribe(&server, &old_body).await, 1);
    let new_body = new.to_json_with(json!({"tags": ["new"], "timezone": "UTC"}));
    assert_eq!(subscribe(&server, &new_body).await, 2);

    let merged = new.to_json_with(json!({"replaces": old.endpoint()}));
    assert_eq!(subscribe(&server, &merged).await, 1);
    let rows = server.exported().await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), [new.endpoint()]);
    assert_eq!(rows[new.endpoint()]["tags"], json!(["old"]));
    assert_eq!(rows[new.endpoint()]["timezone"], "UTC");
    reaches(&server, &service, &new, "once").await;
}

#[tokio::test]
async fn replaces_with_an_unknown_endpoint_or_itself_is_a_plain_subscription() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let (browser, never) = (service.subscribe(None), service.subscribe(None));
    let body = json!({"replaces": never.endpoint(), "tags": ["a"]});
    assert_eq!(subscribe(&server, &browser.to_json_with(body)).await, 1);
    // The endpoint is refused by today's rules, but earlier rules may have let it in.
    let body = json!({"replaces": "http://off.the.list/x"});
    assert_eq!(subscribe(&server, &browser.to_json_with(body)).await, 1);
    let body = json!({"replaces": browser.endpoint()});
    assert_eq!(subscribe(&server, &browser.to_json_with(body)).await, 1);
    let body = json!({"replaces": null});
    assert_eq!(subscribe(&server, &browser.to_json_with(body)).await, 1);
    let rows = server.exported().await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), [browser.endpoint()]);
    assert_eq!(rows[browser.endpoint()]["tags"], json!(["a"]));
    reaches(&server, &service, &browser, "still").await;
}

#[tokio::test]
async fn unsubscribing_is_idempotent_and_exact() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browsers: Vec<Browser> = (0..3).map(|_| service.subscribe(None)).collect();
    for browser in &browsers {
        subscribe(&server, &browser.to_json()).await;
    }
    let (gone, kept) = (browsers[0].endpoint(), browsers[1].endpoint());
    let almost = [
        format!("{kept}/"),
        format!("{kept} "),
        kept.to_uppercase(),
        kept[..kept.len() - 1].to_owned(),
        "no address at all".to_owned(),
    ];
    for other in &almost {
        assert_eq!(unsubscribe(&server, other).await, 3, "{other}");
    }
    for _ in 0..3 {
        assert_eq!(unsubscribe(&server, gone).await, 2);
    }
    let rows = server.exported().await;
    assert!(!rows.contains_key(gone) && rows.contains_key(kept));
    let message = json!({"to": {"endpoint": gone}, "data": "?"});
    let sent = server.post_with_token("/push/send", &message).await;
    refused(&sent, StatusCode::NOT_FOUND, "to.endpoint");
    assert_eq!(subscribe(&server, &browsers[0].to_json()).await, 3);
    reaches(&server, &service, &browsers[0], "back again").await;
}

#[tokio::test]
async fn a_stranger_cannot_subscribe_to_another_user_s_messages() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let (ada, eve) = (service.subscribe(None), service.subscribe(None));
    let signature = server.sign("ada");
    let (mallory, shorter) = (server.sign("mallory"), &signature[..62]);
    for signed in [
        json!({"user": "ada"}),
        json!({"user": "ada", "userSignature": null}),
        json!({"user": "ada", "userSignature": ""}),
        json!({"user": "ada", "userSignature": "00".repeat(32)}),
        json!({"user": "ada", "userSignature": mallory}),
        json!({"user": "ada", "userSignature": shorter}),
        json!({"user": "ada", "userSignature": format!("{signature}00")}),
        json!({"user": "ada ", "userSignature": signature}),
        json!({"user": "Ada", "userSignature": signature}),
    ] {
        let body = eve.to_json_with(signed.clone());
        let answer = server.post("/push/subscribe", &body).await;
        refused(&answer, StatusCode::FORBIDDEN, "userSignature");
        assert!(server.exported().await.is_empty(), "{signed}");
    }
    assert_eq!(subscribe(&server, &eve.to_json()).await, 1);
    let body = ada.to_json_with(json!({"user": "ada", "userSignature": signature}));
    assert_eq!(subscribe(&server, &body).await, 2);
    // The signature is hexadecimal, which may be in lower or upper case.
    let upper = json!({"user": "ada", "userSignature": signature.to_uppercase()});
    assert_eq!(subscribe(&server, &ada.to_json_with(upper)).await, 2);

    // A stranger cannot change the keys or the owner of a stored row.
    let stolen = service.rekey(&ada).to_json_with(json!({"user": "eve"}));
    let answer = server.post("/push/subscribe", &stolen).await;
    refused(&answer, StatusCode::FORBIDDEN, "userSignature");
    let row = &server.exported().await[ada.endpoint()];
    assert_eq!(row["user"], "ada");
    assert_eq!(row["keys"]["p256dh"], json!(ada.p256dh()));
}

#[tokio::test]
async fn a_page_may_name_the_server_key_it_used_and_no_other_key() {
    let service = PushService::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let keys: Vec<_> = ["new", "old"]
        .iter()
        .map(|name| {
            let key = webpush::VapidKey::generate().expect("randomness");
            let path = folder.path().join(name);
            std::fs::write(&path, key.to_pkcs8_pem()).expect("room");
            (key, path.display().to_string())
        })
        .collect();
    let both = format!("{},{}", keys[0].1, keys[1].1);
    let mut environment = environment_of(&service);
    environment.push(("PUSHCAST_VAPID_KEYS", both));
    let server = Server::start_with(environment).await;
    assert_eq!(server.public_key().await, keys[0].0.public());

    for (i, (key, _)) in keys.iter().enumerate() {
        for spelling in [STANDARD.encode(key.public()), key.public_base64url()] {
            // The push service takes only messages signed with this key.
            let browser = service.subscribe(Some(key.public()));
            let body = browser.to_json_with(json!({"applicationServerKey": spelling}));
            subscribe(&server, &body).await;
            let row = &server.exported().await[browser.endpoint()];
            assert_eq!(row["vapid"], key.id().as_str(), "{i}");
            reaches(&server, &service, &browser, "signed as it subscribed").await;
        }
    }
    assert!(service.refused().is_empty(), "no key was tried in vain");

    let count = server.exported().await.len();
    let stranger = webpush::VapidKey::generate().expect("randomness");
    let browser = service.subscribe(None);
    let body = json!({"applicationServerKey": stranger.public_base64url()});
    let answer = server
        .post("/push/subscribe", &browser.to_json_with(body))
        .await;
    refused(&answer, StatusCode::BAD_REQUEST, "applicationServerKey");
    let detail = answer.json["detail"].as_str().expect("a detail");
    assert!(detail.contains("GET /push/key"), "{detail}");
    assert_eq!(server.exported().await.len(), count);
}

#[tokio::test]
async fn an_expiration_time_is_null_or_in_the_future() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browser = service.subscribe(None);
    let far = 4_102_444_800_000_u64;
    for (given, stored) in [
        (json!(null), json!(null)),
        (json!(far), json!(far)),
        (json!(4_102_444_800_000.75), json!(far)),
        (json!(4.1024448e12), json!(far)),
        (json!(null), json!(null)),
    ] {
        let body = browser.to_json_with(json!({"expirationTime": given}));
        assert_eq!(subscribe(&server, &body).await, 1);
        let row = &server.exported().await[browser.endpoint()];
        assert_eq!(row["expirationTime"], stored, "{given}");
    }
    for past in [json!(0), json!(1), json!(1_600_000_000_000_u64)] {
        let body = browser.to_json_with(json!({"expirationTime": past}));
        let answer = server.post("/push/subscribe", &body).await;
        refused(&answer, StatusCode::BAD_REQUEST, "expirationTime");
    }
    // A missing member means the same as null, because browsers always send it.
    let mut body = browser.to_json_with(json!({"expirationTime": far}));
    subscribe(&server, &body).await;
    body.as_object_mut().expect("one").remove("expirationTime");
    subscribe(&server, &body).await;
    let row = &server.exported().await[browser.endpoint()];
    assert_eq!(row["expirationTime"], json!(null));
}

/// A browser whose keys have another spelling in each dialect of base64.
fn with_telling_keys(service: &PushService) -> Browser {
    let telling = |text: &String| text.contains(['-', '_']);
    std::iter::repeat_with(|| service.subscribe(None))
        .find(|browser| telling(&browser.p256dh()) && telling(&browser.auth()))
        .expect("an endless supply")
}

#[tokio::test]
async fn keys_are_read_in_all_four_dialects_of_base64() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browser = with_telling_keys(&service);
    let bytes = |text: String| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (p256dh, auth) = (bytes(browser.p256dh()), bytes(browser.auth()));
    for dialect in [&URL_SAFE_NO_PAD, &URL_SAFE, &STANDARD_NO_PAD, &STANDARD] {
        let keys = json!({"p256dh": dialect.encode(&p256dh), "auth": dialect.encode(&auth)});
        let body = browser.to_json_with(json!({"keys": keys}));
        assert_eq!(subscribe(&server, &body).await, 1, "{keys}");
        reaches(&server, &service, &browser, &keys.to_string()).await;
        // The server stores one spelling, whichever it received.
        let row = &server.exported().await[browser.endpoint()];
        let written = json!({"p256dh": browser.p256dh(), "auth": browser.auth()});
        assert_eq!(row["keys"], written);
        unsubscribe(&server, browser.endpoint()).await;
    }
}

#[tokio::test]
async fn unknown_members_are_ignored_and_no_content_type_matters() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let browser = service.subscribe(None);
    let unknown = browser.to_json_with(json!({"count": 9, "vapid": "x", "createdAt": 5, "": {}}));
    assert_eq!(subscribe(&server, &unknown).await, 1);
    let row = &server.exported().await[browser.endpoint()];
    assert_ne!(row["vapid"], "x", "an operator's member");
    assert_ne!(row["createdAt"], 5, "an operator's member");

    let text = browser.to_json().to_string();
    for content_type in [
        "text/plain;charset=UTF-8",
        "application/json",
        "application/x-www-form-urlencoded",
        "image/png",
    ] {
        let headers = [("content-type", content_type)];
        let answer = server
            .request(Method::POST, "/push/subscribe", &headers, text.clone())
            .await;
        assert_eq!(answer.json, json!({"ok": true, "count": 1}), "{answer:?}");
    }
}

#[tokio::test]
async fn the_count_is_exact_when_many_browsers_subscribe_at_once() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let same = service.subscribe(None).to_json();
    let keys = service.subscribe(None).to_json()["keys"].clone();
    let distinct = (0..200).map(|i| {
        let endpoint = format!("{}/wpush/v2/many-{i}", service.origin());
        json!({"endpoint": endpoint, "keys": keys})
    });
    let bodies: Vec<Value> = distinct.chain(vec![same; 50]).collect();
    let counts = join_all(bodies.iter().map(|body| subscribe(&server, body))).await;
    assert!(
        counts.iter().all(|count| (1..=201).contains(count)),
        "{counts:?}"
    );
    assert_eq!(server.exported().await.len(), 201);
    assert_eq!(unsubscribe(&server, "nobody").await, 201);

    let endpoints = bodies.iter().map(|body| body["endpoint"].as_str());
    let endpoints: Vec<&str> = endpoints.map(|it| it.expect("text")).collect();
    // Fifty requests at once are for the shared endpoint.
    join_all(endpoints[150..].iter().map(|it| unsubscribe(&server, it))).await;
    assert_eq!(unsubscribe(&server, "nobody").await, 150);
    assert_eq!(server.exported().await.len(), 150);
}

async fn preflight(server: &Server, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    server
        .request(Method::OPTIONS, "/push/subscribe", &headers, "")
        .await
}

fn allowed_origin(answer: &Answer) -> Option<&str> {
    let header = answer.headers.get("access-control-allow-origin")?;
    header.to_str().ok()
}

#[tokio::test]
async fn only_pages_of_configured_origins_may_call_the_api() {
    let service = PushService::start().await;
    let mut environment = environment_of(&service);
    let two = "https://shop.example, http://localhost:3000";
    environment.push(("PUSHCAST_CORS_ORIGINS", two.to_owned()));
    let more = ["--allow-origin", "https://blog.example:8443"];
    let server = Server::start_as(environment, &more).await;
    let browser = service.subscribe(None).to_json().to_string();
    for origin in [
        "https://shop.example",
        "http://localhost:3000",
        "https://blog.example:8443",
    ] {
        let asked = preflight(&server, origin).await;
        assert!(asked.status.is_success(), "{asked:?}");
        assert_eq!(allowed_origin(&asked), Some(origin));
        let lists = |name: &str| asked.headers[name].to_str().expect("text").to_lowercase();
        assert!(lists("access-control-allow-methods").contains("post"));
        assert!(lists("access-control-allow-headers").contains("content-type"));

        let headers = [("origin", origin)];
        for body in [browser.clone(), "not json".to_owned()] {
            let answer = server
                .request(Method::POST, "/push/subscribe", &headers, body)
                .await;
            // The page may also read errors.
            assert_eq!(allowed_origin(&answer), Some(origin), "{answer:?}");
        }
    }
    for origin in [
        "https://evil.example",
        "http://shop.example",
        "https://shop.example:444",
        "https://blog.example",
        "https://shop.example.evil.example",
        "null",
    ] {
        let asked = preflight(&server, origin).await;
        assert_eq!(allowed_origin(&asked), None, "{origin}: {asked:?}");
        let headers = [("origin", origin)];
        let answer = server.request(Method::GET, "/push/key", &headers, "").await;
        assert_eq!(allowed_origin(&answer), None, "{origin}: {answer:?}");
    }
}

#[tokio::test]
async fn without_configured_origins_no_other_page_may_call_and_a_star_allows_all() {
    let service = PushService::start().await;
    let closed = Server::start(&service).await;
    let asked = preflight(&closed, "https://shop.example").await;
    assert_eq!(allowed_origin(&asked), None, "{asked:?}");
    let open = Server::start_as(environment_of(&service), &["--allow-origin", "*"]).await;
    let asked = preflight(&open, "https://shop.example").await;
    assert_eq!(allowed_origin(&asked), Some("*"), "{asked:?}");
}

/// Eve's refused requests, each with a secret in it.
fn wrong_posts(ada: &Browser, eve: &Browser) -> Vec<(&'static str, Value)> {
    vec![
        (
            "/push/subscribe",
            eve.to_json_with(json!({"user": "ada", "userSignature": "hunter2"})),
        ),
        (
            "/push/subscribe",
            eve.to_json_with(json!({"replaces": ada.endpoint(), "timezone": "hunter2"})),
        ),
        (
            "/push/subscribe",
            eve.to_json_with(json!({"endpoint": format!("{}#hunter2", eve.endpoint())})),
        ),
        (
            "/push/subscribe",
            eve.to_json_with(json!({"keys": {"p256dh": eve.p256dh(), "auth": "hunter2"}})),
        ),
        (
            "/push/subscribe",
            eve.to_json_with(json!({"tags": ["hunter2!"], "applicationServerKey": eve.p256dh()})),
        ),
        (
            "/push/send",
            json!({"to": {"endpoint": eve.endpoint()}, "data": "hunter2"}),
        ),
        (
            "/push/send",
            json!({"to": {"endpoint": ada.endpoint()}, "notification": {"title": "hunter2"}}),
        ),
        (
            "/push/send",
            json!({"to": {"endpoint": ada.endpoint(), "user": "ada"}, "data": "hunter2"}),
        ),
    ]
}

#[tokio::test]
async fn errors_contain_no_secret_and_no_endpoint() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    let (ada, eve) = (service.subscribe(None), service.subscribe(None));
    let body = ada.to_json_with(json!({"user": "ada", "userSignature": server.sign("ada")}));
    subscribe(&server, &body).await;
    let secrets = [
        server.token(),
        server.user_secret(),
        server.sign("ada"),
        ada.id().to_owned(),
        ada.auth(),
        ada.p256dh(),
        eve.id().to_owned(),
        eve.auth(),
        eve.p256dh(),
        "hunter2".to_owned(),
    ];
    let posts = wrong_posts(&ada, &eve);
    let mut said = String::new();
    for (path, body) in &posts {
        let answer = server.post_with_token(path, body).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        said += &format!("{:?} {}\n", answer.headers, answer.json);
    }
    let wrong = [("authorization", "Bearer hunter2")];
    let answer = server
        .request(Method::POST, "/push/send", &wrong, posts[7].1.to_string())
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    said += &format!("{:?} {}\n", answer.headers, answer.json);
    assert!(server.interrupt().await);
    said += &server.output_and_log().await;
    for secret in secrets {
        assert!(!said.contains(&secret), "{secret} in {said}");
    }
}
