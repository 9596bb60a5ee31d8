//! Good requests, each with one fault: the push service must find exactly that fault.

mod behaviour;
mod tokens;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Version};
use jiff::Timestamp;
use serde_json::{Value, json};
use webpush::{
    AllowList, ContentEncoding, Message, Origin, Padding, Subscription, Topic, Urgency, Vapid,
    VapidKey, build_request,
};

use crate::support::push_service::checks::wall_clock;
use crate::support::push_service::listener::Builder;
use crate::support::push_service::raw_client::{Answer, BOTH, Client};
use crate::support::push_service::{Delivery, PushService};
use crate::support::subscribers::browser::Browser;
use crate::support::waiting::PATIENCE;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 60 * 60;

/// A push service with a fixed clock, a subscriber, and an application server whose key the push service knows.
struct Scene {
    service: PushService,
    browser: Browser,
    vapid: Vapid,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        Self::with(PushService::builder()).await
    }

    async fn with(builder: Builder) -> Self {
        let service = builder.clock(|| NOW).start().await;
        let vapid = Vapid::new(VapidKey::generate().expect("there is randomness"), None);
        let browser = service.subscribe(Some(vapid.public()));
        let client = Client::connect(&service, BOTH).await.expect("it listens");
        Self {
            service,
            browser,
            vapid,
            client,
        }
    }

    /// The request that pushcast sends for a message.
    fn request_to(&self, browser: &Browser, message: &Message) -> Request<Bytes> {
        self.request_at(NOW, browser, message)
    }

    fn request_at(&self, now: i64, browser: &Browser, message: &Message) -> Request<Bytes> {
        let origin = Origin::parse(&self.service.origin()).expect("it is an origin");
        let json = browser.to_json().to_string();
        let subscription = Subscription::from_json(&json, &AllowList::new([origin]));
        let subscription = subscription.expect("it is good");
        let now = Timestamp::from_second(now).expect("a time");
        build_request(&subscription, message, &self.vapid, now).expect("it can be built")
    }

    fn request(&self) -> Request<Bytes> {
        self.request_to(&self.browser, &Message::text("hello"))
    }

    async fn send(&self, request: Request<Bytes>) -> Answer {
        self.client.send(request).await.expect("it answers")
    }

    async fn assert_accepted(&self, what: &str, request: Request<Bytes>) {
        let before = self.service.deliveries().len();
        let answer = self.send(request).await;
        let status = answer.status;
        let body = answer.read().await;
        assert_eq!(status, 201, "{what}: {body:?}");
        assert_eq!(self.service.deliveries().len(), before + 1, "{what}");
    }

    async fn assert_refused(
        &self,
        what: &str,
        request: Request<Bytes>,
        (status, errno, message): (u16, u16, &str),
    ) {
        let before = self.service.deliveries().len();
        let path = request.uri().path().to_owned();
        let answer = self.send(request).await;
        assert_eq!(answer.status, status, "{what}");
        let json = answer.json().await;
        assert_eq!(json["code"], status, "{what}: {json}");
        assert_eq!(json["errno"], errno, "{what}: {json}");
        assert!(json["error"].is_string(), "{what}: {json}");
        let text = json["message"].as_str().unwrap_or_default();
        assert!(text.contains(message), "{what}: {json}");

        assert_eq!(self.service.deliveries().len(), before, "{what}");
        let refused = self.service.refused();
        let last = refused.last().expect("it was noted");
        assert_eq!((last.why.status, last.why.errno), (status, errno), "{what}");
        assert_eq!(
            (&last.path, last.why.message.as_str()),
            (&path, text),
            "{what}"
        );
    }
}

fn set(request: &mut Request<Bytes>, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("a header's value");
    let name = HeaderName::from_static(name);
    request.headers_mut().insert(name, value);
}

fn edit_body(request: &mut Request<Bytes>, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut body = request.body().to_vec();
    edit(&mut body);
    *request.body_mut() = Bytes::from(body);
}

