//! A subscription: an endpoint and the keys to encrypt for. A value of these types was checked: its endpoint is on the
//! allow-list, and its key is a point on the curve.

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};
use serde::Deserialize;

use crate::base64url;
use crate::endpoint::{AllowList, Endpoint, EndpointError};

/// Octets of an uncompressed P-256 point.
const P256DH_LEN: usize = 65;
/// Octets of the authentication secret (RFC 8291, section 3.2).
const AUTH_LEN: usize = 16;

/// A browser's public key and authentication secret (RFC 8291, section 3). `Debug` shows neither.
#[derive(Clone)]
pub struct Keys {
    p256dh: [u8; P256DH_LEN],
    auth: [u8; AUTH_LEN],
    ua_public: ParsedPublicKey,
}

/// The keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// `p256dh` is not base64.
    #[error("keys.p256dh {0}")]
    P256dhText(#[source] base64url::NotBase64),
    /// `p256dh` is not 65 octets that begin with 4.
    #[error(
        "keys.p256dh must be 65 bytes that begin with 0x04, an uncompressed P-256 point; it has {0} bytes"
    )]
    P256dhForm(usize),
    /// `p256dh` is not a point on the curve.
    #[error("keys.p256dh is not a point on the curve P-256")]
    P256dhCurve,
    /// `auth` is not base64.
    #[error("keys.auth {0}")]
    AuthText(#[source] base64url::NotBase64),
    /// `auth` is not 16 octets.
    #[error("keys.auth must be 16 bytes; it has {0}")]
    AuthLength(usize),
    /// The cryptographic library failed, or the system gave no random bytes.
    #[error("the cryptographic library failed")]
    Crypto,
}

impl KeysError {
    /// The JSON member that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::P256dhText(_) | Self::P256dhForm(_) | Self::P256dhCurve => "keys.p256dh",
            Self::AuthText(_) | Self::AuthLength(_) => "keys.auth",
            Self::Crypto => "keys",
        }
    }
}

impl Keys {
    /// Checks raw keys: `p256dh`, 65 octets (an uncompressed point on P-256), and `auth`, 16 octets.
    ///
    /// # Errors
    /// [`KeysError`] says which key is wrong, and why.
    pub fn new(p256dh: &[u8], auth: &[u8]) -> Result<Self, KeysError> {
        let point: [u8; P256DH_LEN] = p256dh
            .try_into()
            .map_err(|_| KeysError::P256dhForm(p256dh.len()))?;
        if point[0] != 4 {
            return Err(KeysError::P256dhForm(point.len()));
        }
        let ua_public = ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, &point))
            .map_err(|_| KeysError::P256dhCurve)?;
        let auth = auth
            .try_into()
            .map_err(|_| KeysError::AuthLength(auth.len()))?;
        Ok(Self {
            p256dh: point,
            auth,
            ua_public,
        })
    }

    /// Reads both keys from base64, URL-safe or standard, padded or not.
    ///
    /// # Errors
    /// [`KeysError`] says which key is wrong, and why.
    pub fn from_base64(p256dh: &str, auth: &str) -> Result<Self, KeysError> {
        let p256dh = base64url::decode(p256dh).map_err(KeysError::P256dhText)?;
        let auth = base64url::decode(auth).map_err(KeysError::AuthText)?;
        Self::new(&p256dh, &auth)
    }

    /// The browser's public key, an uncompressed point on P-256.
    pub fn p256dh(&self) -> &[u8; 65] {
        &self.p256dh
    }

    /// The authentication secret.
    pub fn auth(&self) -> &[u8; 16] {
        &self.auth
    }

    /// The public key as it was parsed. The clone shares it.
    pub(super) fn ua_public(&self) -> ParsedPublicKey {
        self.ua_public.clone()
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.p256dh == other.p256dh && self.auth == other.auth
    }
}

impl Eq for Keys {}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// One browser's subscription. `Debug` shows the endpoint's origin, and no keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Where messages are posted.
    pub endpoint: Endpoint,
    /// The keys that messages are encrypted for.
    pub keys: Keys,
}

/// `PushSubscription.toJSON()` (Push API).
#[derive(Deserialize)]
struct PushSubscriptionJson {
    endpoint: String,
    keys: KeysJson,
}

#[derive(Deserialize)]
struct KeysJson {
    p256dh: String,
    auth: String,
}

/// The subscription is refused.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// Not JSON, or a member is missing or of another type.
    #[error("the subscription is not the JSON of a PushSubscription: {0}")]
    Json(#[from] serde_json::Error),
    /// The endpoint breaks a rule.
    #[error("endpoint {0}")]
    Endpoint(#[from] EndpointError),
    /// A key breaks a rule.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl Subscription {
    /// Reads the JSON of `PushSubscription.toJSON()`: `{"endpoint", "keys": {"p256dh", "auth"}}`. Other members are
    /// ignored.
    ///
    /// # Errors
    /// [`SubscriptionError`] names the member that is wrong.
    pub fn from_json(json: &str, allowed: &AllowList) -> Result<Self, SubscriptionError> {
        let wire: PushSubscriptionJson = serde_json::from_str(json)?;
        Ok(Self {
            endpoint: Endpoint::parse(&wire.endpoint, allowed)?,
            keys: Keys::from_base64(&wire.keys.p256dh, &wire.keys.auth)?,
        })
    }
}
