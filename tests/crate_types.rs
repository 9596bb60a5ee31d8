//! With the feature `web-push`, a program can replace the crate `web-push` one call at a time.

use std::time::Duration;

use pushcast::clock::Clock;
use web_push::{
    SubscriptionInfo, VapidSignatureBuilder, WebPushClient as _, WebPushError,
    WebPushMessageBuilder, request_builder,
};
use webpush::compat::{CrateClient, from_message, outcome, to_message};
use webpush::{
    AllowList, Answer, ContentEncoding, Message, Origin, Outcome, PushService as Service,
    Subscription, Urgency, Vapid, VapidKey, build_unsigned,
};
use webpush::{Client, Limits, PushError};

use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::Canned;
use crate::support::subscribers::browser::Browser;

const SUBJECT: &str = "mailto:tests@pushcast.dev";

fn info(browser: &Browser) -> SubscriptionInfo {
    serde_json::from_value(browser.to_json()).unwrap()
}

fn allowed(service: &PushService) -> AllowList {
    AllowList::new([Origin::parse(&service.origin()).unwrap()])
}

fn client(service: &PushService) -> Client {
    Client::new(Limits::default(), Some(service.ca_file())).unwrap()
}

/// A signature with a given `aud`, as `web-push` drops the port.
fn signature(key: &VapidKey, info: &SubscriptionInfo, origin: &str) -> web_push::VapidSignature {
    let raw = key.to_raw_base64url();
    let mut builder = VapidSignatureBuilder::from_base64(&raw, info).unwrap();
    builder.add_claim("sub", SUBJECT);
    builder.add_claim("aud", origin);
    builder.build().unwrap()
}

#[tokio::test]
async fn our_client_sends_messages_of_web_push_and_its_builder_sends_ours() {
    let service = PushService::start().await;
    let browser = service.subscribe(None);
    let (info, key) = (info(&browser), VapidKey::generate().unwrap());
    let ours = Subscription::from_web_push(&info, &allowed(&service)).unwrap();
    assert_eq!(SubscriptionInfo::from(&ours), info);
    let sender = CrateClient::new(client(&service), allowed(&service));
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        // Built by `web-push`, sent by this crate.
        let mut builder = WebPushMessageBuilder::new(&info);
        builder.set_payload(encoding.into(), b"theirs");
        builder.set_ttl(60);
        builder.set_urgency(Urgency::High.into());
        builder.set_topic("news".to_owned());
        builder.set_vapid_signature(signature(&key, &info, &service.origin()));
        sender.send(builder.build().unwrap()).await.unwrap();
        let delivered = service.deliveries().pop().unwrap();
        assert_eq!((&delivered.text[..], delivered.ttl), (&b"theirs"[..], 60));
        assert_eq!(delivered.urgency.as_deref(), Some("high"));
        assert_eq!(delivered.topic.as_deref(), Some("news"));

        // Built by this crate in the types of `web-push`, with a payload that the builder there refuses.
        let subject = SUBJECT.parse().unwrap();
        let vapid = Vapid::new(VapidKey::generate().unwrap(), Some(subject));
        let message = Message {
            encoding,
            ttl: 61,
            urgency: Some(Urgency::Low),
            topic: Some("sport".parse().unwrap()),
            ..Message::bytes(vec![7; 3993])
        };
        let message = to_message(&ours, &message, Some(&vapid), Clock::system().now()).unwrap();
        let request = request_builder::build_request::<Vec<u8>>(message);
        assert_eq!(request.headers()["ttl"], "61");
        assert_eq!(request.headers()["content-encoding"], encoding.as_str());
        let message = to_message(
            &ours,
            &Message::text("ours"),
            Some(&vapid),
            Clock::system().now(),
        );
        sender.send(message.unwrap()).await.unwrap();
        assert_eq!(service.deliveries().pop().unwrap().text, b"ours");
    }
}

#[tokio::test]
async fn a_signature_of_either_crate_works_for_a_message_of_the_other() {
    let service = PushService::start().await;
    let browser = service.subscribe(None);
    let (info, key) = (info(&browser), VapidKey::generate().unwrap());
    let subscription = Subscription::from_web_push(&info, &allowed(&service)).unwrap();
    let (client, clock) = (client(&service), Clock::system());

    let theirs = signature(&key, &info, &service.origin());
    let message = Message::text("signed by the crate")
        .with_web_push_signature(&theirs)
        .unwrap();
    let request = build_unsigned(&subscription, &message).unwrap();
    client
        .post(&subscription.endpoint, request, &clock)
        .await
        .unwrap();

    // Without an explicit `aud`, `web-push` drops the port and signs for another origin.
    let mut builder = VapidSignatureBuilder::from_base64(&key.to_raw_base64url(), &info).unwrap();
    builder.add_claim("sub", SUBJECT);
    let portless = Message::text("x").with_web_push_signature(&builder.build().unwrap());
    let refused = build_unsigned(&subscription, &portless.unwrap()).unwrap_err();
    assert!(
        refused.to_string().contains("another push service"),
        "{refused}"
    );

    let vapid = Vapid::new(key, Some(SUBJECT.parse().unwrap()));
    let ours = vapid
        .web_push_signature(subscription.endpoint.origin(), clock.now())
        .unwrap();
    assert_eq!(ours.auth_k, vapid.public());
    let mut builder = WebPushMessageBuilder::new(&info);
    builder.set_payload(web_push::ContentEncoding::Aes128Gcm, b"signed by us");
    builder.set_vapid_signature(ours);
    let sender = CrateClient::new(client, allowed(&service));
    sender.send(builder.build().unwrap()).await.unwrap();
    let texts: Vec<_> = service.deliveries().into_iter().map(|it| it.text).collect();
    assert_eq!(texts, [&b"signed by the crate"[..], b"signed by us"]);
}