#[tokio::test]
async fn the_push_service_accepts_and_decrypts_pushcast_s_requests() {
    let scene = Scene::new().await;
    let message = Message {
        ttl: 60,
        urgency: Some(Urgency::High),
        topic: Some("news".parse::<Topic>().expect("a topic")),
        ..Message::text(r#"{"text": "hello"}"#)
    };
    let answer = scene.send(scene.request_to(&scene.browser, &message)).await;
    assert_eq!(answer.status, 201);
    let location = answer.headers["location"].to_str().expect("ASCII");
    assert!(location.starts_with(&scene.service.origin()), "{location}");
    assert_eq!(answer.headers["ttl"], "60");

    let [delivery] = &scene.service.deliveries()[..] else {
        panic!("one delivery: {:?}", scene.service);
    };
    assert_eq!(delivery.json(), json!({"text": "hello"}));
    assert_eq!(delivery.ttl, 60);
    assert_eq!(delivery.urgency.as_deref(), Some("high"));
    assert_eq!(delivery.topic.as_deref(), Some("news"));
    assert_eq!(delivery.headers["content-encoding"], "aes128gcm");
    assert_eq!(delivery.http_version, Version::HTTP_2);
    assert_eq!(delivery.authorization, delivery.headers["authorization"]);
    assert_eq!(delivery.connection, 0);
    assert_eq!(delivery.id, scene.browser.id());
}

#[tokio::test]
async fn the_push_service_decrypts_every_form_of_message() {
    let scene = Scene::new().await;
    let payloads = [
        &b"x"[..],
        "h\u{e9}llo\0\0".as_bytes(),
        &[0; 200],
        &[7; 3993],
    ];
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        for padding in [Padding::None, Padding::Bucket, Padding::Maximum] {
            for payload in payloads {
                let message = Message {
                    payload: payload.to_vec(),
                    encoding,
                    padding,
                    ..Message::default()
                };
                let what = format!("{encoding:?}, {padding:?}, {} bytes", payload.len());
                let request = scene.request_to(&scene.browser, &message);
                scene.assert_accepted(&what, request).await;
                let read = scene.service.deliveries().pop().expect("it was delivered");
                assert_eq!(read.text, payload, "{what}");
            }
        }
    }
    let nothing = scene.request_to(&scene.browser, &Message::default());
    scene.assert_accepted("no payload", nothing).await;
    let read = scene.service.deliveries().pop().expect("it was delivered");
    assert_eq!((read.text.len(), read.ttl), (0, 0));
}

#[tokio::test]
async fn the_push_service_decrypts_another_library_s_message() {
    let scene = Scene::new().await;
    let decode = |text: String| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (p256dh, auth) = (decode(scene.browser.p256dh()), decode(scene.browser.auth()));
    let mut request = scene.request();
    *request.body_mut() = ece::encrypt(&p256dh, &auth, b"by ece")
        .expect("it encrypts")
        .into();
    scene.assert_accepted("ece's aes128gcm", request).await;
    let read = scene.service.deliveries().pop().expect("it was delivered");
    assert_eq!(read.text, b"by ece");
}

#[tokio::test]
async fn the_push_service_takes_only_posts_to_living_subscriptions() {
    let scene = Scene::new().await;
    let mut get = scene.request();
    *get.method_mut() = http::Method::GET;
    scene.assert_refused("GET", get, (405, 0, "")).await;

    for path in ["/wpush/v2/somebody", "/wpush/v2/", "/wpush/v1/x", "/"] {
        let mut request = scene.request();
        let uri = format!("{}{path}", scene.service.origin());
        *request.uri_mut() = uri.parse().expect("a URI");
        scene.assert_refused(path, request, (404, 102, "")).await;
    }

    scene.service.forget(&scene.browser);
    let request = scene.request();
    scene.assert_refused("gone", request, (410, 106, "")).await;
    let other = scene.service.subscribe(None);
    let request = scene.request_to(&other, &Message::text("hello"));
    scene.assert_accepted("another subscription", request).await;
}

