//! The library as programs use it: one call, many pushes, or single steps.

use std::time::Duration;

use futures_util::StreamExt as _;
use pushcast::clock::Clock;
use webpush::BuildError;
use webpush::EncryptError;
use webpush::{
    AllowList, ContentEncoding, Keyring, Message, Origin, Outcome, Padding, Subscription, Vapid,
    VapidKey, build_request, encrypt,
};
use webpush::{Client, Limits, PushError, Pusher, push};

use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::Canned;
use crate::support::subscribers::browser::Browser;

const PATIENCE: Duration = Duration::from_secs(30);

fn subscription(browser: &Browser, service: &PushService) -> Subscription {
    let allowed = AllowList::new([Origin::parse(&service.origin()).unwrap()]);
    Subscription::from_json(&browser.to_json().to_string(), &allowed).unwrap()
}

fn vapid() -> Vapid {
    let subject = "mailto:tests@pushcast.dev".parse().unwrap();
    Vapid::new(VapidKey::generate().unwrap(), Some(subject))
}

#[tokio::test]
async fn one_call_pushes_and_returns_the_answer() {
    // Over plain HTTP, because `push` does not trust the certificate of a local service.
    let service = PushService::builder().plain().start().await;
    let browser = service.subscribe(None);
    let subscription = subscription(&browser, &service);
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        let message = Message {
            encoding,
            ..Message::text("hello")
        };
        let answer = push(&subscription, &message, Some(&vapid()), Limits::default())
            .await
            .unwrap();
        assert_eq!((answer.status, answer.outcome), (201, Outcome::Accepted));
        assert!(answer.location.is_some());
        assert_eq!(service.deliveries().last().unwrap().text, b"hello");
    }
}

#[tokio::test]
async fn a_push_that_is_not_accepted_is_an_error_with_the_answer() {
    let service = PushService::builder().plain().start().await;
    let browser = service.subscribe(None);
    let subscription = subscription(&browser, &service);
    let push = async |message: &Message, vapid: Option<&Vapid>| {
        let pushed = push(&subscription, message, vapid, Limits::default()).await;
        pushed.unwrap_err()
    };
    let unsigned = push(&Message::text("hello"), None).await;
    assert_eq!(unsigned.status(), Some(401));
    assert_eq!(unsigned.answer().unwrap().errno, Some(109));
    assert_eq!(unsigned.outcome(), Outcome::OurFault);
    let said = unsigned.to_string();
    assert!(
        said.contains("401") && said.contains("Missing VAPID"),
        "{said}"
    );

    service.answer(&browser, Canned::status(429).header("retry-after", "120"));
    let throttled = push(&Message::text("hello"), Some(&vapid())).await;
    assert_eq!(throttled.retry_after(), Some(Duration::from_secs(120)));

    let large = push(&Message::bytes(vec![0; 3994]), Some(&vapid())).await;
    assert!(matches!(
        large,
        PushError::Build(BuildError::Encrypt(EncryptError::TooLarge(3994)))
    ));
    assert_eq!((large.status(), large.outcome()), (None, Outcome::TooLarge));
}

#[tokio::test]
async fn a_timeout_or_a_dropped_call_leaves_no_request_in_flight() {
    let service = PushService::builder().plain().start().await;
    let browser = service.subscribe(None);
    let subscription = subscription(&browser, &service);
    service.hang(&browser);
    let (vapid, message) = (vapid(), Message::text("hello"));
    let limits = Limits {
        total: Duration::from_millis(200),
        ..Limits::default()
    };
    let error = push(&subscription, &message, Some(&vapid), limits)
        .await
        .unwrap_err();
    assert!(matches!(error, PushError::NoAnswer(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::Unreachable);
    service.wait_until_idle(PATIENCE).await;

    {
        let call = push(&subscription, &message, Some(&vapid), Limits::default());
        tokio::select! {
            _ = call => panic!("nobody answers"),
            () = service.wait_for_requests(2, PATIENCE) => {}
        }
    }
    service.wait_until_idle(PATIENCE).await;
    assert_eq!(service.requests(), 2);
}

#[tokio::test]
async fn a_pusher_reuses_its_connections_for_many_messages() {
    let service = PushService::start().await;
    let browsers: Vec<Browser> = (0..50).map(|_| service.subscribe(None)).collect();
    service.forget(&browsers[7]);
    let subscriptions: Vec<Subscription> = browsers
        .iter()
        .map(|browser| subscription(browser, &service))
        .collect();
    let subject = "mailto:tests@pushcast.dev".parse().unwrap();
    let keyring = Keyring::new(VapidKey::generate().unwrap(), vec![], Some(&subject));
    let client = Client::new(Limits::default(), Some(service.ca_file())).unwrap();
    let pusher = Pusher::new(client, keyring, Clock::system());
    // In its own task, as in a server.
    let pushed = tokio::spawn(async move {
        for text in ["one", "two", "three"] {
            let message = Message::text(text);
            let reports: Vec<_> = pusher
                .push_to_many(&subscriptions, &message, 10)
                .collect()
                .await;
            assert_eq!(reports.len(), 50);
            for (pushed, report) in reports {
                let gone = *pushed == subscriptions[7];
                let expected = if gone {
                    Outcome::Gone
                } else {
                    Outcome::Accepted
                };
                assert_eq!(*report.outcome(), expected);
            }
        }
    });
    pushed.await.unwrap();
    assert_eq!(service.deliveries().len(), 3 * 49);
    assert!(service.peak_in_flight() <= 10);
    assert!(service.connections() <= 8, "{}", service.connections());
}

#[tokio::test]
async fn a_request_can_be_built_without_sending_and_goes_only_to_its_own_endpoint() {
    let service = PushService::builder().plain().start().await;
    let here = subscription(&service.subscribe(None), &service);
    let there = subscription(&service.subscribe(None), &service);
    let clock = Clock::system();
    let request = build_request(&here, &Message::text("hello"), &vapid(), clock.now()).unwrap();
    assert_eq!(service.requests(), 0);
    let client = Client::new(Limits::default(), None).unwrap();
    let misled = client.post(&there.endpoint, request.clone(), &clock).await;
    assert!(matches!(misled, Err(PushError::OtherEndpoint(_))));
    assert_eq!(service.requests(), 0);
    let answer = client.post(&here.endpoint, request, &clock).await.unwrap();
    assert_eq!(answer.status, 201);
}

#[test]
fn encrypting_no_data_is_an_error() {
    let receiver = webpush::Receiver::generate().unwrap();
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        let refused = encrypt(receiver.keys(), b"", encoding, Padding::Bucket);
        assert_eq!(refused, Err(EncryptError::NoData));
    }
}
