//! Web Push as a library: the RFCs, and nothing else. No I/O, no clock, nothing of AWS or tokio.
//!
//! | file | owns | source |
//! |---|---|---|
//! | [`endpoint`] | where a message may be sent | RFC 8030, section 8.3 |
//! | [`subscription`] | an endpoint and its keys, checked once | Push API, `PushSubscriptionJSON` |
//! | [`message`] | payload, TTL, urgency, topic | RFC 8030, section 5 |
//! | [`notification`] | the declarative payload | Declarative Web Push |
//! | [`mod@encrypt`], [`mod@decrypt`] | message encryption, both directions | RFC 8291, draft-ietf-webpush-encryption-04 |
//! | [`aes128gcm`] | the content coding beneath it | RFC 8188 |
//! | [`vapid_key`], [`claims`], [`vapid`] | who is sending: keys, claims, tokens | RFC 8292 |
//! | [`keyring`] | several keys, so that one can be rotated | |
//! | [`headers`] | headers of the sender's own | |
//! | [`request`] | the HTTP request | RFC 8030, section 5 |
//! | [`curl`] | the same, as a command to paste | |
//! | [`outcome`] | the answer, read once, in one table | RFC 8030, and each service's own words |
//!
//! ```
//! use pushcast::webpush::{AllowList, Message, Subscription, Vapid, VapidKey, build_request};
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

pub mod aes128gcm;
pub mod base64url;
pub mod claims;
pub mod curl;
pub mod decrypt;
pub mod encrypt;
pub mod endpoint;
pub mod headers;
mod hkdf;
pub mod keyring;
pub mod message;
pub mod notification;
pub mod outcome;
pub mod request;
#[cfg(test)]
mod rfc_examples;
pub mod subscription;
pub mod vapid;
pub mod vapid_key;

pub use claims::SenderClaims;
pub use decrypt::{Receiver, decrypt};
pub use encrypt::{ContentEncoding, Encrypted, MAX_PLAINTEXT, Padding, encrypt};
pub use endpoint::{AllowList, Endpoint, Origin, PushService};
pub use headers::ExtraHeaders;
pub use keyring::Keyring;
pub use message::{Message, Topic, Urgency};
pub use notification::Notification;
pub use outcome::{Answer, Outcome};
pub use request::{build_request, build_unsigned};
pub use subscription::{Keys, Subscription};
pub use vapid::{Subject, Vapid};
pub use vapid_key::{KeyId, VapidKey};
