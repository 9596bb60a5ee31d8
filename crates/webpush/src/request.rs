//! The HTTP request for one message to one subscription (RFC 8030, section 5).

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use jiff::Timestamp;

use super::answer::Outcome;
use super::base64url;
use super::encrypt::{ContentEncoding, EncryptError, Encrypted, encrypt};
use super::endpoint::PushService;
use super::headers::{
    CRYPTO_KEY, ENCRYPTION, HeaderError, TOPIC, TTL, URGENCY, WNS_CACHE_POLICY, wns_cache_policy,
};
use super::message::Message;
use super::subscription::Subscription;
use super::vapid::{TokenError, Vapid};

/// Why a request cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The payload is too large, or there is no randomness.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// There is no token: the key does not sign, or the claims are not for this endpoint.
    #[error(transparent)]
    Sign(#[from] TokenError),
    /// A header of the sender's own would break the message.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

impl BuildError {
    /// What it means for the push: the message is too large, or something is wrong with us.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Encrypt(EncryptError::TooLarge(_)) => Outcome::TooLarge,
            Self::Encrypt(EncryptError::NoData | EncryptError::Crypto)
            | Self::Sign(_)
            | Self::Header(_) => Outcome::OurFault,
        }
    }
}

/// Encrypts `message` for `subscription`, signs it, and builds the request to post.
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

/// The same with an `Authorization` that is there already: of a key that signs elsewhere.
///
/// # Errors
/// As [`build_request`], without signing.
pub fn build_authorized(
    subscription: &Subscription,
    message: &Message,
    authorization: HeaderValue,
) -> Result<Request<Bytes>, BuildError> {
    let encrypted = encrypt_payload(subscription, message)?;
    assemble(subscription, message, encrypted, Some(authorization))
}

/// The same without a signature: for a subscription that was made without an `applicationServerKey`, or with an
/// `Authorization` among the message's headers that was signed elsewhere.
///
/// # Errors
/// As [`build_request`], without signing.
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
    *request.uri_mut() = subscription
        .endpoint
        .as_str()
        .parse()
        .expect("an Endpoint was parsed as a URI");

    let headers = request.headers_mut();
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
        // WNS answers 400 to TTL 0 unless the cache policy agrees; other services may refuse the header.
        let policy = wns_cache_policy(message.ttl);
        headers.insert(WNS_CACHE_POLICY, HeaderValue::from_static(policy));
    }
    if encrypted.is_none() {
        // WNS wants a length, and over HTTP/1.1 an empty body goes without one.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if let Some(encrypted) = encrypted {
        headers.insert(
            CONTENT_ENCODING,
            HeaderValue::from_static(encrypted.encoding.as_str()),
        );
        let declarative = message.declarative && service == PushService::Apple;
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(if declarative {
                "application/notification+json"
            } else {
                "application/octet-stream"
            }),
        );
        // With aes128gcm both stand in the body, and autopush refuses the headers (errno 110).
        if encrypted.encoding == ContentEncoding::Aesgcm {
            let salt = base64url::encode(encrypted.salt);
            let dh = base64url::encode(encrypted.as_public);
            headers.insert(ENCRYPTION, ascii(&format!("salt={salt}")));
            headers.insert(CRYPTO_KEY, ascii(&format!("dh={dh}")));
        }
        *request.body_mut() = Bytes::from(encrypted.body);
    }
    if !message.headers.is_empty() {
        let endpoint = &subscription.endpoint;
        message.headers.apply(&mut request, endpoint, signed)?;
    }
    Ok(request)
}

fn ascii(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("base64url is visible ASCII")
}
