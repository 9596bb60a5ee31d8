//! To and from the types of the crate `web-push` (feature `web-push`), so that code written on it switches one call at a
//! time.
//!
//! | of the crate | here |
//! |---|---|
//! | `IsahcWebPushClient`, `HyperWebPushClient` | [`CrateClient`], which is a `WebPushClient` too |
//! | `SubscriptionInfo` | [`Subscription::from_web_push`], `TryFrom`, and `From` back |
//! | `WebPushMessage` | [`to_message`], and [`from_message`] back |
//! | `VapidSignature` | [`Vapid::web_push_signature`], and [`Message::with_web_push_signature`] back |
//! | `WebPushError` | `From<&Answer>`, `From<PushError>`, and [`outcome`] back |
//! | `ContentEncoding`, `Urgency` | `From`, both ways |
//!
//! ```
//! use pushcast::web_push::to_message;
//! use pushcast::webpush::{Message, Subscription, Vapid, VapidKey};
//! use web_push::SubscriptionInfo;
//!
//! let info = SubscriptionInfo::new(
//!     "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
//!     "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
//!     "BTBZMqHH6r4Tts7J_aSIgg",
//! );
//! let subscription = Subscription::try_from(&info)?;
//! let vapid = Vapid::new(VapidKey::generate()?, Some("mailto:push@pushcast.dev".parse()?));
//! let now = jiff::Timestamp::from_second(1_800_000_000)?;
//! let message = to_message(&subscription, &Message::text("hello"), Some(&vapid), now)?;
//! assert_eq!(message.ttl, 2_419_200);
//! assert_eq!(SubscriptionInfo::from(&subscription), info);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use web_push::{
    SubscriptionInfo, VapidSignature, WebPushError, WebPushMessage, WebPushPayload, request_builder,
};

use crate::clock::Clock;
use crate::push::{Client, PushError};
use crate::webpush::encrypt::EncryptError;
use crate::webpush::endpoint::EndpointError;
use crate::webpush::headers::HeaderError;
use crate::webpush::request::BuildError;
use crate::webpush::subscription::SubscriptionError;
use crate::webpush::vapid::SignError;
use crate::webpush::{
    AllowList, Answer, ContentEncoding, Endpoint, Keys, Message, Origin, Outcome, PushService,
    Subscription, Urgency, Vapid, base64url, build_request, build_unsigned,
};

impl From<ContentEncoding> for web_push::ContentEncoding {
    fn from(encoding: ContentEncoding) -> Self {
        match encoding {
            ContentEncoding::Aes128gcm => Self::Aes128Gcm,
            ContentEncoding::Aesgcm => Self::AesGcm,
        }
    }
}

impl From<web_push::ContentEncoding> for ContentEncoding {
    fn from(encoding: web_push::ContentEncoding) -> Self {
        match encoding {
            web_push::ContentEncoding::Aes128Gcm => Self::Aes128gcm,
            web_push::ContentEncoding::AesGcm => Self::Aesgcm,
        }
    }
}

impl From<Urgency> for web_push::Urgency {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::VeryLow => Self::VeryLow,
            Urgency::Low => Self::Low,
            Urgency::Normal => Self::Normal,
            Urgency::High => Self::High,
        }
    }
}

impl From<web_push::Urgency> for Urgency {
    fn from(urgency: web_push::Urgency) -> Self {
        match urgency {
            web_push::Urgency::VeryLow => Self::VeryLow,
            web_push::Urgency::Low => Self::Low,
            web_push::Urgency::Normal => Self::Normal,
            web_push::Urgency::High => Self::High,
        }
    }
}

impl Subscription {
    /// Checks a subscription of the crate's, which holds any text.
    ///
    /// # Errors
    /// [`SubscriptionError`] names the member that is wrong.
    pub fn from_web_push(
        info: &SubscriptionInfo,
        allowed: &AllowList,
    ) -> Result<Self, SubscriptionError> {
        Ok(Self {
            endpoint: Endpoint::parse(&info.endpoint, allowed)?,
            keys: Keys::from_base64(&info.keys.p256dh, &info.keys.auth)?,
        })
    }
}

impl TryFrom<&SubscriptionInfo> for Subscription {
    type Error = SubscriptionError;

    /// At one of the browsers' push services.
    fn try_from(info: &SubscriptionInfo) -> Result<Self, SubscriptionError> {
        Self::from_web_push(info, &AllowList::default())
    }
}

impl From<&Subscription> for SubscriptionInfo {
    fn from(subscription: &Subscription) -> Self {
        Self::new(
            subscription.endpoint.as_str(),
            &base64url::encode(subscription.keys.p256dh()),
            &base64url::encode(subscription.keys.auth()),
        )
    }
}

