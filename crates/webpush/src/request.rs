//! The HTTP request for one message to one subscription (RFC 8030, section 5).

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request};
use jiff::Timestamp;

use crate::answer::Outcome;
use crate::base64url;
use crate::encrypt::{ContentEncoding, EncryptError, Encrypted, encrypt};
use crate::headers::{
    CRYPTO_KEY, ENCRYPTION, HeaderError, TOPIC, TTL, URGENCY, WNS_CACHE_POLICY, wns_cache_policy,
};
use crate::message::Message;
use crate::push_service::PushService;
use crate::subscription::Subscription;
use crate::vapid::{TokenError, Vapid};

/// Headers of a request, with a few of the sender's own: more would make the map grow.
const TYPICAL_HEADERS: usize = 12;

/// The request cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The payload is too large, or the system gives no random bytes.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// There is no token: the key cannot sign, or the claims are for another endpoint.
    #[error(transparent)]
    Sign(#[from] TokenError),
    /// One of the sender's own headers would break the message.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl BuildError {
    /// What the error means for a message: it is too large, or the sender is at fault.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Encrypt(EncryptError::TooLarge(_)) => Outcome::TooLarge,
            Self::Encrypt(EncryptError::NoData | EncryptError::Crypto)
            | Self::Sign(_)
            | Self::Header(_) => Outcome::OurFault,
        }
    }
}

/// Encrypts `message` for `subscription`, signs it, and builds the request (`POST`) that any HTTP client may send.
///
/// # Errors
/// [`BuildError::Encrypt`] for a payload that is too large, [`BuildError::Sign`] for claims that are not for this
/// endpoint, [`BuildError::Header`] for a header that would break the message.
pub fn build_request(
    subscription: &Subscription,
    message: &Message,
    vapid: &Vapid,
    now: Timestamp,
) -> Result<Request<Bytes>, BuildError> {
    let authorization = vapid.authorization(subscription.endpoint.origin(), now)?;
    build_authorized(subscription, message, authorization)
}

/// As [`build_request`], with an `Authorization` that was signed before: for a key whose private half is elsewhere.
///
/// # Errors
/// [`BuildError::Encrypt`] and [`BuildError::Header`], as for [`build_request`].
pub fn build_authorized(
    subscription: &Subscription,
    message: &Message,
    authorization: HeaderValue,
) -> Result<Request<Bytes>, BuildError> {
    let encrypted = encrypt_payload(subscription, message)?;
    assemble(subscription, message, encrypted, Some(authorization))
}

/// As [`build_request`], without a signature: for a subscription that was made without an `applicationServerKey`, or for
/// a message whose own headers include an `Authorization`.
///
/// # Errors
/// [`BuildError::Encrypt`] and [`BuildError::Header`], as for [`build_request`].
pub fn build_unsigned(
    subscription: &Subscription,
    message: &Message,
) -> Result<Request<Bytes>, BuildError> {
    let encrypted = encrypt_payload(subscription, message)?;
    assemble(subscription, message, encrypted, None)
}

fn encrypt_payload(
    subscription: &Subscription,
    message: &Message,
) -> Result<Option<Encrypted>, BuildError> {
    Ok(match &message.payload[..] {
        [] => None,
        payload => Some(encrypt(
            &subscription.keys,
            payload,
            message.encoding,
            message.padding,
        )?),
    })
}

fn assemble(
    subscription: &Subscription,
    message: &Message,
    encrypted: Option<Encrypted>,
    authorization: Option<HeaderValue>,
) -> Result<Request<Bytes>, BuildError> {
    let service = subscription.endpoint.service();
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = subscription.endpoint.uri().clone();

    let headers = request.headers_mut();
    headers.reserve(TYPICAL_HEADERS);
    let signed = authorization.is_some();
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization);
    }
    headers.insert(TTL, message.ttl.into());
    if let Some(urgency) = message.urgency {
        headers.insert(URGENCY, HeaderValue::from_static(urgency.as_str()));
    }
    if let Some(topic) = &message.topic {
        headers.insert(TOPIC, ascii(topic.as_str()));
    }
    if service == PushService::Wns {
        // WNS answers 400 to TTL 0 unless the cache policy agrees. Other services may refuse the header.
        let policy = wns_cache_policy(message.ttl);
        headers.insert(WNS_CACHE_POLICY, HeaderValue::from_static(policy));
    }
    if encrypted.is_none() {
        // WNS requires a length, and hyper sends none for an empty body over HTTP/1.1.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if let Some(encrypted) = encrypted {
        let declarative = message.declarative && service == PushService::Apple;
        describe_body(headers, &encrypted, declarative);
        *request.body_mut() = Bytes::from(encrypted.body);
    }
    if !message.headers.is_empty() {
        let endpoint = &subscription.endpoint;
        message.headers.apply(&mut request, endpoint, signed)?;
    }
    Ok(request)
}

fn describe_body(headers: &mut HeaderMap, encrypted: &Encrypted, declarative: bool) {
    let coding = encrypted.encoding.as_str();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    let content_type = if declarative {
        "application/notification+json"
    } else {
        "application/octet-stream"
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // With aes128gcm both values are in the body, and autopush refuses the headers (errno 110).
    if encrypted.encoding == ContentEncoding::Aesgcm {
        let salt = base64url::encode(encrypted.salt);
        let dh = base64url::encode(encrypted.as_public);
        headers.insert(ENCRYPTION, ascii(&format!("salt={salt}")));
        headers.insert(CRYPTO_KEY, ascii(&format!("dh={dh}")));
    }
}

fn ascii(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("base64url is visible ASCII")
}
