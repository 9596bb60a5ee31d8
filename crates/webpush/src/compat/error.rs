//! Answers and errors, both ways.

use std::io;

use http::HeaderMap;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use web_push::WebPushError;

use crate::answer::{Answer, Outcome};
use crate::encrypt::EncryptError;
use crate::push::PushError;
use crate::push_service::PushService;
use crate::request::BuildError;
use crate::vapid::TokenError;

impl From<&Answer> for WebPushError {
    /// The error that `web-push` makes of the same status. Unlike there, it keeps the time to wait of every answer that names
    /// one. An accepted message becomes `Unspecified`, as there is no error for it.
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

/// `web-push` does not export `ErrorInfo`, but the type can be deserialized.
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
            PushError::Build(BuildError::Sign(TokenError::Claims(_))) => Self::InvalidClaims,
            PushError::Build(BuildError::Sign(TokenError::Key(_))) => Self::InvalidCryptoKeys,
            PushError::Build(BuildError::Encrypt(EncryptError::NoData | EncryptError::Crypto)) => {
                Self::Unspecified
            }
            PushError::Build(BuildError::Header(_)) => Self::Unspecified,
            PushError::OtherEndpoint(_) => Self::InvalidUri,
            PushError::NoAnswer(_) | PushError::Client(_) => Self::Io(io::Error::other(error)),
        }
    }
}

/// The outcome that an error of `web-push` stands for. That crate's own clients lose the `Retry-After` of a 429.
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
        // The fault is in this subscription.
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

/// The outcome of the answer that an `ErrorInfo` was made of.
fn read(info: &impl Serialize, service: PushService) -> Outcome {
    let info = serde_json::to_value(info).unwrap_or_default();
    let status = info["code"].as_u64().unwrap_or_default();
    let status = u16::try_from(status).unwrap_or_default();
    let (headers, body) = (HeaderMap::new(), info.to_string());
    // Only a Retry-After with a date needs the time, and there is none.
    let now = Timestamp::UNIX_EPOCH;
    Answer::read(service, status, &headers, body.as_bytes(), now).outcome
}