#[tokio::test]
async fn refusals_become_errors_of_web_push_with_the_retry_delay() {
    let service = PushService::start().await;
    let browser = service.subscribe(None);
    let info = info(&browser);
    let sender = CrateClient::new(client(&service), allowed(&service));
    let send = async || {
        let message = WebPushMessageBuilder::new(&info).build().unwrap();
        sender.send(message).await.unwrap_err()
    };
    let unsigned = send().await;
    assert!(
        matches!(&unsigned, WebPushError::Unauthorized(info) if info.errno == 109),
        "{unsigned}"
    );
    assert_eq!(outcome(&unsigned, Service::Mozilla), Outcome::OurFault);
    drop(service);
    let unreachable = send().await;
    assert!(matches!(unreachable, WebPushError::Io(_)), "{unreachable}");
    assert_eq!(
        outcome(&unreachable, Service::Mozilla),
        Outcome::Unreachable
    );

    let off_the_list = CrateClient::new(
        Client::new(Limits::default(), None).unwrap(),
        AllowList::default(),
    );
    let message = WebPushMessageBuilder::new(&info).build().unwrap();
    let error = off_the_list.send(message).await.unwrap_err();
    assert!(matches!(error, WebPushError::InvalidUri), "{error}");
}

#[test]
fn an_outcome_survives_both_conversions() {
    let now = Clock::system().now();
    let mut headers = http::HeaderMap::new();
    headers.insert("retry-after", http::HeaderValue::from_static("120"));
    let wait = Some(Duration::from_secs(120));
    let body = |errno: u16, message: &str| {
        serde_json::json!({"code": 0, "errno": errno, "error": "E", "message": message}).to_string()
    };
    for (status, body, expected) in [
        (400, body(110, "bad header"), Outcome::OurFault),
        (400, body(999, "bad"), Outcome::Refused),
        (401, body(109, "Bad token"), Outcome::OurFault),
        (
            401,
            body(109, "VAPID public key mismatch"),
            Outcome::Mismatched,
        ),
        (403, body(999, "no"), Outcome::OurFault),
        (404, body(102, "gone"), Outcome::Gone),
        (410, body(106, "gone"), Outcome::Gone),
        (413, body(104, "large"), Outcome::TooLarge),
        (418, body(999, "teapot"), Outcome::Refused),
        (429, body(999, "slow"), Outcome::Throttled(wait)),
        (503, body(201, "later"), Outcome::Unavailable(wait)),
        (502, "not JSON".to_owned(), Outcome::Unavailable(wait)),
    ] {
        let answer = Answer::read(Service::Mozilla, status, &headers, body.as_bytes(), now);
        assert_eq!(answer.outcome, expected, "{status}");
        let error = WebPushError::from(&answer);
        assert_eq!(
            outcome(&error, Service::Mozilla),
            expected,
            "{status}: {error}"
        );
        let refused = WebPushError::from(PushError::Refused(Box::new(answer)));
        assert_eq!(refused.short_description(), error.short_description());
    }
}

#[tokio::test]
async fn a_retry_delay_from_the_push_service_reaches_callers_of_web_push() {
    let service = PushService::start().await;
    let browser = service.subscribe(None);
    let (info, key) = (info(&browser), VapidKey::generate().unwrap());
    service.answer(&browser, Canned::status(429).header("retry-after", "7"));
    let sender = CrateClient::new(client(&service), allowed(&service));
    let mut builder = WebPushMessageBuilder::new(&info);
    builder.set_payload(web_push::ContentEncoding::Aes128Gcm, b"hello");
    builder.set_vapid_signature(signature(&key, &info, &service.origin()));
    let error = sender.send(builder.build().unwrap()).await.unwrap_err();
    let WebPushError::ServerError { retry_after, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn encodings_and_urgencies_have_the_same_names_in_both_crates() {
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        let theirs = web_push::ContentEncoding::from(encoding);
        assert_eq!(theirs.to_str(), encoding.as_str());
        assert_eq!(ContentEncoding::from(theirs), encoding);
    }
    for urgency in [
        Urgency::VeryLow,
        Urgency::Low,
        Urgency::Normal,
        Urgency::High,
    ] {
        let theirs = web_push::Urgency::from(urgency);
        assert_eq!(theirs.to_string(), urgency.as_str());
        assert_eq!(Urgency::from(theirs), urgency);
    }
}

#[test]
fn subscriptions_of_web_push_are_checked() {
    let bad = SubscriptionInfo::new("https://169.254.169.254/x.google.com/", "AAAA", "AAAA");
    let error = Subscription::try_from(&bad).unwrap_err();
    assert!(error.to_string().starts_with("endpoint"), "{error}");
    let bad = SubscriptionInfo::new("https://fcm.googleapis.com/fcm/send/a", "AAAA", "AAAA");
    let error = Subscription::try_from(&bad).unwrap_err();
    assert!(error.to_string().contains("keys.p256dh"), "{error}");
    let message = WebPushMessageBuilder::new(&bad).build().unwrap();
    let (endpoint, request) = from_message(message, &AllowList::default()).unwrap();
    assert_eq!(*request.uri(), *endpoint.as_str());
}
