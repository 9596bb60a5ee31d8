//! Voluntary Application Server Identification (RFC 8292): who is sending, proved by a signed token.
//!
//! A token is made once per origin and key and reused until it nears its end: signing costs as much as
//! encrypting, and Apple asks that it not be renewed more than once an hour.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::claims::{ClaimsError, SenderClaims, TOKEN_LIFE};
use super::key::{KeyId, VapidKey, VapidKeyError};
use super::subject::Subject;
use crate::base64url;
use crate::endpoint::Origin;

/// A token with less than this left is not used again.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// Workers read the clock before they ask: one may hold a time a moment older than the token.
const CROSSING: SignedDuration = SignedDuration::from_mins(1);
/// Tokens kept. Origins are few, but a host under a service's domain is the subscriber's to choose.
const MAX_TOKENS: usize = 1024;

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
pub enum TokenError {
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

/// One key and its tokens. The private half may be elsewhere: then tokens are signed there, between
/// [`Vapid::unsigned`] and [`Vapid::signed`].
pub struct Vapid {
    key: Option<VapidKey>,
    public: [u8; 65],
    id: KeyId,
    sender: Sender,
    tokens: Mutex<HashMap<Origin, Token>>,
}

/// A token, and between which times it is used.
#[derive(Clone)]
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

/// A token that wants a signature.
#[derive(Debug, Clone)]
pub struct Unsigned {
    input: String,
    since: Timestamp,
    until: Timestamp,
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
        Self::of(*key.public(), Some(key), Sender::Subject(subject))
    }

    /// Signs as `key`, with claims of the sender's own.
    pub fn with_claims(key: VapidKey, claims: SenderClaims) -> Self {
        Self::of(*key.public(), Some(key), Sender::Claims(claims))
    }

    /// Is the key with this public half, whose private one signs elsewhere.
    pub fn elsewhere(public: [u8; 65], subject: Option<Subject>) -> Self {
        Self::of(public, None, Sender::Subject(subject))
    }

    fn of(public: [u8; 65], key: Option<VapidKey>, sender: Sender) -> Self {
        Self {
            id: KeyId::of(&public),
            public,
            key,
            sender,
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
    /// When the signature cannot be made, or would have to be made elsewhere, or the claims are not for this origin or
    /// this time.
    pub fn authorization(
        &self,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<HeaderValue, TokenError> {
        let mut tokens = self.tokens();
        let usable = tokens.get(origin).filter(|token| token.is_usable(now));
        if let Some(token) = usable {
            return Ok(token.authorization.clone());
        }
        let key = self.key.as_ref().ok_or(VapidKeyError::Elsewhere)?;
        let unsigned = self.unsigned(origin, now)?;
        let signature = key.sign(unsigned.input.as_bytes())?;
        let token = self.token(&unsigned, &signature)?;
        keep(&mut tokens, origin, token.clone(), now);
        Ok(token.authorization)
    }

    /// The same, if a token was signed before.
    pub fn signed_before(&self, origin: &Origin, now: Timestamp) -> Option<HeaderValue> {
        let tokens = self.tokens();
        let usable = tokens.get(origin).filter(|token| token.is_usable(now));
        usable.map(|token| token.authorization.clone())
    }

    /// A new token for messages to `origin`, to be signed elsewhere.
    ///
    /// # Errors
    /// When the claims are not for this origin or this time.
    pub fn unsigned(&self, origin: &Origin, now: Timestamp) -> Result<Unsigned, TokenError> {
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
        Ok(Unsigned {
            input,
            // Had the clock been set back by more, `exp` could be too far ahead.
            since: now - CROSSING,
            until,
        })
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
    ) -> Result<HeaderValue, TokenError> {
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
            since: unsigned.since,
            until: unsigned.until,
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
            .field("sender", &self.sender)
            .finish()
    }
}
