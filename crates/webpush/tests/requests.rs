//! The request for one message to one subscription.

use bytes::Bytes;
use http::{Method, Request};
use jiff::Timestamp;
use webpush::BuildError;
use webpush::Coding;
use webpush::DEFAULT_TTL;
use webpush::EncryptError;
use webpush::{
    AllowList, ContentEncoding, Endpoint, Message, Origin, Receiver, Subscription, Topic, Urgency,
    Vapid, VapidKey, base64url, build_request, decrypt,
};

const FCM: &str = "https://fcm.googleapis.com/fcm/send/a:b-c";
const MOZILLA: &str = "https://updates.push.services.mozilla.com/wpush/v2/gAAAA";
const APPLE: &str = "https://web.push.apple.com/QGuQ";
const WNS: &str = "https://wns2-par02p.notify.windows.com/w/?token=BQ%2b%3d";
const OTHER: &str = "https://push.example.org:8443/p";
const EVERYWHERE: [&str; 5] = [FCM, MOZILLA, APPLE, WNS, OTHER];

fn build_for(
    receiver: &Receiver,
    endpoint: &str,
    message: &Message,
) -> Result<Request<Bytes>, BuildError> {
    let allowed = AllowList::new([Origin::parse("https://push.example.org:8443").unwrap()]);
    let subscription = Subscription {
        endpoint: Endpoint::parse(endpoint, &allowed).unwrap(),
        keys: receiver.keys().clone(),
    };
    let subject = "mailto:push@pushcast.dev".parse().unwrap();
    let vapid = Vapid::new(VapidKey::generate().unwrap(), Some(subject));
    build_request(
        &subscription,
        message,
        &vapid,
        Timestamp::from_second(1_800_000_000).unwrap(),
    )
}

fn build(endpoint: &str, message: &Message) -> Request<Bytes> {
    build_for(&Receiver::generate().unwrap(), endpoint, message).unwrap()
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap());
    assert_eq!(values.next(), None, "{name} once at most");
    value
}

#[test]
fn it_is_posted_to_the_endpoint_as_the_browser_gave_it() {
    for endpoint in EVERYWHERE {
        let request = build(endpoint, &Message::text("hello"));
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::POST, endpoint.to_owned())
        );
    }
}

#[test]
fn it_always_carries_a_ttl() {
    let message = |ttl| Message {
        ttl,
        ..Message::text("hello")
    };
    for ttl in [0, 1, 60, u32::MAX] {
        assert_eq!(
            header(&build(FCM, &message(ttl)), "ttl"),
            Some(&*ttl.to_string())
        );
    }
    assert_eq!(
        header(&build(FCM, &Message::text("hello")), "ttl"),
        Some("2419200")
    );
    assert_eq!(DEFAULT_TTL, 28 * 24 * 60 * 60);
}

#[test]
fn it_carries_an_urgency_and_a_topic_only_when_asked() {
    let plain = build(FCM, &Message::text("hello"));
    assert_eq!(
        (header(&plain, "urgency"), header(&plain, "topic")),
        (None, None)
    );
    for urgency in ["very-low", "low", "normal", "high"] {
        let message = Message {
            urgency: Some(urgency.parse().unwrap()),
            topic: Some("news".parse().unwrap()),
            ..Message::text("hello")
        };
        let request = build(FCM, &message);
        assert_eq!(
            (header(&request, "urgency"), header(&request, "topic")),
            (Some(urgency), Some("news"))
        );
    }
    for text in ["", "High", "urgent", "high "] {
        assert!(text.parse::<Urgency>().is_err(), "{text:?}");
    }
}

#[test]
fn a_topic_that_apple_cannot_decode_travels_hashed_in_32_characters() {
    for text in ["new_event", "spike", "x", "12345678901234567890123456789"] {
        assert_eq!(text.len() % 4, 1);
        let message = Message {
            topic: Some(text.parse().unwrap()),
            ..Message::text("hello")
        };
        let request = build(APPLE, &message);
        let topic = header(&request, "topic").unwrap();
        assert_eq!((topic.len(), topic), (32, Topic::for_name(text).as_str()));
        assert_eq!(base64url::decode(topic).unwrap().len(), 24);
    }
    for text in [
        "ab",
        "abc",
        "abcd",
        "A-Z_a-z0",
        "12345678901234567890123456789012",
    ] {
        assert_eq!(text.parse::<Topic>().unwrap().as_str(), text);
    }
    for text in [
        "",
        "123456789012345678901234567890123",
        "a b",
        "a/b",
        "a=",
        "\u{e9}t\u{e9}",
        "a\r\nb",
    ] {
        assert!(text.parse::<Topic>().is_err(), "{text:?}");
    }
    assert_ne!(Topic::for_name("one"), Topic::for_name("two"));
}

