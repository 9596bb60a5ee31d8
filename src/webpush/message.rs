//! A message and what the push service is asked to do with it (RFC 8030, section 5).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use super::base64url;
use super::encrypt::{ContentEncoding, Padding};
use super::headers::ExtraHeaders;

/// How long a push service keeps a message unless told otherwise: four weeks, as most senders ask.
pub const DEFAULT_TTL: u32 = 4 * 7 * 24 * 60 * 60;

/// One message, to any number of subscriptions.
#[derive(Clone, Default)]
pub struct Message {
    /// Plaintext; empty means a push without a body.
    pub payload: Vec<u8>,
    /// Seconds that the service keeps it; 0 means now or never (RFC 8030, section 5.2).
    pub ttl: u32,
    /// Left out, services take `normal` (RFC 8030, section 5.3).
    pub urgency: Option<Urgency>,
    /// A later message with the same topic replaces one not yet delivered (RFC 8030, section 5.4).
    pub topic: Option<Topic>,
    /// How the payload is encrypted.
    pub encoding: ContentEncoding,
    /// How much its length is hidden.
    pub padding: Padding,
    /// The payload is a declarative notification; Apple wants to be told.
    pub declarative: bool,
    /// Headers beside those that every push has.
    pub headers: ExtraHeaders,
}

impl Message {
    /// A message of plain text, kept four weeks.
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into())
    }

    /// A message of any bytes, kept four weeks.
    pub fn bytes(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: payload.into(),
            ttl: DEFAULT_TTL,
            ..Self::default()
        }
    }

    /// A push without a body, kept four weeks: the service worker is woken, and told nothing.
    pub fn empty() -> Self {
        Self::bytes([])
    }
}

impl fmt::Debug for Message {
    /// Without the payload: it may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .field("ttl", &self.ttl)
            .field("urgency", &self.urgency)
            .field("topic", &self.topic)
            .field("encoding", &self.encoding)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// When a device is woken for a message (RFC 8030, section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// On power and Wi-Fi.
    VeryLow,
    /// On power or Wi-Fi.
    Low,
    /// On neither.
    Normal,
    /// Even on low battery.
    High,
}

impl Urgency {
    const ALL: [Self; 4] = [Self::VeryLow, Self::Low, Self::Normal, Self::High];

    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// The text is not an urgency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of very-low, low, normal, high")]
pub struct NotAnUrgency;

impl FromStr for Urgency {
    type Err = NotAnUrgency;

    fn from_str(text: &str) -> Result<Self, NotAnUrgency> {
        Self::ALL
            .into_iter()
            .find(|urgency| urgency.as_str() == text)
            .ok_or(NotAnUrgency)
    }
}

/// A topic in the form every service takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic(String);

/// The text is not a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 32 characters of A-Z, a-z, 0-9, - and _")]
pub struct NotATopic;

impl Topic {
    /// A topic for any name: 24 octets of its SHA-256, which is 32 characters.
    pub fn for_name(name: &str) -> Self {
        Self(base64url::encode(
            &digest(&SHA256, name.as_bytes()).as_ref()[..24],
        ))
    }

    /// As the header `Topic` holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = NotATopic;

    /// Apple decodes a topic as base64 and refuses lengths that base64 cannot have (1 mod 4: `new_event`). Such
    /// a name travels as [`Topic::for_name`], which folds messages just as well.
    fn from_str(text: &str) -> Result<Self, NotATopic> {
        let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(1..=32).contains(&text.len()) || !text.bytes().all(alphabet) {
            return Err(NotATopic);
        }
        Ok(if text.len() % 4 == 1 {
            Self::for_name(text)
        } else {
            Self(text.to_owned())
        })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