/// A topic of 33 characters.
const TOO_LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const WRONG_HEADERS: [(&str, &str, (u16, u16, &str)); 17] = [
    ("ttl", "", (400, 111, "not a number")),
    ("ttl", "soon", (400, 111, "not a number")),
    ("ttl", "-1", (400, 111, "not a number")),
    ("ttl", "+1", (400, 111, "not a number")),
    ("ttl", "1.0", (400, 111, "not a number")),
    ("topic", TOO_LONG, (400, 113, "Topic")),
    ("topic", "", (400, 113, "Topic")),
    ("topic", "news of today", (400, 113, "Topic")),
    ("topic", "bmV3cw==", (400, 113, "Topic")),
    ("urgency", "urgent", (400, 110, "Urgency")),
    ("urgency", "High", (400, 110, "Urgency")),
    ("x-wns-type", "wns/raw", (400, 110, "x-wns-type")),
    (
        "x-wns-cache-policy",
        "cache",
        (400, 110, "x-wns-cache-policy"),
    ),
    ("content-encoding", "gzip", (400, 110, "Content-Encoding")),
    ("content-encoding", "aesgcm", (400, 110, "lacks encryption")),
    (
        "encryption",
        "salt=AAAAAAAAAAAAAAAAAAAAAA",
        (400, 110, "no encryption header"),
    ),
    ("crypto-key", "dh=AAAA", (400, 110, "no crypto-key header")),
];

#[tokio::test]
async fn a_wrong_header_is_refused() {
    let scene = Scene::new().await;
    for (name, value, refusal) in WRONG_HEADERS {
        let mut request = scene.request();
        set(&mut request, name, value);
        let what = format!("{name}: {value}");
        scene.assert_refused(&what, request, refusal).await;
    }
    for (name, refusal) in [
        ("ttl", (400, 111, "Missing TTL")),
        ("content-encoding", (400, 110, "Content-Encoding")),
        ("authorization", (401, 109, "Missing VAPID")),
    ] {
        let mut request = scene.request();
        request.headers_mut().remove(name);
        scene.assert_refused(name, request, refusal).await;
        let mut request = scene.request();
        let value = request.headers()[name].clone();
        request.headers_mut().append(name, value);
        let twice = (refusal.0, refusal.1, "more than once");
        scene.assert_refused(name, request, twice).await;
    }
    for (name, value) in [
        ("ttl", "0"),
        ("ttl", "2419200"),
        ("urgency", "very-low"),
        ("topic", &TOO_LONG[1..]),
    ] {
        let mut request = scene.request();
        set(&mut request, name, value);
        scene.assert_accepted(value, request).await;
    }
}

#[tokio::test]
async fn aesgcm_needs_both_of_its_headers() {
    let scene = Scene::new().await;
    let message = Message {
        encoding: ContentEncoding::Aesgcm,
        ..Message::text("hello")
    };
    let good = || scene.request_to(&scene.browser, &message);
    for (name, part) in [("encryption", "salt="), ("crypto-key", "dh=")] {
        let mut without = good();
        without.headers_mut().remove(name);
        scene
            .assert_refused(name, without, (400, 110, "lacks"))
            .await;
        let mut empty = good();
        set(&mut empty, name, "keyid=p256dh");
        scene.assert_refused(name, empty, (400, 110, part)).await;
        let mut short = good();
        set(&mut short, name, &format!("{part}AAAA"));
        scene
            .assert_refused(name, short, (400, 110, "16 octets"))
            .await;
        let mut others = good();
        let value = scene.request_to(&scene.browser, &message).headers()[name].clone();
        others.headers_mut().insert(name, value);
        scene
            .assert_refused(name, others, (400, 110, "decrypted"))
            .await;
    }
    let mut records = good();
    let salt = records.headers()["encryption"]
        .to_str()
        .expect("ASCII")
        .to_owned();
    set(&mut records, "encryption", &format!("{salt};rs=20"));
    scene
        .assert_refused("rs=20", records, (400, 110, "one record"))
        .await;
    let mut nonsense = good();
    set(&mut nonsense, "encryption", &format!("{salt};rs=all"));
    scene
        .assert_refused("rs=all", nonsense, (400, 110, "rs is"))
        .await;
}

type Edit = Box<dyn FnOnce(&mut Vec<u8>)>;

const DECRYPTED: (u16, u16, &str) = (400, 110, "cannot be decrypted");