#[test]
fn its_body_is_what_the_receiver_decrypts() {
    let receiver = Receiver::generate().unwrap();
    let request = build_for(&receiver, FCM, &Message::text("hello")).unwrap();
    assert_eq!(
        decrypt(&receiver, Coding::Aes128gcm, request.body()).unwrap(),
        b"hello"
    );
}

#[test]
fn with_aes128gcm_it_carries_no_headers_of_the_old_draft() {
    for endpoint in EVERYWHERE {
        let request = build(endpoint, &Message::text("hello"));
        assert_eq!(header(&request, "content-encoding"), Some("aes128gcm"));
        assert_eq!(
            (
                header(&request, "encryption"),
                header(&request, "crypto-key")
            ),
            (None, None)
        );
    }
}

#[test]
fn with_aesgcm_it_carries_both_and_they_open_the_body() {
    let receiver = Receiver::generate().unwrap();
    let message = Message {
        encoding: ContentEncoding::Aesgcm,
        ..Message::text("hello")
    };
    let request = build_for(&receiver, MOZILLA, &message).unwrap();
    assert_eq!(header(&request, "content-encoding"), Some("aesgcm"));
    let value = |name, prefix| {
        header(&request, name)
            .unwrap()
            .strip_prefix(prefix)
            .unwrap()
    };
    let salt = base64url::decode(value("encryption", "salt=")).unwrap();
    let coding = Coding::Aesgcm {
        salt: &salt.try_into().unwrap(),
        as_public: &base64url::decode(value("crypto-key", "dh=")).unwrap(),
    };
    assert_eq!(
        decrypt(&receiver, coding, request.body()).unwrap(),
        b"hello"
    );
}

#[test]
fn only_apple_is_told_that_a_message_is_declarative() {
    for endpoint in EVERYWHERE {
        for declarative in [false, true] {
            let request = build(
                endpoint,
                &Message {
                    declarative,
                    ..Message::text("{}")
                },
            );
            let expected = if declarative && endpoint == APPLE {
                "application/notification+json"
            } else {
                "application/octet-stream"
            };
            assert_eq!(
                header(&request, "content-type"),
                Some(expected),
                "{endpoint}"
            );
        }
    }
}

#[test]
fn without_a_payload_it_has_no_body_and_says_nothing_of_one() {
    for endpoint in EVERYWHERE {
        for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
            let message = Message {
                encoding,
                declarative: true,
                ..Message::text("")
            };
            let request = build(endpoint, &message);
            assert!(request.body().is_empty());
            for name in [
                "content-encoding",
                "content-type",
                "encryption",
                "crypto-key",
            ] {
                assert_eq!(header(&request, name), None, "{name} to {endpoint}");
            }
            assert_eq!(header(&request, "ttl"), Some("2419200"));
            assert!(
                header(&request, "authorization")
                    .unwrap()
                    .starts_with("vapid t=")
            );
        }
    }
}

#[test]
fn its_token_is_for_the_origin_of_the_endpoint() {
    let origins = [
        (FCM, "https://fcm.googleapis.com"),
        (APPLE, "https://web.push.apple.com"),
        (OTHER, "https://push.example.org:8443"),
    ];
    for (endpoint, origin) in origins {
        let request = build(endpoint, &Message::text("hello"));
        let claims = header(&request, "authorization")
            .unwrap()
            .split('.')
            .nth(1)
            .unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&base64url::decode(claims).unwrap()).unwrap();
        assert_eq!(claims["aud"], origin);
        assert!(request.headers()["authorization"].is_sensitive());
    }
}

#[test]
fn only_wns_is_told_whether_to_cache() {
    for endpoint in EVERYWHERE {
        for (ttl, policy) in [(0, "no-cache"), (1, "cache"), (DEFAULT_TTL, "cache")] {
            let request = build(
                endpoint,
                &Message {
                    ttl,
                    ..Message::text("hello")
                },
            );
            let expected = (endpoint == WNS).then_some(policy);
            assert_eq!(
                header(&request, "x-wns-cache-policy"),
                expected,
                "{endpoint} {ttl}"
            );
            let wns = request
                .headers()
                .keys()
                .filter(|name| name.as_str().starts_with("x-wns-"));
            assert_eq!(wns.count(), usize::from(endpoint == WNS));
        }
    }
}

#[test]
fn a_payload_that_is_too_large_is_no_request() {
    let message = Message {
        payload: vec![0; 4000],
        ..Message::text("")
    };
    let refused = build_for(&Receiver::generate().unwrap(), FCM, &message).unwrap_err();
    assert!(
        matches!(refused, BuildError::Encrypt(EncryptError::TooLarge(4000))),
        "{refused:?}"
    );
    assert!(
        refused.to_string().contains("7 more than the 3993"),
        "{refused}"
    );
}
