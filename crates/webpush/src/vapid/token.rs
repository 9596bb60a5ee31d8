//! Signed tokens (RFC 8292, section 2), one for each origin.
//!
//! A token is signed once for each key and origin, and reused until it nears its expiry. Signing costs as much as
//! encrypting, and Apple asks senders not to renew a token more than once an hour.

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
use crate::origin::Origin;

/// A token is not used in the last hour before its expiry.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// A caller reads the clock before it asks for a token, so that its time may be older than a token of another caller.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);
/// Tokens that are kept. Push services have few origins, but a subscriber can make up any number of hosts under them.
const MAX_TOKENS: usize = 1024;

/// The claims of one token (RFC 8292, section 2).
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// `aud`: the endpoint's origin.
    pub audience: &'a str,
    /// `exp`: at most 24 hours ahead.
    pub expires: Timestamp,
    /// `sub`: contact address of the sender.
    pub subject: Option<&'a str>,
}

impl Claims<'_> {
    /// The text that is signed: `base64url(header) . base64url(claims)` (RFC 7515, section 5.1), the members in the
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

/// There is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key cannot sign.
    #[error("the VAPID token cannot be signed: {0}")]
    Key(#[from] VapidKeyError),
    /// The claims are not for this origin, or this time.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

/// The source of the claims beside `aud` and `exp`.
#[derive(Debug)]
enum Sender {
    Subject(Option<Subject>),
    Claims(SenderClaims),
}

/// One key and its tokens. If the private half is elsewhere, a caller takes the token of [`Vapid::unsigned`], has it
/// signed there, and returns it with [`Vapid::signed`].
pub struct Vapid {
    key: Option<VapidKey>,
    public: [u8; 65],
    id: KeyId,
    sender: Sender,
    tokens: Mutex<HashMap<Origin, Token>>,
}

/// A token, and the period in which it is used.
#[derive(Clone)]
struct Token {
    authorization: HeaderValue,
    since: Timestamp,
    until: Timestamp,
}

impl Token {
    /// Whether the token was signed before `now` and does not expire soon.
    fn is_usable(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

/// A token without its signature.
#[derive(Debug, Clone)]
pub struct Unsigned {
    input: String,
    since: Timestamp,
    until: Timestamp,
}

impl Unsigned {
    /// The text to sign with ES256.
    pub fn signing_input(&self) -> &str {
        &self.input
    }
}

impl Vapid {
    /// A key in this process. Apple refuses a push without `subject`.
    pub fn new(key: VapidKey, subject: Option<Subject>) -> Self {
        Self::of(*key.public(), Some(key), Sender::Subject(subject))
    }

    /// A key in this process, with the sender's own claims.
    pub fn with_claims(key: VapidKey, claims: SenderClaims) -> Self {
        Self::of(*key.public(), Some(key), Sender::Claims(claims))
    }

    /// A key whose private half is elsewhere. `public` is an uncompressed point.
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

    /// The key pair, if the private half is in this process.
    pub fn key(&self) -> Option<&VapidKey> {
        self.key.as_ref()
    }

    /// The public key, an uncompressed point: the `applicationServerKey` of web pages.
    pub fn public(&self) -> &[u8; 65] {
        &self.public
    }

    /// The public key as unpadded base64url.
    pub fn public_base64url(&self) -> String {
        base64url::encode(self.public)
    }

    /// The short name of the key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The value of `Authorization` for messages to `origin`: `vapid t=<token>, k=<key>` (RFC 8292, section 3).
    ///
    /// # Errors
    /// [`TokenError`] when the key cannot sign or is elsewhere, or the claims are not for this origin or this time.
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

    /// As [`authorization`](Self::authorization), if a usable token for `origin` was signed before.
    pub fn signed_before(&self, origin: &Origin, now: Timestamp) -> Option<HeaderValue> {
        let tokens = self.tokens();
        let usable = tokens.get(origin).filter(|token| token.is_usable(now));
        usable.map(|token| token.authorization.clone())
    }

    /// A new token for messages to `origin`, to be signed elsewhere.
    ///
    /// # Errors
    /// [`TokenError::Claims`] when the claims are not for this origin or this time.
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
                // A token that expires soon is used for half of its lifetime.
                let spare = RENEW_BEFORE.min(expires.duration_since(now) / 2);
                (signing_input(&claims), expires - spare)
            }
        };
        Ok(Unsigned {
            input,
            // If the clock is set back by more, `exp` could be too far ahead.
            since: now - CLOCK_SKEW,
            until,
        })
    }

    /// Adds the signature (`r || s`) to a token for `origin`, and keeps the token for [`authorization`](Self::authorization)
    /// and [`signed_before`](Self::signed_before). Returns the value of `Authorization`.
    ///
    /// # Errors
    /// [`TokenError::Key`] when the token is not a valid header.
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
    // If all of them are usable they stay: otherwise made-up origins could push out the tokens of real ones.
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