fn unreadable_bodies() -> Vec<(&'static str, Edit, (u16, u16, &'static str))> {
    let rs =
        |rs: u32| -> Edit { Box::new(move |body| body[16..20].copy_from_slice(&rs.to_be_bytes())) };
    vec![
        (
            "4097 octets",
            Box::new(|body| body.resize(4097, 0)),
            (413, 104, "too large"),
        ),
        (
            "5 MB",
            Box::new(|body| body.resize(5_000_000, 0)),
            (413, 104, "too large"),
        ),
        (
            "4096 octets of nonsense",
            Box::new(|body| body.resize(4096, 0)),
            DECRYPTED,
        ),
        ("nothing", Box::new(Vec::clear), (400, 110, "of nothing")),
        (
            "a header alone",
            Box::new(|body| body.truncate(86)),
            (400, 110, "too short"),
        ),
        (
            "a header and a tag",
            Box::new(|body| body.truncate(102)),
            (400, 110, "too short"),
        ),
        ("rs 0", rs(0), (400, 110, "rs 0")),
        ("rs 17", rs(17), (400, 110, "rs 17")),
        ("rs 2^31", rs(1 << 31), (400, 110, "out of reason")),
        ("two records", rs(100), (400, 110, "more than one record")),
        ("another salt", Box::new(|body| body[0] ^= 1), DECRYPTED),
        (
            "a short key id",
            Box::new(|body| body[20] = 64),
            (400, 110, "key id"),
        ),
        (
            "a point off the curve",
            Box::new(|body| body[80] ^= 1),
            DECRYPTED,
        ),
        ("a broken octet", Box::new(|body| body[90] ^= 1), DECRYPTED),
        (
            "a lost octet",
            Box::new(|body| body.truncate(body.len() - 1)),
            DECRYPTED,
        ),
    ]
}

#[tokio::test]
async fn a_body_that_no_browser_could_read_is_refused() {
    let scene = Scene::new().await;
    for (what, edit, refusal) in unreadable_bodies() {
        let mut request = scene.request();
        edit_body(&mut request, edit);
        scene.assert_refused(what, request, refusal).await;
    }

    let mut for_another = scene.request();
    let other = scene.service.subscribe(None);
    *for_another.uri_mut() = other.endpoint().parse().expect("a URI");
    scene
        .assert_refused("another's message", for_another, DECRYPTED)
        .await;
}

/// Encrypts a record as given, with its delimiter and padding (RFC 8291, section 3.4).
fn seal(browser: &Browser, record: &[u8]) -> Bytes {
    let decode = |text: String| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let (ua_public, auth) = (decode(browser.p256dh()), decode(browser.auth()));
    let hmac = |key: &[u8], parts: &[&[u8]]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, &parts.concat()).as_ref().to_vec()
    };
    let as_private = PrivateKey::generate(&ECDH_P256).expect("there is randomness");
    let as_public = as_private.compute_public_key().expect("it has one");
    let as_public = as_public.as_ref();
    let peer = UnparsedPublicKey::new(&ECDH_P256, &ua_public);
    let prk_key = agree(&as_private, peer, (), |secret| Ok(hmac(&auth, &[secret])));
    let prk_key = prk_key.expect("both are points");
    let info = [b"WebPush: info\0", &ua_public[..], as_public, &[1]];
    let salt = [7; 16];
    let prk = hmac(&salt, &[&hmac(&prk_key, &info)]);
    let cek = hmac(&prk, &[b"Content-Encoding: aes128gcm\0\x01"]);
    let nonce = hmac(&prk, &[b"Content-Encoding: nonce\0\x01"]);

    let key = UnboundKey::new(&AES_128_GCM, &cek[..16]).expect("16 octets");
    let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).expect("12 octets");
    let mut sealed = record.to_vec();
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .expect("it is short");
    let rs = 4096_u32.to_be_bytes();
    [&salt, &rs[..], &[65], as_public, &sealed].concat().into()
}

