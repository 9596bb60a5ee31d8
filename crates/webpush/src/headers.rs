//! Headers of the sender's own, beside those that every push has: whatever a push service wants, and nothing that would
//! break the message.

use std::fmt;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, InvalidHeaderName, InvalidHeaderValue,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::{Map, Value};

use super::base64url;
use super::endpoint::{Endpoint, Origin};
use super::topic::NotATopic;
use super::urgency::NotAnUrgency;

pub(super) const TTL: HeaderName = HeaderName::from_static("ttl");
pub(super) const URGENCY: HeaderName = HeaderName::from_static("urgency");
pub(super) const TOPIC: HeaderName = HeaderName::from_static("topic");
pub(super) const CRYPTO_KEY: HeaderName = HeaderName::from_static("crypto-key");
pub(super) const ENCRYPTION: HeaderName = HeaderName::from_static("encryption");
pub(super) const WNS_CACHE_POLICY: HeaderName = HeaderName::from_static("x-wns-cache-policy");

/// Whether WNS is to keep a message for a device that is not there.
pub(super) fn wns_cache_policy(ttl: u32) -> &'static str {
    if ttl == 0 { "no-cache" } else { "cache" }
}

/// Headers beside those that every push has. [`Message::with_header`](crate::Message::with_header) adds to them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExtraHeaders(HeaderMap);

/// Why a header is refused. Never holds its value: it may be a token.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Not JSON.
    #[error("the headers are not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("the headers must be a JSON object, such as {{\"X-WNS-Type\": \"wns/toast\"}}")]
    NotAnObject,
    /// A list, an object or null.
    #[error("the header {0} must be text, a number, true or false")]
    Form(String),
    /// HTTP has no such names.
    #[error("`{0}` cannot be a header's name")]
    Name(String, #[source] InvalidHeaderName),
    /// HTTP has no such values.
    #[error("the header {0} holds what no header can, such as a line break")]
    Value(HeaderName, #[source] InvalidHeaderValue),
    /// `TTL` is no number.
    #[error("the header TTL must be a whole number of seconds, at most {max}", max = u32::MAX)]
    Ttl,
    /// `Urgency` is none.
    #[error("the header Urgency {0}")]
    Urgency(#[from] NotAnUrgency),
    /// `Topic` is none.
    #[error("the header Topic {0}")]
    Topic(#[from] NotATopic),
    /// It belongs to one hop, and HTTP/2 forbids it (RFC 9113, section 8.2.2).
    #[error("the header {0} is about the connection, which is not the message's to decide")]
    Connection(HeaderName),
    /// Another coding than the body's.
    #[error(
        "the header Content-Encoding is not what the body is in, {0}: the browser could not read the message; leave the header out, or choose the encoding"
    )]
    ContentEncoding(&'static str),
    /// Every message has a salt of its own.
    #[error(
        "the header Encryption cannot be given: each message has a salt of its own, which aesgcm sends there and aes128gcm in the body"
    )]
    Encryption,
    /// The message's own key is missing from it, or is there twice.
    #[error(
        "the header Crypto-Key may add to what aesgcm sends there, without dh=; with aes128gcm push services refuse it (errno 110)"
    )]
    CryptoKey,
    /// It would take the place of the signature.
    #[error(
        "the header Authorization would take the place of this push's own signature: leave the header out, or push without a key"
    )]
    Authorization,
    /// No VAPID token.
    #[error("the header Authorization holds no VAPID token: vapid t=.., k=..")]
    NoToken,
    /// The token would go to a service that it was not made for, which could then use it.
    #[error(
        "the header Authorization holds a token for another push service than {0}: it is never sent there"
    )]
    OtherOrigin(Origin),
    /// Another length than the body's.
    #[error("the header Content-Length is not the length of the encrypted body, {0}")]
    ContentLength(usize),
    /// Another host than the endpoint's.
    #[error("the header Host is not the endpoint's host")]
    Host,
}

impl ExtraHeaders {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets one of them.
    pub(super) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.insert(name, value);
    }

    /// The value of one of them.
    pub fn get(&self, name: &str) -> Option<&HeaderValue> {
        self.0.get(name)
    }

    /// Puts them into `request`, whose own headers are complete. `signed` says that its `Authorization` is ours.
    pub(super) fn apply(
        &self,
        request: &mut Request<Bytes>,
        endpoint: &Endpoint,
        signed: bool,
    ) -> Result<(), HeaderError> {
        let length = request.body().len();
        let authority = request.uri().authority().map(ToString::to_string);
        let headers = request.headers_mut();
        for (name, value) in &self.0 {
            let stands = headers.get(name);
            if *name == CONTENT_ENCODING {
                if stands != Some(value) {
                    let coding = stands.and_then(|coding| match coding.as_bytes() {
                        b"aes128gcm" => Some("aes128gcm"),
                        b"aesgcm" => Some("aesgcm"),
                        _ => None,
                    });
                    return Err(HeaderError::ContentEncoding(
                        coding.unwrap_or("none: there is no body"),
                    ));
                }
            } else if *name == CRYPTO_KEY {
                // `;`, as services misread the comma that the draft asks for.
                let own = stands.ok_or(HeaderError::CryptoKey)?;
                let joined = [value.as_bytes(), b";", own.as_bytes()].concat();
                let joined =
                    HeaderValue::from_bytes(&joined).map_err(|_| HeaderError::CryptoKey)?;
                headers.insert(name, joined);
            } else if *name == AUTHORIZATION {
                if signed && stands != Some(value) {
                    return Err(HeaderError::Authorization);
                }
                check_token(value, endpoint.origin())?;
                headers.insert(name, value.clone());
            } else if *name == CONTENT_LENGTH {
                if value.as_bytes() != length.to_string().as_bytes() {
                    return Err(HeaderError::ContentLength(length));
                }
            } else if *name == HOST {
                if authority.as_deref().map(str::as_bytes) != Some(value.as_bytes()) {
                    return Err(HeaderError::Host);
                }
            } else {
                headers.insert(name, value.clone());
            }
        }
        Ok(())
    }
}

/// Whether a token that someone else signed is for `origin`.
fn check_token(authorization: &HeaderValue, origin: &Origin) -> Result<(), HeaderError> {
    // `vapid t=..`, or `WebPush ..` of the draft before it.
    let token = authorization.to_str().ok().and_then(|text| {
        let (scheme, rest) = text.split_once(' ')?;
        match &*scheme.to_ascii_lowercase() {
            "vapid" => rest
                .split(',')
                .find_map(|part| part.trim().strip_prefix("t=")),
            "webpush" => Some(rest.trim()),
            _ => None,
        }
    });
    let claims = token
        .and_then(|token| token.split('.').nth(1))
        .and_then(|claims| base64url::decode(claims).ok())
        .and_then(|claims| serde_json::from_slice::<Map<String, Value>>(&claims).ok())
        .ok_or(HeaderError::NoToken)?;
    match claims.get("aud").and_then(Value::as_str) {
        Some(audience) if audience == origin.as_str() => Ok(()),
        Some(_) | None => Err(HeaderError::OtherOrigin(origin.clone())),
    }
}

impl fmt::Debug for ExtraHeaders {
    /// Names alone: a value may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
