//! Voluntary Application Server Identification (RFC 8292): who is sending, proved by a signed token.
//!
//! A token is made once per origin and key and reused until it nears its end: signing costs as much as
//! encrypting, and Apple asks that it not be renewed more than once an hour.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use url::{Host, Url};

use super::base64url;
use super::claims::{ClaimsError, SenderClaims};
use super::endpoint::Origin;
use super::vapid_key::{KeyId, VapidKey, VapidKeyError};

/// How long a token is good for. Services refuse more than 24 hours.
pub const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(12);
/// A token with less than this left is not used again.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// Workers read the clock before they ask: one may hold a time a moment older than the token.
const CROSSING: SignedDuration = SignedDuration::from_mins(1);
/// Tokens kept. Origins are few, but a host under a service's domain is the subscriber's to choose.
const MAX_TOKENS: usize = 1024;

/// Whom a push service may write to about the messages (`sub`; RFC 8292, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// Why a subject is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Not one of the two forms.
    #[error(
        "must be mailto:you@your.domain or https://your.domain: Apple refuses a bare address, a space and <> with 403 BadJwtToken"
    )]
    Form,
    /// A name that no push service can reach.
    #[error(
        "must name a real domain: Apple refuses localhost, .local, .invalid, example.com and IP addresses with 403 BadJwtToken"
    )]
    Domain,
}

impl Subject {
    /// As it stands in the token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',')) {
            return Err(SubjectError::Form);
        }
        let host = if let Some(address) = text.strip_prefix("mailto:") {
            let (user, host) = address.rsplit_once('@').ok_or(SubjectError::Form)?;
            if user.is_empty() || user.contains('@') {
                return Err(SubjectError::Form);
            }
            Host::parse(host).map_err(|_| SubjectError::Form)?
        } else if text.starts_with("https://") {
            let url = Url::parse(text).map_err(|_| SubjectError::Form)?;
            url.host().ok_or(SubjectError::Form)?.to_owned()
        } else {
            return Err(SubjectError::Form);
        };
        match host {
            Host::Domain(domain) if is_public(&domain) => Ok(Self(text.to_owned())),
            Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => Err(SubjectError::Domain),
        }
    }
}

/// Whether a name can belong to anyone (RFC 2606, RFC 6761, RFC 6762).
fn is_public(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    let (rest, top) = domain.rsplit_once('.').unwrap_or(("", domain));
    let second = rest.rsplit('.').next().unwrap_or_default();
    let reserved = matches!(
        top,
        "localhost" | "local" | "invalid" | "test" | "example" | "internal"
    );
    let documentation = second == "example" && matches!(top, "com" | "net" | "org");
    !second.is_empty() && !reserved && !documentation
}

/// The claims of one token (RFC 8292, section 2).
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// `aud`: the endpoint's origin.
    pub audience: &'a str,
    /// `exp`: at most 24 hours ahead.
    pub expires: Timestamp,
    /// `sub`.
    pub subject: Option<&'a str>,
}

impl Claims<'_> {
    /// What is signed: `base64url(header) . base64url(claims)` (RFC 7515, section 5.1), the members in the
    /// order of RFC 8292's example.
    pub fn signing_input(&self) -> String {
        #[derive(Serialize)]
        struct Wire<'a> {
            aud: &'a str,
            exp: i64,
            #[serde(skip_serializing_if = "Option::is_none")]
            sub: Option<&'a str>,
        }
        signing_input(&Wire {
            aud: self.audience,
            exp: self.expires.as_second(),
            sub: self.subject,
        })
    }
}

fn signing_input(claims: &impl Serialize) -> String {
    let claims = serde_json::to_string(claims).expect("strings and numbers are JSON");
    let header = base64url::encode(r#"{"typ":"JWT","alg":"ES256"}"#);
    format!("{header}.{}", base64url::encode(claims))
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key does not sign.
    #[error("the VAPID token cannot be signed: {0}")]
    Key(#[from] VapidKeyError),
    /// The claims are not for this origin, or this time.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// What tokens hold beside `aud` and `exp`.
#[derive(Debug)]
enum Sender {
    Subject(Option<Subject>),
    Claims(SenderClaims),
}

/// One key and its tokens.
pub struct Vapid {
    key: VapidKey,
    id: KeyId,
    sender: Sender,
    tokens: Mutex<HashMap<Origin, Token>>,
}

/// A token, and between which times it is used.
struct Token {
    authorization: HeaderValue,
    since: Timestamp,
    until: Timestamp,
}

impl Token {
    /// From `now` on, if that is not before it was signed.
    fn is_usable(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

impl Vapid {
    /// Signs as `key`. Apple refuses a push without `subject`.
    pub fn new(key: VapidKey, subject: Option<Subject>) -> Self {
        Self::of(key, Sender::Subject(subject))
    }

    /// Signs as `key`, with claims of the sender's own.
    pub fn with_claims(key: VapidKey, claims: SenderClaims) -> Self {
        Self::of(key, Sender::Claims(claims))
    }

    fn of(key: VapidKey, sender: Sender) -> Self {
        Self {
            id: key.id(),
            key,
            sender,
            tokens: Mutex::default(),
        }
    }

    /// The key that signs.
    pub fn key(&self) -> &VapidKey {
        &self.key
    }

    /// The name of the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The value of `Authorization` for messages to `origin`: `vapid t=<token>, k=<key>` (RFC 8292, section 3).
    ///
    /// # Errors
    /// When the signature cannot be made, or the claims are not for this origin or this time.
    pub fn authorization(&self, origin: &Origin, now: Timestamp) -> Result<HeaderValue, SignError> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = tokens.get(origin).filter(|token| token.is_usable(now));
        if let Some(token) = usable {
            return Ok(token.authorization.clone());
        }
        let token = self.sign(origin, now)?;
        let authorization = token.authorization.clone();
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, token| token.is_usable(now));
        }
        // Full of good ones: those stay, or made-up origins could have everyone's tokens renewed all the time.
        if tokens.len() < MAX_TOKENS || tokens.contains_key(origin) {
            tokens.insert(origin.clone(), token);
        }
        Ok(authorization)
    }

    fn sign(&self, origin: &Origin, now: Timestamp) -> Result<Token, SignError> {
        let (input, until) = match &self.sender {
            Sender::Subject(subject) => {
                let claims = Claims {
                    audience: origin.as_str(),
                    expires: now + TOKEN_LIFE,
                    subject: subject.as_ref().map(Subject::as_str),
                };
                (claims.signing_input(), claims.expires - RENEW_BEFORE)
            }
            Sender::Claims(sender) => {
                let (claims, expires) = sender.for_origin(origin, now)?;
                // One that is to end soon is used for half of its time.
                let spare = RENEW_BEFORE.min(expires.duration_since(now) / 2);
                (signing_input(&claims), expires - spare)
            }
        };
        let signature = base64url::encode(self.key.sign(input.as_bytes())?);
        let value = format!(
            "vapid t={input}.{signature}, k={}",
            self.key.public_base64url()
        );
        let mut authorization = HeaderValue::from_str(&value).map_err(|_| VapidKeyError::Crypto)?;
        authorization.set_sensitive(true);
        Ok(Token {
            authorization,
            // Had the clock been set back by more, `exp` could be too far ahead.
            since: now - CROSSING,
            until,
        })
    }
}

impl fmt::Debug for Vapid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vapid")
            .field("key", &self.key)
            .field("sender", &self.sender)
            .finish()
    }
}
