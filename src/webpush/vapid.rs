//! Voluntary Application Server Identification (RFC 8292): who is sending, proved by a signed token.
//!
//! A token is made once per origin and key and reused until it nears its end: signing costs as much as
//! encrypting, and Apple asks that it not be renewed more than once an hour.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use url::{Host, Url};

use super::base64url;
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
    #[error("must be mailto:you@your.domain or https://your.domain")]
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
        let claims = serde_json::to_string(&Wire {
            aud: self.audience,
            exp: self.expires.as_second(),
            sub: self.subject,
        })
        .expect("strings and an integer are JSON");
        let header = base64url::encode(r#"{"typ":"JWT","alg":"ES256"}"#);
        format!("{header}.{}", base64url::encode(claims))
    }
}

/// One key and its tokens. The private half may be elsewhere: then tokens are signed there, between
/// [`Vapid::unsigned`] and [`Vapid::signed`].
pub struct Vapid {
    key: Option<VapidKey>,
    public: [u8; 65],
    id: KeyId,
    subject: Option<Subject>,
    tokens: Mutex<HashMap<Origin, Token>>,
}

#[derive(Clone)]
struct Token {
    authorization: HeaderValue,
    expires: Timestamp,
}

impl Token {
    /// A token from farther in the future means that the clock was set back: its `exp` could be too far ahead.
    fn is_usable(&self, now: Timestamp) -> bool {
        let left = self.expires.duration_since(now);
        left > RENEW_BEFORE && left <= TOKEN_LIFE + CROSSING
    }
}

/// A token that wants a signature.
#[derive(Debug, Clone)]
pub struct Unsigned {
    input: String,
    expires: Timestamp,
}

impl Unsigned {
    /// What is to be signed with ES256.
    pub fn signing_input(&self) -> &str {
        &self.input
    }
}

impl Vapid {
    /// Signs as `key`. Apple refuses a push without `subject`.
    pub fn new(key: VapidKey, subject: Option<Subject>) -> Self {
        Self::of(*key.public(), Some(key), subject)
    }

    /// Is the key with this public half, whose private one signs elsewhere.
    pub fn elsewhere(public: [u8; 65], subject: Option<Subject>) -> Self {
        Self::of(public, None, subject)
    }

    fn of(public: [u8; 65], key: Option<VapidKey>, subject: Option<Subject>) -> Self {
        Self {
            id: KeyId::of(&public),
            public,
            key,
            subject,
            tokens: Mutex::default(),
        }
    }

    /// The key that signs, if it is here.
    pub fn key(&self) -> Option<&VapidKey> {
        self.key.as_ref()
    }

    /// The public key, an uncompressed point: what a page gives as `applicationServerKey`.
    pub fn public(&self) -> &[u8; 65] {
        &self.public
    }

    /// The public key as unpadded base64url.
    pub fn public_base64url(&self) -> String {
        base64url::encode(self.public)
    }

    /// The name of the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The value of `Authorization` for messages to `origin`: `vapid t=<token>, k=<key>` (RFC 8292, section 3).
    ///
    /// # Errors
    /// When the signature cannot be made, or would have to be made elsewhere.
    pub fn authorization(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<HeaderValue, VapidKeyError> {
        let mut tokens = self.tokens();
        if let Some(token) = tokens.get(origin).filter(|token| token.is_usable(now)) {
            return Ok(token.authorization.clone());
        }
        let key = self.key.as_ref().ok_or(VapidKeyError::Elsewhere)?;
        let unsigned = self.unsigned(origin, now);
        let signature = key.sign(unsigned.input.as_bytes())?;
        let token = self.token(&unsigned, &signature)?;
        keep(&mut tokens, origin, token.clone(), now);
        Ok(token.authorization)
    }

    /// The same, if a token was signed before.
    pub fn signed_before(&self, origin: &Origin, now: Timestamp) -> Option<HeaderValue> {
        let tokens = self.tokens();
        let token = tokens.get(origin).filter(|token| token.is_usable(now));
        token.map(|token| token.authorization.clone())
    }

    /// A new token for messages to `origin`, to be signed elsewhere.
    pub fn unsigned(&self, origin: &Origin, now: Timestamp) -> Unsigned {
        let claims = Claims {
            audience: origin.as_str(),
            expires: now + TOKEN_LIFE,
            subject: self.subject.as_ref().map(Subject::as_str),
        };
        Unsigned {
            input: claims.signing_input(),
            expires: claims.expires,
        }
    }

    /// Takes a token for `origin` that was signed elsewhere, `r || s`, to be used until it nears its end.
    ///
    /// # Errors
    /// When it makes no header.
    pub fn signed(
        &self,
        origin: &Origin,
        unsigned: &Unsigned,
        signature: &[u8; 64],
        now: Timestamp,
    ) -> Result<HeaderValue, VapidKeyError> {
        let token = self.token(unsigned, signature)?;
        keep(&mut self.tokens(), origin, token.clone(), now);
        Ok(token.authorization)
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Origin, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, unsigned: &Unsigned, signature: &[u8]) -> Result<Token, VapidKeyError> {
        let value = format!(
            "vapid t={}.{}, k={}",
            unsigned.input,
            base64url::encode(signature),
            self.public_base64url()
        );
        let mut authorization = HeaderValue::from_str(&value).map_err(|_| VapidKeyError::Crypto)?;
        authorization.set_sensitive(true);
        Ok(Token {
            authorization,
            expires: unsigned.expires,
        })
    }
}

fn keep(tokens: &mut HashMap<Origin, Token>, origin: &Origin, token: Token, now: Timestamp) {
    if tokens.len() >= MAX_TOKENS {
        tokens.retain(|_, token| token.is_usable(now));
    }
    // Full of good ones: those stay, or made-up origins could have everyone's tokens renewed all the time.
    if tokens.len() < MAX_TOKENS || tokens.contains_key(origin) {
        tokens.insert(origin.clone(), token);
    }
}

impl fmt::Debug for Vapid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vapid")
            .field("key", &self.id)
            .field("here", &self.key.is_some())
            .field("subject", &self.subject)
            .finish()
    }
}
