//! Good requests, each with one thing broken: the push service must find that one thing.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use pushcast::webpush::{
    AllowList, ContentEncoding, Message, Origin, Padding, Subscription, Topic, Urgency, Vapid,
    VapidKey, build_request,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::behaviour::{Canned, Whom};
use crate::support::browser::Browser;
use crate::support::checks::wall_clock;
use crate::support::client::{Answer, BOTH, Client};
use crate::support::door::Builder;
use crate::support::push_service::{Delivery, PushService};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 24 * 60 * 60;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A push service whose clock stands still, a subscriber, and an application server whose key it knows.
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

    /// What pushcast sends.
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
async fn what_pushcast_sends_is_taken_and_read() {
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
async fn every_form_of_message_is_read() {
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
async fn a_message_by_another_library_is_read() {
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
async fn only_posts_to_living_subscriptions_are_taken() {
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

#[tokio::test]
async fn a_header_that_is_wrong_is_refused() {
    let scene = Scene::new().await;
    let too_long = "x".repeat(33);
    let cases: &[(&'static str, &str, (u16, u16, &str))] = &[
        ("ttl", "", (400, 111, "not a number")),
        ("ttl", "soon", (400, 111, "not a number")),
        ("ttl", "-1", (400, 111, "not a number")),
        ("ttl", "+1", (400, 111, "not a number")),
        ("ttl", "1.0", (400, 111, "not a number")),
        ("topic", &too_long, (400, 113, "Topic")),
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
    for (name, value, refusal) in cases {
        let mut request = scene.request();
        set(&mut request, name, value);
        let what = format!("{name}: {value}");
        scene.assert_refused(&what, request, *refusal).await;
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
        ("topic", &too_long[1..]),
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

#[tokio::test]
async fn a_body_that_no_browser_could_read_is_refused() {
    type Edit = Box<dyn FnOnce(&mut Vec<u8>)>;
    let rs =
        |rs: u32| -> Edit { Box::new(move |body| body[16..20].copy_from_slice(&rs.to_be_bytes())) };
    let decrypted = (400, 110, "cannot be decrypted");
    let cases: Vec<(&str, Edit, (u16, u16, &str))> = vec![
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
            decrypted,
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
        ("another salt", Box::new(|body| body[0] ^= 1), decrypted),
        (
            "a short key id",
            Box::new(|body| body[20] = 64),
            (400, 110, "key id"),
        ),
        (
            "a point off the curve",
            Box::new(|body| body[80] ^= 1),
            decrypted,
        ),
        ("a broken octet", Box::new(|body| body[90] ^= 1), decrypted),
        (
            "a lost octet",
            Box::new(|body| body.truncate(body.len() - 1)),
            decrypted,
        ),
    ];
    let scene = Scene::new().await;
    for (what, edit, refusal) in cases {
        let mut request = scene.request();
        edit_body(&mut request, edit);
        scene.assert_refused(what, request, refusal).await;
    }

    let mut for_another = scene.request();
    let other = scene.service.subscribe(None);
    *for_another.uri_mut() = other.endpoint().parse().expect("a URI");
    scene
        .assert_refused("another's message", for_another, decrypted)
        .await;
}

/// Encrypts a record as it stands, delimiter and padding included (RFC 8291, section 3.4).
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

/// Signs claims that pushcast would not.
fn token(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let input = format!("{}.{}", encode(header), encode(claims));
    let signature: Signature = key.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn public(key: &SigningKey) -> Vec<u8> {
    let point = key.verifying_key().to_encoded_point(false);
    point.as_bytes().to_vec()
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).expect("a scalar")
}

#[tokio::test]
async fn a_claim_that_is_wrong_is_refused() {
    let scene = Scene::new().await;
    let key = signing_key(1);
    let browser = scene.service.subscribe(Some(&public(&key)));
    let k = URL_SAFE_NO_PAD.encode(public(&key));
    let origin = scene.service.origin();
    let es256 = json!({"typ": "JWT", "alg": "ES256"});
    let request = |header: &Value, change: Value| {
        let mut claims = json!({"aud": origin, "exp": NOW + DAY / 2, "sub": "mailto:me@here.net"});
        claims
            .as_object_mut()
            .expect("an object")
            .extend(change.as_object().expect("an object").clone());
        let mut request = scene.request_to(&browser, &Message::text("hello"));
        let t = token(&key, header, &claims);
        set(
            &mut request,
            "authorization",
            &format!("vapid t={t}, k={k}"),
        );
        request
    };
    for change in [
        json!({}),
        json!({"exp": NOW + DAY}),
        json!({"exp": NOW + 1}),
        json!({"sub": "https://here.net"}),
        json!({"sub": null}),
    ] {
        let what = change.to_string();
        scene.assert_accepted(&what, request(&es256, change)).await;
    }
    let host = origin.rsplit_once(':').expect("a port").0;
    for (change, message) in [
        (json!({"exp": NOW + DAY + 1}), "24 hours"),
        (json!({"exp": NOW}), "past"),
        (json!({"exp": NOW - DAY}), "past"),
        (json!({"exp": (NOW + 600) as f64}), "integer"),
        (json!({"exp": (NOW + 600).to_string()}), "integer"),
        (json!({"exp": null}), "integer"),
        (json!({"exp": (NOW + 600) * 1000}), "24 hours"),
        (json!({"aud": format!("{origin}/")}), "aud"),
        (json!({"aud": browser.endpoint()}), "aud"),
        (json!({"aud": host}), "aud"),
        (json!({"aud": origin.replace("https", "http")}), "aud"),
        (json!({"aud": [origin]}), "aud"),
        (json!({"aud": null}), "aud"),
        (json!({"sub": "me@here.net"}), "sub"),
        (json!({"sub": 7}), "sub"),
    ] {
        let what = change.to_string();
        let request = request(&es256, change);
        scene
            .assert_refused(&what, request, (401, 109, message))
            .await;
    }
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "ES384"}),
        json!({"typ": "JWT"}),
    ] {
        let what = header.to_string();
        let request = request(&header, json!({}));
        scene
            .assert_refused(&what, request, (401, 109, "ES256"))
            .await;
    }
}

#[tokio::test]
async fn a_signature_that_is_wrong_is_refused() {
    let scene = Scene::new().await;
    let (key, other) = (signing_key(1), signing_key(2));
    let browser = scene.service.subscribe(Some(&public(&key)));
    let claims = json!({"aud": scene.service.origin(), "exp": NOW + 600});
    let good = token(&key, &json!({"alg": "ES256"}), &claims);
    let k = URL_SAFE_NO_PAD.encode(public(&key));
    let other_k = URL_SAFE_NO_PAD.encode(public(&other));

    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let raw = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let der = Signature::from_slice(&raw).expect("a signature").to_der();
    let with = |signature: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature));
    let mut broken = raw.clone();
    broken[40] ^= 1;
    let (_, body) = input.split_once('.').expect("two parts");
    let retold = token(
        &key,
        &json!({"alg": "ES256"}),
        &json!({"aud": "https://x.net"}),
    );
    let swapped = format!(
        "{}.{body}.{signature}",
        retold.split('.').next().expect("one")
    );
    let compressed = key.verifying_key().to_encoded_point(true);
    let mut off_curve = public(&key);
    off_curve[64] ^= 1;
    let mismatch = token(&other, &json!({"alg": "ES256"}), &claims);

    let authorize = |value: &str| {
        let mut request = scene.request_to(&browser, &Message::text("hello"));
        set(&mut request, "authorization", value);
        request
    };
    for value in [
        format!("vapid t={good}, k={k}"),
        format!("vapid t={good},k={k}"),
        format!("VAPID k={k}, t={good}"),
        format!("vapid t={swapped}, k={k}"),
    ] {
        scene.assert_accepted(&value, authorize(&value)).await;
    }
    for (value, message) in [
        (
            format!("vapid t={mismatch}, k={other_k}"),
            "VAPID public key mismatch",
        ),
        (format!("vapid t={good}, k={other_k}"), "not by k"),
        (format!("vapid t={mismatch}, k={k}"), "not by k"),
        (format!("vapid t={}, k={k}", with(&broken)), "not by k"),
        (
            format!("vapid t={}, k={k}", with(der.as_bytes())),
            "r and s",
        ),
        (format!("vapid t={}, k={k}", with(&raw[..63])), "r and s"),
        (format!("vapid t={}, k={k}", with(&[])), "r and s"),
        (format!("vapid t={input}, k={k}"), "r and s"),
        (format!("vapid t=nonsense, k={k}"), "not a JWT"),
        (
            format!("vapid t={good}, k={}", URL_SAFE.encode(public(&key))),
            "unpadded",
        ),
        (
            format!("vapid t={good}, k={}", STANDARD.encode(public(&key))),
            "unpadded",
        ),
        (
            format!("vapid t={good}, k={}", URL_SAFE_NO_PAD.encode(compressed)),
            "uncompressed",
        ),
        (
            format!("vapid t={good}, k={}", URL_SAFE_NO_PAD.encode(off_curve)),
            "point of P-256",
        ),
        (format!("vapid t={good}, k="), "uncompressed"),
        (format!("vapid t={good}"), "lacks k="),
        (format!("vapid k={k}"), "lacks t="),
        (format!("WebPush {good}"), "scheme"),
        (format!("Bearer t={good}, k={k}"), "scheme"),
        ("vapid".to_owned(), "scheme"),
    ] {
        let request = authorize(&value);
        scene
            .assert_refused(&value, request, (401, 109, message))
            .await;
    }
}

#[tokio::test]
async fn a_token_that_was_good_is_not_good_for_ever_or_for_all() {
    let clock = Arc::new(AtomicI64::new(NOW));
    let hands = Arc::clone(&clock);
    let service = PushService::builder()
        .clock(move || hands.load(Ordering::SeqCst))
        .start()
        .await;
    let scene = Scene {
        client: Client::connect(&service, BOTH).await.expect("it listens"),
        service,
        ..Scene::new().await
    };
    let ours = scene.service.subscribe(Some(scene.vapid.public()));
    let others = scene.service.subscribe(Some(&public(&signing_key(2))));
    let message = Message::text("hello");
    let first = scene.request_to(&ours, &message);
    scene.assert_accepted("ours", first).await;
    let second = scene.request_to(&others, &message);
    let mismatch = (401, 109, "VAPID public key mismatch");
    scene.assert_refused("another's", second, mismatch).await;

    clock.store(NOW + DAY, Ordering::SeqCst);
    let third = scene.request_to(&ours, &message);
    scene
        .assert_refused("the next day", third, (401, 109, "past"))
        .await;
}

#[tokio::test]
async fn the_protocol_is_what_was_asked_for() {
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
async fn on_http1_too_refusals_and_chunked_bodies_are_told() {
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
async fn each_service_has_an_authority_of_its_own() {
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
async fn a_browser_speaks_as_a_page_does() {
    let scene = Scene::new().await;
    let json = scene.browser.to_json_with(json!({"topics": ["news"]}));
    assert_eq!(json["endpoint"], scene.browser.endpoint());
    assert_eq!(json["expirationTime"], Value::Null);
    assert_eq!(json["keys"]["p256dh"].as_str().map(str::len), Some(87));
    assert_eq!(json["keys"]["auth"].as_str().map(str::len), Some(22));
    assert_eq!(json["topics"], json!(["news"]));
}

#[tokio::test]
async fn canned_answers_come_in_order_and_then_service_returns() {
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
async fn a_behaviour_lasts_until_it_is_called_off_and_hides_no_fault() {
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
async fn a_hanging_request_hangs_until_its_client_goes() {
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
async fn a_reset_is_a_reset() {
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
async fn going_away_loses_nothing_and_makes_clients_reconnect() {
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
    // The limit is known to the client once it has had an answer.
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
async fn a_huge_body_is_huge() {
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
async fn many_requests_at_once_are_counted_right() {
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