impl Vapid {
    /// The signature for messages to `origin`, as the crate holds it. It is made once per origin, and then reused.
    ///
    /// # Errors
    /// As [`Vapid::authorization`].
    pub fn web_push_signature(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<VapidSignature, SignError> {
        let authorization = self.authorization(origin, now)?;
        let text = authorization.to_str().expect("a token is visible ASCII");
        let token = text.split(['=', ',']).nth(1);
        Ok(VapidSignature {
            auth_t: token.expect("it is t=.., k=..").to_owned(),
            auth_k: self.key().public().to_vec(),
        })
    }
}

impl Message {
    /// The same, signed with a signature that the crate's `VapidSignatureBuilder` made: build it with
    /// [`build_unsigned`]. The crate drops the port from `aud`: a signature for an endpoint with a port is refused then,
    /// as it would be by the push service.
    ///
    /// # Errors
    /// When the signature holds what no header can.
    pub fn with_web_push_signature(self, signature: &VapidSignature) -> Result<Self, HeaderError> {
        let key = base64url::encode(&signature.auth_k);
        let value = format!("vapid t={}, k={key}", signature.auth_t);
        self.with_header(AUTHORIZATION.as_str(), &value)
    }
}

/// A message as the crate's clients send it, encrypted and signed here.
///
/// What the crate has no place for is not in it: the signature of a message without a payload, and headers of the
/// sender's own but `Authorization`.
///
/// # Errors
/// As [`build_request`], and [`build_unsigned`] without a key.
pub fn to_message(
    subscription: &Subscription,
    message: &Message,
    vapid: Option<&Vapid>,
    now: Timestamp,
) -> Result<WebPushMessage, BuildError> {
    let request = match vapid {
        Some(vapid) => build_request(subscription, message, vapid, now)?,
        None => build_unsigned(subscription, message)?,
    };
    let (head, body) = request.into_parts();
    let crypto_headers = ["Encryption", "Crypto-Key", "Authorization"]
        .into_iter()
        .filter_map(|name| {
            let value = head.headers.get(name)?.to_str().ok()?;
            Some((name, value.to_owned()))
        });
    let payload = (!body.is_empty()).then(|| WebPushPayload {
        content: body.to_vec(),
        crypto_headers: crypto_headers.collect(),
        content_encoding: message.encoding.into(),
    });
    Ok(WebPushMessage {
        endpoint: subscription
            .endpoint
            .as_str()
            .parse()
            .expect("an Endpoint was parsed as a URI"),
        ttl: message.ttl,
        urgency: message.urgency.map(Into::into),
        topic: message.topic.as_ref().map(ToString::to_string),
        payload,
    })
}

/// A message that the crate built, as a request to post with [`Client::post`].
///
/// # Errors
/// When the endpoint is not one that may be posted to.
pub fn from_message(
    message: WebPushMessage,
    allowed: &AllowList,
) -> Result<(Endpoint, Request<Bytes>), EndpointError> {
    let endpoint = Endpoint::parse(&message.endpoint.to_string(), allowed)?;
    // The crate stands on an older `http`, whose types are others.
    let (head, body) = request_builder::build_request::<Vec<u8>>(message).into_parts();
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = endpoint
        .as_str()
        .parse()
        .expect("an Endpoint was parsed as a URI");
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(name == AUTHORIZATION);
            request.headers_mut().append(name, value);
        }
    }
    Ok((endpoint, request))
}

/// Sends the crate's messages: in the place of its own clients, over HTTP/2, on connections that are kept.
///
/// ```no_run
/// use pushcast::push::{Client, Limits};
/// use pushcast::web_push::CrateClient;
/// use pushcast::webpush::AllowList;
/// use web_push::{WebPushClient as _, WebPushError, WebPushMessageBuilder};
///
/// # async fn example(builder: WebPushMessageBuilder<'_>) -> Result<(), Box<dyn std::error::Error>> {
/// // Before: IsahcWebPushClient::new()?. What builds the message stays.
/// let client = CrateClient::new(Client::new(Limits::default(), None)?, AllowList::default());
/// match client.send(builder.build()?).await {
///     Err(WebPushError::ServerError { retry_after, .. }) => println!("wait {retry_after:?}"),
///     other => other?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CrateClient {
    client: Client,
    allowed: AllowList,
}

impl CrateClient {
    /// Posts through `client` to what is on the list.
    pub fn new(client: Client, allowed: AllowList) -> Self {
        Self { client, allowed }
    }
}

impl web_push::WebPushClient for CrateClient {
    // As the crate's `#[async_trait]` writes it.
    fn send<'life0, 'async_trait>(
        &'life0 self,
        message: WebPushMessage,
    ) -> Pin<Box<dyn Future<Output = Result<(), WebPushError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let (endpoint, request) =
                from_message(message, &self.allowed).map_err(|_| WebPushError::InvalidUri)?;
            let clock = Clock::system();
            let sent = self.client.post(&endpoint, request, &clock).await;
            sent.map(|_| ()).map_err(Into::into)
        })
    }
}