#[tokio::test]
async fn an_encrypted_empty_message_is_refused() {
    let scene = Scene::new().await;
    let with = |record| {
        let mut request = scene.request();
        *request.body_mut() = seal(&scene.browser, record);
        request
    };
    scene.assert_accepted("one octet", with(b"x\x02")).await;
    scene.assert_accepted("padded", with(b"x\x02\0\0")).await;
    let empty = (400, 110, "an empty message");
    scene.assert_refused("empty", with(b"\x02"), empty).await;
    scene
        .assert_refused("padded", with(b"\x02\0\0"), empty)
        .await;
    let decrypted = (400, 110, "cannot be decrypted");
    for record in [&b"x\x01"[..], b"x", b"\0\0"] {
        let what = format!("the record {record:?}");
        scene.assert_refused(&what, with(record), decrypted).await;
    }
}

#[tokio::test]
async fn the_push_service_speaks_only_the_configured_protocols() {
    let http1: &[&[u8]] = &[b"http/1.1"];
    for (builder, alpn, version) in [
        (PushService::builder(), BOTH, Version::HTTP_2),
        (PushService::builder(), http1, Version::HTTP_11),
        (PushService::builder().http1_only(), BOTH, Version::HTTP_11),
        (PushService::builder().http2_only(), BOTH, Version::HTTP_2),
        (PushService::builder().plain(), BOTH, Version::HTTP_11),
    ] {
        let mut scene = Scene::with(builder).await;
        scene.client = Client::connect(&scene.service, alpn)
            .await
            .expect("it listens");
        scene.assert_accepted("a message", scene.request()).await;
        scene.assert_accepted("a second one", scene.request()).await;
        let deliveries = scene.service.deliveries_to(&scene.browser);
        let how = |d: &Delivery| (d.http_version, d.connection);
        assert_eq!(
            deliveries.iter().map(how).collect::<Vec<_>>(),
            [(version, 1); 2]
        );
        assert_eq!(scene.service.connections(), 2);
    }
    let service = PushService::builder().http2_only().start().await;
    assert!(Client::connect(&service, http1).await.is_err());
}

#[tokio::test]
async fn the_push_service_handles_refusals_and_chunked_bodies_over_http1() {
    let scene = Scene::with(PushService::builder().http1_only()).await;
    let mut chunked = scene.request();
    set(&mut chunked, "transfer-encoding", "chunked");
    scene
        .assert_refused("chunked", chunked, (400, 110, "Content-Length"))
        .await;
    let mut no_ttl = scene.request();
    no_ttl.headers_mut().remove("ttl");
    scene
        .assert_refused("no TTL", no_ttl, (400, 111, "TTL"))
        .await;
}

#[tokio::test]
async fn each_push_service_has_its_own_certificate_authority() {
    let (one, other) = (PushService::start().await, PushService::start().await);
    let ca = |service: &PushService| std::fs::read_to_string(service.ca_file()).expect("PEM");
    assert!(ca(&one).starts_with("-----BEGIN CERTIFICATE-----"));
    assert_ne!(ca(&one), ca(&other));
    assert_ne!(one.origin(), other.origin());
}

#[tokio::test]
async fn the_wall_clock_is_the_default() {
    let service = PushService::start().await;
    let scene = Scene {
        client: Client::connect(&service, BOTH).await.expect("it listens"),
        service,
        ..Scene::new().await
    };
    let browser = scene.service.subscribe(None);
    let now = wall_clock()();
    let message = Message::text("hello");
    let tomorrow = scene.request_at(now + DAY, &browser, &message);
    scene
        .assert_refused("tomorrow's", tomorrow, (401, 109, "24 hours"))
        .await;
    let today = scene.request_at(now, &browser, &message);
    scene.assert_accepted("today's", today).await;
}

#[tokio::test]
async fn a_test_browser_s_json_has_the_form_of_a_page_s() {
    let scene = Scene::new().await;
    let json = scene.browser.to_json_with(json!({"topics": ["news"]}));
    assert_eq!(json["endpoint"], scene.browser.endpoint());
    assert_eq!(json["expirationTime"], Value::Null);
    assert_eq!(json["keys"]["p256dh"].as_str().map(str::len), Some(87));
    assert_eq!(json["keys"]["auth"].as_str().map(str::len), Some(22));
    assert_eq!(json["topics"], json!(["news"]));
}
