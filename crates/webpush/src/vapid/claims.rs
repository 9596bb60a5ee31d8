//! The claims of a VAPID token (RFC 8292, section 2): as the sender gives them, and as they are signed for one origin.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::subject::{Subject, SubjectError};
use crate::origin::{NotAnOrigin, Origin};

/// Lifetime of a token, unless the sender gives `exp`.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(12);
/// Longest lifetime of a token: services refuse more (RFC 8292, section 2).
pub const MAX_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The sender's own claims: the contact address `sub`, and any other claims that a token should hold.
///
/// `aud` and `exp` are filled in when a token is signed, and the given claims never change. So the same claims serve
/// every origin at any time.
///
/// ```
/// use webpush::SenderClaims;
///
/// let claims = SenderClaims::from_json(r#"{"sub": "mailto:push@pushcast.dev", "campaign": 7}"#)?;
/// assert_eq!(claims.subject().as_str(), "mailto:push@pushcast.dev");
///
/// let refused = SenderClaims::from_json(r#"{"sub": "push@pushcast.dev"}"#).unwrap_err();
/// assert!(refused.to_string().contains("BadJwtToken"));
/// # Ok::<(), webpush::vapid::ClaimsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderClaims {
    subject: Subject,
    audience: Option<Origin>,
    expires: Option<Timestamp>,
    more: Map<String, Value>,
}

/// The claims are refused, or are not for this origin or this time.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// Not JSON.
    #[error("the claims are not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("the claims must be a JSON object, such as {{\"sub\": \"mailto:you@your.domain\"}}")]
    NotAnObject,
    /// `sub` is missing, or is not text.
    #[error(
        "the claims need `sub`, mailto:you@your.domain or https://your.domain: without it Apple answers 403 BadJwtToken"
    )]
    NoSubject,
    /// `sub` is not a subject.
    #[error("the claim `sub` {0}")]
    Subject(#[source] SubjectError),
    /// `aud` is not an origin.
    #[error("the claim `aud`: {0}; left out, it is filled from the endpoint")]
    Audience(#[source] NotAnOrigin),
    /// `aud` is not text.
    #[error("the claim `aud` must be text; left out, it is filled from the endpoint")]
    AudienceForm,
    /// `exp` is not a time.
    #[error("the claim `exp` must be a time in Unix seconds; left out, it is 12 hours from now")]
    ExpiryForm,
    /// `exp` is too far ahead.
    #[error(
        "the claim `exp` is {0} s ahead, and push services refuse a token that is good for more than 24 hours (86400 s); left out, it is 12 hours from now"
    )]
    TooLong(i64),
    /// The claims are for another push service. The service that received the token could use it there.
    #[error(
        "the claim `aud` is {given}, and the endpoint is at {origin}: a token for one push service is never sent to another; left out, `aud` is filled from the endpoint"
    )]
    OtherOrigin {
        /// The claim `aud`.
        given: Origin,
        /// The endpoint's origin.
        origin: Origin,
    },
}

impl SenderClaims {
    /// Claims with `sub` only.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            audience: None,
            expires: None,
            more: Map::new(),
        }
    }

    /// Reads a JSON object. `sub` is required, `aud` (an origin) and `exp` (Unix seconds) are optional, and all other
    /// members are kept.
    ///
    /// # Errors
    /// [`ClaimsError`] names the claim that is wrong.
    pub fn from_json(text: &str) -> Result<Self, ClaimsError> {
        match serde_json::from_str(text)? {
            Value::Object(claims) => Self::from_map(&claims),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(ClaimsError::NotAnObject),
        }
    }

    /// As [`from_json`](Self::from_json), for an object that was parsed before.
    ///
    /// # Errors
    /// [`ClaimsError`] names the claim that is wrong.
    pub fn from_map(claims: &Map<String, Value>) -> Result<Self, ClaimsError> {
        let given = |name: &str| claims.get(name).filter(|value| !is_blank(value));
        let subject = given("sub").and_then(Value::as_str);
        let subject = subject.ok_or(ClaimsError::NoSubject)?;
        let audience = given("aud").map(|aud| {
            let text = aud.as_str().ok_or(ClaimsError::AudienceForm)?;
            Origin::parse(text).map_err(ClaimsError::Audience)
        });
        let expires = given("exp").map(|exp| instant(exp).ok_or(ClaimsError::ExpiryForm));
        let more = claims
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "sub" | "aud" | "exp"))
            .map(|(name, value)| (name.clone(), value.clone()));
        Ok(Self {
            subject: subject.parse().map_err(ClaimsError::Subject)?,
            audience: audience.transpose()?,
            expires: expires.transpose()?,
            more: more.collect(),
        })
    }

    /// Contact address of the sender.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Expiry of a token that is signed `now`: the given one, or in 12 hours if none is given or if it has passed.
    ///
    /// # Errors
    /// [`ClaimsError::TooLong`] for an expiry more than 24 hours ahead.
    pub fn expiry(&self, now: Timestamp) -> Result<Timestamp, ClaimsError> {
        match self.expires {
            Some(expires) if expires > now => {
                let left = expires.duration_since(now);
                if left > MAX_TOKEN_LIFE {
                    return Err(ClaimsError::TooLong(left.as_secs()));
                }
                Ok(expires)
            }
            Some(_) | None => Ok(now + TOKEN_LIFE),
        }
    }

    /// The claims of a token for `origin` that is signed `now`, and its expiry.
    ///
    /// # Errors
    /// [`ClaimsError::OtherOrigin`] for an `aud` of another service, [`ClaimsError::TooLong`] for an `exp` too far ahead.
    pub fn for_origin(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(Map<String, Value>, Timestamp), ClaimsError> {
        if let Some(given) = self.audience.as_ref().filter(|given| *given != origin) {
            return Err(ClaimsError::OtherOrigin {
                given: given.clone(),
                origin: origin.clone(),
            });
        }
        let expires = self.expiry(now)?;
        let mut claims = Map::new();
        claims.insert("aud".to_owned(), json!(origin.as_str()));
        claims.insert("exp".to_owned(), json!(expires.as_second()));
        claims.insert("sub".to_owned(), json!(self.subject.as_str()));
        claims.extend(self.more.clone());
        Ok((claims, expires))
    }
}

impl From<Subject> for SenderClaims {
    fn from(subject: Subject) -> Self {
        Self::new(subject)
    }
}

/// Whether pywebpush takes the value for one that was not given.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Reads Unix seconds: an integer, a fraction as of Python's `time.time()`, or text. Services accept an integer only, so
/// an integer is signed.
fn instant(value: &Value) -> Option<Timestamp> {
    let seconds = match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().and_then(whole_seconds)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    Timestamp::from_second(seconds?).ok()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "only the fraction is cut off: the range is checked"
)]
fn whole_seconds(seconds: f64) -> Option<i64> {
    (seconds.abs() < 1e15).then_some(seconds as i64)
}
