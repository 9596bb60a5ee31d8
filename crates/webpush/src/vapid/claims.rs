//! The claims of a VAPID token (RFC 8292, section 2): as a sender gives them, checked once, and as they are signed for
//! one origin.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::subject::{Subject, SubjectError};
use crate::endpoint::{NotAnOrigin, Origin};

/// How long a token is good for. Services refuse more than 24 hours.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(12);
/// Services refuse a token that is good for longer (RFC 8292, section 2).
pub const MAX_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Claims of the sender's own: whom to write to, and whatever else the token is to hold.
///
/// What is given is read and never changed: `aud` and `exp` are filled in as each token is signed, so the same claims
/// serve every origin, for ever.
///
/// ```
/// use webpush::SenderClaims;
///
/// let claims = SenderClaims::from_json(r#"{"sub": "mailto:push@pushcast.dev", "campaign": 7}"#)?;
/// assert_eq!(claims.subject().as_str(), "mailto:push@pushcast.dev");
///
/// let refused = SenderClaims::from_json(r#"{"sub": "push@pushcast.dev"}"#).unwrap_err();
/// assert!(refused.to_string().contains("BadJwtToken"));
/// # Ok::<(), webpush::claims::ClaimsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderClaims {
    subject: Subject,
    audience: Option<Origin>,
    expires: Option<Timestamp>,
    more: Map<String, Value>,
}

/// Why claims are refused, or not signed for an origin.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// Not JSON.
    #[error("the claims are not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("the claims must be a JSON object, such as {{\"sub\": \"mailto:you@your.domain\"}}")]
    NotAnObject,
    /// `sub` is missing, or no text.
    #[error(
        "the claims need `sub`, mailto:you@your.domain or https://your.domain: without it Apple answers 403 BadJwtToken"
    )]
    NoSubject,
    /// `sub` names nobody.
    #[error("the claim `sub` {0}")]
    Subject(#[source] SubjectError),
    /// `aud` is no origin.
    #[error("the claim `aud`: {0}; left out, it is filled from the endpoint")]
    Audience(#[source] NotAnOrigin),
    /// `aud` is no text.
    #[error("the claim `aud` must be text; left out, it is filled from the endpoint")]
    AudienceForm,
    /// `exp` is no time.
    #[error("the claim `exp` must be a time in Unix seconds; left out, it is 12 hours from now")]
    ExpiryForm,
    /// `exp` is too far ahead.
    #[error(
        "the claim `exp` is {0} s ahead, and push services refuse a token that is good for more than 24 hours (86400 s); left out, it is 12 hours from now"
    )]
    TooLong(i64),
    /// The token would go to a service that it was not made for, which could then use it.
    #[error(
        "the claim `aud` is {given}, and the endpoint is at {origin}: a token for one push service is never sent to another; left out, `aud` is filled from the endpoint"
    )]
    OtherOrigin {
        /// As claimed.
        given: Origin,
        /// Of the endpoint.
        origin: Origin,
    },
}

impl SenderClaims {
    /// `sub` alone.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            audience: None,
            expires: None,
            more: Map::new(),
        }
    }

    /// Reads a JSON object: `sub` is required, `aud` and `exp` may be given, everything else is kept.
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

    /// As [`from_json`](Self::from_json), of an object that was read already.
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

    /// Whom a push service may write to.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// When a token signed `now` ends: as claimed, or in 12 hours when that is not given or past.
    ///
    /// # Errors
    /// [`ClaimsError::TooLong`] for more than 24 hours.
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

    /// The claims of a token for `origin`, signed `now`, and when it ends.
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

/// What pywebpush takes for "not given".
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Unix seconds, also as Python's `time.time()` (a fraction) or as text: services take an integer alone, so that is what
/// is signed.
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
    reason = "what is cut off is the fraction: the range is checked"
)]
fn whole_seconds(seconds: f64) -> Option<i64> {
    (seconds.abs() < 1e15).then_some(seconds as i64)
}
