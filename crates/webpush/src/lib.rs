//! Web Push for Rust: encrypt a message, sign it, post it, and read the answer.
//!
//! The protocol half does no I/O and reads no clock. The feature `client` (on by default) adds an HTTP client that keeps
//! connections, adapts to what each push service can take, and never follows a redirect.
//!
//! | module | owns | source |
//! |---|---|---|
//! | `endpoint` | where a message may be sent: [`Endpoint`], [`AllowList`] | RFC 8030, section 8.3 |
//! | `subscription` | an endpoint and its keys, checked once: [`Subscription`] | Push API, `PushSubscriptionJSON` |
//! | `message`, `urgency`, `topic`, `headers` | payload, TTL and headers: [`Message`] | RFC 8030, section 5 |
//! | `notification` | the declarative payload: [`Notification`] | Declarative Web Push |
//! | `encrypt`, `decrypt`, [`aes128gcm`], `hkdf` | message encryption, both directions | RFC 8291, RFC 8188 |
//! | [`vapid`] | keys, claims, tokens | RFC 8292 |
//! | `request`, `curl` | the HTTP request, and the same as a command | RFC 8030, section 5 |
//! | `answer` | the answer, read once, in one table: [`Answer`], [`Outcome`] | RFC 8030, and each service's documents |
//! | `client` | connections, time-outs, concurrency: [`Client`] | feature `client` |
//! | `pusher`, `signer` | many pushes: [`Pusher`], [`Signer`] | feature `client` |
//! | [`compat`] | types of the crate `web-push` | feature `web-push` |
//!
//! Build a request and post it with a client of your own:
//!
//! ```
//! use webpush::{AllowList, Message, Subscription, Vapid, VapidKey, build_request};
//!
//! let json = r#"{"endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
//!   "keys": {"p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
//!            "auth": "BTBZMqHH6r4Tts7J_aSIgg"}}"#;
//! let subscription = Subscription::from_json(json, &AllowList::default())?;
//! let vapid = Vapid::new(VapidKey::generate()?, Some("mailto:push@pushcast.dev".parse()?));
//! let now = jiff::Timestamp::from_second(1_800_000_000)?;
//! let request = build_request(&subscription, &Message::text("hello"), &vapid, now)?;
//! assert_eq!(request.headers()["content-encoding"], "aes128gcm");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod aes128gcm;
mod answer;
pub mod base64url;
#[cfg(feature = "client")]
mod client;
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
mod message;
mod notification;
#[cfg(feature = "client")]
mod once;
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

pub use answer::{Answer, Outcome};
#[cfg(feature = "client")]
pub use client::{
    Client, Congestion, ConnectError, Dispatched, ExchangeError, Limiter, Limits, Permit,
    RawAnswer, Signal, TlsError, tls_config,
};
#[cfg(feature = "client")]
pub use clock::Clock;
pub use curl::{CurlOptions, curl_command};
pub use decrypt::{Coding, Receiver, decrypt};
pub use encrypt::{
    ContentEncoding, EncryptError, Encrypted, MAX_PLAINTEXT, Padding, encrypt, encrypt_predictably,
};
pub use endpoint::{
    AllowList, Endpoint, EndpointError, MAX_ENDPOINT_LEN, NotAnOrigin, Origin, PushService,
};
pub use headers::{ExtraHeaders, HeaderError};
pub use message::{DEFAULT_TTL, Message};
pub use notification::{Notification, NotificationError};
#[cfg(feature = "client")]
pub use once::{PushError, push};
#[cfg(feature = "client")]
pub use pusher::{Pusher, Report};
pub use request::{BuildError, build_authorized, build_request, build_unsigned};
#[cfg(feature = "client")]
pub use signer::{SignError, SignFuture, Signer};
pub use subscription::{AUTH_LEN, Keys, KeysError, P256DH_LEN, Subscription, SubscriptionError};
pub use topic::{NotATopic, Topic};
pub use urgency::{NotAnUrgency, Urgency};
pub use vapid::{KeyId, Keyring, SenderClaims, Subject, Vapid, VapidKey};
