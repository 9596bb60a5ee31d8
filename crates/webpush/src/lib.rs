//! Web Push for Rust: encrypt a message, sign it, post it, and read the answer.
//!
//! The protocol half does no I/O, reads no clock and needs no async runtime. The feature `client` (on by default) adds an
//! HTTP client that keeps connections, adapts to what each push service can take, and never follows a redirect.
//!
//! | file | owns | source |
//! |---|---|---|
//! | `endpoint`, `origin`, `host`, `push_service` | where a message may be sent: [`Endpoint`], [`AllowList`] | RFC 8030, section 8.3 |
//! | `subscription` | an endpoint and its keys: [`Subscription`] | Push API, `PushSubscriptionJSON` |
//! | `message`, `urgency`, `topic`, `headers` | payload, TTL and headers: [`Message`] | RFC 8030, section 5 |
//! | `notification` | a declarative payload: [`Notification`] | Push API, declarative push message |
//! | `encrypt`, `decrypt`, [`aes128gcm`], `aesgcm`, `hkdf` | message encryption, both directions | RFC 8291, RFC 8188, RFC 5869 |
//! | [`vapid`] | keys, claims and tokens: [`Vapid`], [`Keyring`] | RFC 8292 |
//! | `request`, `curl` | the HTTP request, also as a curl command: [`build_request`] | RFC 8030, section 5 |
//! | `answer` | the answer, in one table: [`Answer`], [`Outcome`] | RFC 8030, and each service's documents |
//! | [`client`] | connections, time-outs, concurrency: [`Client`] | feature `client` |
//! | `pusher`, `signer`, `push` | many pushes: [`Pusher`]; keys elsewhere: [`Signer`]; one push: [`push()`] | feature `client` |
//! | `compat` | types of the crate `web-push` | feature `web-push` |
//!
//! # Examples
//!
//! Push many messages over kept connections:
//!
//! ```no_run
//! use webpush::{AllowList, Client, Clock, Keyring, Limits, Message, Pusher, Subscription, VapidKey};
//!
//! # async fn example(json: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let key = VapidKey::parse(&std::fs::read("vapid.pem")?)?;
//! let keyring = Keyring::new(key, vec![], Some(&"mailto:push@pushcast.dev".parse()?));
//! let client = Client::new(Limits::default(), None)?;
//! let pusher = Pusher::new(client, keyring, Clock::system());
//!
//! let subscription = Subscription::from_json(json, &AllowList::default())?;
//! let report = pusher.push(&subscription, &Message::text("hello")).await;
//! println!("{}: {:?}", report.outcome().label(), report.detail());
//! # Ok(())
//! # }
//! ```
//!
//! Build a request, post it with any HTTP client, and read the answer:
//!
//! ```
//! use webpush::{AllowList, Answer, Message, Outcome, Subscription, Vapid, VapidKey, build_request};
//!
//! let json = r#"{"endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
//!   "keys": {"p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
//!            "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}"#;
//! let subscription = Subscription::from_json(json, &AllowList::default())?;
//! let vapid = Vapid::new(VapidKey::generate()?, Some("mailto:push@pushcast.dev".parse()?));
//! let now = jiff::Timestamp::from_second(1_800_000_000)?;
//! let request = build_request(&subscription, &Message::text("hello"), &vapid, now)?;
//! assert_eq!(request.headers()["content-encoding"], "aes128gcm");
//!
//! // The status, headers and body that the HTTP client returned.
//! let (status, headers, body) = (410, http::HeaderMap::new(), b"");
//! let answer = Answer::read(subscription.endpoint.service(), status, &headers, body, now);
//! assert_eq!(answer.outcome, Outcome::Gone);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Decrypt a message in a test of your own, as a browser does:
//!
//! ```
//! use webpush::{ContentEncoding, Padding, Coding, Receiver, decrypt, encrypt};
//!
//! let receiver = Receiver::generate()?;
//! let sent = encrypt(receiver.keys(), b"hello", ContentEncoding::Aes128gcm, Padding::default())?;
//! assert_eq!(decrypt(&receiver, Coding::Aes128gcm, &sent.body)?, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod aes128gcm;
mod aesgcm;
mod answer;
pub mod base64url;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
mod clock;
#[cfg(feature = "web-push")]
pub mod compat;
mod curl;
mod decrypt;
mod encrypt;
mod endpoint;
mod headers;
mod hkdf;
mod host;
mod message;
mod notification;
mod origin;
#[cfg(feature = "client")]
mod push;
mod push_service;
#[cfg(feature = "client")]
mod pusher;
mod request;
#[cfg(test)]
mod rfc_examples;
#[cfg(feature = "client")]
mod signer;
mod subscription;
mod topic;
mod urgency;
pub mod vapid;

// Where to send.
pub use endpoint::{AllowList, Endpoint, EndpointError, MAX_ENDPOINT_LEN};
pub use origin::{NotAnOrigin, Origin};
pub use push_service::PushService;
pub use subscription::{Keys, KeysError, Subscription, SubscriptionError};

// What to send.
pub use headers::{ExtraHeaders, HeaderError};
pub use message::{DEFAULT_TTL, Message};
pub use notification::{Notification, NotificationError};
pub use topic::{NotATopic, Topic};
pub use urgency::{NotAnUrgency, Urgency};

// Encrypted and signed.
pub use decrypt::{Coding, Receiver, decrypt};
pub use encrypt::{ContentEncoding, EncryptError, Encrypted, MAX_PLAINTEXT, Padding, encrypt};
pub use vapid::{KeyId, Keyring, SenderClaims, Subject, Vapid, VapidKey};

// Request and answer.
pub use answer::{Answer, Outcome};
pub use curl::{CurlOptions, curl_command};
pub use request::{BuildError, build_authorized, build_request, build_unsigned};

// Sent.
#[cfg(feature = "client")]
pub use client::{Client, Dispatched, Limits};
#[cfg(feature = "client")]
pub use clock::Clock;
#[cfg(feature = "client")]
pub use push::{PushError, push};
#[cfg(feature = "client")]
pub use pusher::{Pusher, Report};
#[cfg(feature = "client")]
pub use signer::{SignError, SignFuture, Signer};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
