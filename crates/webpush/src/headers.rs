//! Headers that the sender adds to those of every push: any header that a push service may read, and none that would break
//! the message.

use std::fmt;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, InvalidHeaderName, InvalidHeaderValue,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::{Map, Value};

use crate::base64url;
use crate::endpoint::Endpoint;
use crate::origin::Origin;
use crate::topic::NotATopic;
use crate::urgency::NotAnUrgency;

pub(super) const TTL: HeaderName = HeaderName::from_static("ttl");
pub(super) const URGENCY: HeaderName = HeaderName::from_static("urgency");
pub(super) const TOPIC: HeaderName = HeaderName::from_static("topic");
pub(super) const CRYPTO_KEY: HeaderName = HeaderName::from_static("crypto-key");
pub(super) const ENCRYPTION: HeaderName = HeaderName::from_static("encryption");
pub(super) const WNS_CACHE_POLICY: HeaderName = HeaderName::from_static("x-wns-cache-policy");

/// Value of `X-WNS-Cache-Policy`: whether WNS keeps a message for a device that is offline.
pub(super) fn wns_cache_policy(ttl: u32) -> &'static str {
    if ttl == 0 { "no-cache" } else { "cache" }
}

/// Headers that the sender adds to those of every push, with [`Message::with_header`](crate::Message::with_header).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExtraHeaders(HeaderMap);

/// A header is refused. The error never holds its value, which may be a token.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Not JSON.
    #[error("the headers are not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("the headers must be a JSON object, such as {{\"X-WNS-Type\": \"wns/toast\"}}")]
    NotAnObject,
    /// A JSON list, object or null, where a header needs text.
    #[error("the header {0} must be text, a number, true or false")]
    Form(String),
    /// HTTP has no such name.
    #[error("`{0}` cannot be a header's name")]
    Name(String, #[source] InvalidHeaderName),
    /// HTTP has no such value.
    #[error("the header {0} holds what no header can, such as a line break")]
    Value(HeaderName, #[source] InvalidHeaderValue),
    /// `TTL` is not a number of seconds.
    #[error("the header TTL must be a whole number of seconds, at most {max}", max = u32::MAX)]
    Ttl,
    /// `Urgency` is not an urgency.
    #[error("the header Urgency {0}")]
    Urgency(#[from] NotAnUrgency),
    /// `Topic` is not a topic.
    #[error("the header Topic {0}")]
    Topic(#[from] NotATopic),
    /// The header belongs to the connection, and HTTP/2 forbids it (RFC 9113, section 8.2.2).
    #[error("the header {0} belongs to the connection: a message cannot set it")]
    Connection(HeaderName),
    /// Another content coding than the body's.
    #[error(
        "the header Content-Encoding is not what the body is in, {0}: the browser could not read the message; leave the header out, or choose the encoding"
    )]
    ContentEncoding(&'static str),
    /// Each message has a fresh salt, so the header cannot be given.
    #[error(
        "the header Encryption cannot be given: each message has a salt of its own, which aesgcm sends there and aes128gcm in the body"
    )]
    Encryption,
    /// `Crypto-Key` with `dh=`, or for `aes128gcm`.
    #[error(
        "the header Crypto-Key may add to what aesgcm sends there, without dh=; with aes128gcm push services refuse it (errno 110)"
    )]
    CryptoKey,
    /// `Authorization` would replace the signature.
    #[error(
        "the header Authorization would take the place of this push's own signature: leave the header out, or push without a key"
    )]
    Authorization,
    /// `Authorization` without a VAPID token.
    #[error("the header Authorization holds no VAPID token: vapid t=.., k=..")]
    NoToken,
    /// The token is for another push service. The service that received it could use it there.
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
    /// Whether there are no such headers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets one header.
    pub(super) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.insert(name, value);
    }

    /// The value of one header.
    pub fn get(&self, name: &str) -> Option<&HeaderValue> {
        self.0.get(name)
    }

    /// Adds the headers to `request`, whose own headers are complete. `signed` says that its `Authorization` was made for
    /// this push.
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
            let existing = headers.get(name);
            if *name == CONTENT_ENCODING {
                if existing != Some(value) {
                    let coding = existing.and_then(|coding| match coding.as_bytes() {
                        b"aes128gcm" => Some("aes128gcm"),
                        b"aesgcm" => Some("aesgcm"),
                        _ => None,
                    });
                    return Err(HeaderError::ContentEncoding(
                        coding.unwrap_or("none: there is no body"),
                    ));
                }
            } else if *name == CRYPTO_KEY {
                // Joined by `;`: services misread the comma of the draft.
                let own = existing.ok_or(HeaderError::CryptoKey)?;
                let joined = [value.as_bytes(), b";", own.as_bytes()].concat();
                let joined =
                    HeaderValue::from_bytes(&joined).map_err(|_| HeaderError::CryptoKey)?;
                headers.insert(name, joined);
            } else if *name == AUTHORIZATION {
                if signed && existing != Some(value) {
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

/// Checks that a token, which was signed elsewhere, is for `origin`.
fn check_token(authorization: &HeaderValue, origin: &Origin) -> Result<(), HeaderError> {
    // `vapid t=..` (RFC 8292, section 3), or `WebPush ..` of the draft before it.
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
    /// Only the names, as a value may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
