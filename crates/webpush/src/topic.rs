//! The topic of a message (RFC 8030, section 5.4).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::base64url;

/// A topic: a later message replaces one with the same topic that is not delivered yet (RFC 8030, section 5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic(String);

/// The text is not a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 32 characters of A-Z, a-z, 0-9, - and _")]
pub struct NotATopic;

impl Topic {
    /// A topic for any name: 24 octets of its SHA-256, which are 32 characters of base64url.
    pub fn for_name(name: &str) -> Self {
        Self(base64url::encode(
            &digest(&SHA256, name.as_bytes()).as_ref()[..24],
        ))
    }

    /// The value of the header `Topic`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = NotATopic;

    /// Apple decodes a topic as base64 and refuses a length that base64 cannot have (1 mod 4: `new_event`). Such a name
    /// becomes [`Topic::for_name`], which replaces messages just as well.
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