impl From<&Answer> for WebPushError {
    /// As the crate reads a status, with what it drops: the time to wait, of every answer that names one.
    ///
    /// An answer that is no refusal has no error: `Unspecified`.
    fn from(answer: &Answer) -> Self {
        let info = json!({
            "code": answer.status,
            "errno": answer.errno.and_then(|errno| u16::try_from(errno).ok()).unwrap_or(999),
            "error": answer.reason.as_deref().unwrap_or("unknown error"),
            "message": answer.message.as_deref().unwrap_or("-"),
        });
        match answer.outcome {
            Outcome::Accepted => Self::Unspecified,
            Outcome::Throttled(retry_after) | Outcome::Unavailable(retry_after) => {
                informed(info, |info| Self::ServerError { retry_after, info })
            }
            Outcome::Gone
            | Outcome::Mismatched
            | Outcome::TooLarge
            | Outcome::Unreachable
            | Outcome::OurFault
            | Outcome::Refused => match answer.status {
                400 => informed(info, Self::BadRequest),
                401 => informed(info, Self::Unauthorized),
                404 => informed(info, Self::EndpointNotFound),
                410 => informed(info, Self::EndpointNotValid),
                413 => Self::PayloadTooLarge,
                _ => informed(info, Self::Other),
            },
        }
    }
}

/// The crate keeps the name of its `ErrorInfo` to itself, but not how one is read.
fn informed<T: DeserializeOwned>(
    info: Value,
    error: impl FnOnce(T) -> WebPushError,
) -> WebPushError {
    serde_json::from_value(info).map_or(WebPushError::InvalidResponse, error)
}

impl From<PushError> for WebPushError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Refused(answer) => Self::from(&*answer),
            PushError::Build(BuildError::Encrypt(EncryptError::TooLarge(_))) => {
                Self::PayloadTooLarge
            }
            PushError::Build(BuildError::Sign(SignError::Claims(_))) => Self::InvalidClaims,
            PushError::Build(BuildError::Sign(SignError::Key(_))) => Self::InvalidCryptoKeys,
            PushError::Build(BuildError::Encrypt(EncryptError::NoData | EncryptError::Crypto)) => {
                Self::Unspecified
            }
            PushError::Build(BuildError::Header(_)) => Self::Unspecified,
            PushError::OtherEndpoint(_) => Self::InvalidUri,
            PushError::NoAnswer(_) | PushError::Client(_) => Self::Io(io::Error::other(error)),
        }
    }
}

/// What an error of the crate's means. Its own clients lose the Retry-After of a 429.
pub fn outcome(error: &WebPushError, service: PushService) -> Outcome {
    match error {
        WebPushError::Unauthorized(info)
        | WebPushError::BadRequest(info)
        | WebPushError::NotImplemented(info)
        | WebPushError::Other(info) => read(info, service),
        WebPushError::ServerError { retry_after, info } => match read(info, service) {
            Outcome::Throttled(_) => Outcome::Throttled(*retry_after),
            Outcome::Unavailable(_)
            | Outcome::Accepted
            | Outcome::Gone
            | Outcome::Mismatched
            | Outcome::TooLarge
            | Outcome::Unreachable
            | Outcome::OurFault
            | Outcome::Refused => Outcome::Unavailable(*retry_after),
        },
        WebPushError::EndpointNotValid(_) | WebPushError::EndpointNotFound(_) => Outcome::Gone,
        WebPushError::PayloadTooLarge => Outcome::TooLarge,
        // Of this subscription, not of all.
        WebPushError::InvalidUri | WebPushError::InvalidCryptoKeys => Outcome::Refused,
        WebPushError::InvalidPackageName
        | WebPushError::InvalidTtl
        | WebPushError::InvalidTopic
        | WebPushError::MissingCryptoKeys
        | WebPushError::InvalidClaims => Outcome::OurFault,
        WebPushError::Unspecified
        | WebPushError::Io(_)
        | WebPushError::InvalidResponse
        | WebPushError::ResponseTooLarge => Outcome::Unreachable,
    }
}

/// The crate's `ErrorInfo`, read as the answer that it was made of.
fn read(info: &impl Serialize, service: PushService) -> Outcome {
    let info = serde_json::to_value(info).unwrap_or_default();
    let status = info["code"].as_u64().unwrap_or_default();
    let status = u16::try_from(status).unwrap_or_default();
    let (headers, body) = (HeaderMap::new(), info.to_string());
    // The time is for a Retry-After that is a date: there is none.
    let now = Timestamp::UNIX_EPOCH;
    Answer::read(service, status, &headers, body.as_bytes(), now).outcome
}
