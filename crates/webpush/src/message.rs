//! A message, and what the push service should do with it (RFC 8030, section 5).

use std::fmt;

use http::header::{
    AUTHORIZATION, CONNECTION, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::encrypt::{ContentEncoding, Padding};
use crate::headers::{
    CRYPTO_KEY, ENCRYPTION, ExtraHeaders, HeaderError, TOPIC, TTL, URGENCY, WNS_CACHE_POLICY,
    wns_cache_policy,
};
use crate::topic::Topic;
use crate::urgency::Urgency;

/// Seconds that a push service keeps a message unless the sender says otherwise: four weeks.
pub const DEFAULT_TTL: u32 = 4 * 7 * 24 * 60 * 60;

/// One message, for any number of subscriptions.
///
/// ```
/// use webpush::{Message, Urgency};
///
/// let message = Message {
///     ttl: 600,
///     urgency: Some(Urgency::High),
///     topic: Some("train-942".parse()?),
///     ..Message::text("Platform 7")
/// };
/// assert_eq!(message.payload, b"Platform 7");
/// # Ok::<(), webpush::NotATopic>(())
/// ```
#[derive(Clone, Default)]
pub struct Message {
    /// Plaintext, at most [`MAX_PLAINTEXT`](crate::MAX_PLAINTEXT) bytes. Empty means a push without a body.
    pub payload: Vec<u8>,
    /// Seconds that the service keeps it for a device that is offline; 0 means now or never (RFC 8030, section 5.2).
    pub ttl: u32,
    /// Without it, services assume `normal` (RFC 8030, section 5.3).
    pub urgency: Option<Urgency>,
    /// A later message with the same topic replaces one that is not delivered yet (RFC 8030, section 5.4).
    pub topic: Option<Topic>,
    /// How the payload is encrypted.
    pub encoding: ContentEncoding,
    /// How much of its length is hidden.
    pub padding: Padding,
    /// The payload is a declarative notification: Apple requires another `Content-Type` for it.
    pub declarative: bool,
    /// Headers that are added to those of every push.
    pub headers: ExtraHeaders,
}

impl Message {
    /// A message of text, kept for four weeks.
    pub fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into())
    }

    /// A message of any bytes, kept for four weeks.
    pub fn bytes(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: payload.into(),
            ttl: DEFAULT_TTL,
            ..Self::default()
        }
    }

    /// A push without a body, kept for four weeks: it only wakes the service worker.
    pub fn empty() -> Self {
        Self::bytes([])
    }
}

impl fmt::Debug for Message {
    /// Without the payload, since the text may end in a log.
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

impl Message {
    /// Adds a header, or replaces its value. `TTL`, `Urgency` and `Topic` set the fields of the message.
    ///
    /// ```
    /// use webpush::Message;
    ///
    /// let message = Message::text("<toast/>")
    ///     .with_header("X-WNS-Type", "wns/toast")?
    ///     .with_header("TTL", "600")?
    ///     .with_header("Content-Type", "text/xml")?;
    /// assert_eq!(message.ttl, 600);
    /// assert_eq!(message.headers.get("x-wns-type").unwrap(), "wns/toast");
    /// # Ok::<(), webpush::HeaderError>(())
    /// ```
    ///
    /// # Errors
    /// [`HeaderError`] for a header that HTTP or the message cannot have. Headers that depend on the encrypted body are
    /// checked by [`build_request`](crate::build_request).
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|error| HeaderError::Name(name.to_owned(), error))?;
        let mut parsed = HeaderValue::from_str(value)
            .map_err(|error| HeaderError::Value(name.clone(), error))?;
        if name == TTL {
            self.ttl = seconds(value).ok_or(HeaderError::Ttl)?;
        } else if name == URGENCY {
            self.urgency = Some(value.trim().parse()?);
        } else if name == TOPIC {
            self.topic = Some(value.trim().parse::<Topic>()?);
        } else if is_connection_header(&name) {
            return Err(HeaderError::Connection(name));
        } else if name == ENCRYPTION {
            return Err(HeaderError::Encryption);
        } else if name == CRYPTO_KEY
            && value
                .split([';', ','])
                .any(|part| part.trim().starts_with("dh="))
        {
            return Err(HeaderError::CryptoKey);
        } else {
            parsed.set_sensitive(name == AUTHORIZATION);
            self.headers.insert(name, parsed);
        }
        Ok(self)
    }

    /// Adds every header of a JSON object, such as `{"X-WNS-Type": "wns/toast", "TTL": 600}`.
    ///
    /// # Errors
    /// [`HeaderError`] as for [`with_header`](Self::with_header), and for anything but such an object.
    pub fn with_headers_from_json(self, text: &str) -> Result<Self, HeaderError> {
        let headers = match serde_json::from_str(text)? {
            Value::Object(headers) => headers,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                return Err(HeaderError::NotAnObject);
            }
        };
        headers.iter().try_fold(self, |message, (name, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(HeaderError::Form(name.clone()));
                }
            };
            message.with_header(name, &value)
        })
    }

    /// Adds `X-WNS-Cache-Policy`, as the TTL is now: `no-cache` for 0, otherwise `cache`. Messages to WNS have the header
    /// anyway; this is for a service elsewhere that understands it.
    pub fn with_wns_cache_policy(mut self) -> Self {
        let policy = HeaderValue::from_static(wns_cache_policy(self.ttl));
        self.headers.insert(WNS_CACHE_POLICY, policy);
        self
    }
}

/// `1*DIGIT` (RFC 8030, section 5.2).
fn seconds(value: &str) -> Option<u32> {
    let value = value.trim();
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().ok())?
}

fn is_connection_header(name: &HeaderName) -> bool {
    [
        CONNECTION,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "expect")
}
