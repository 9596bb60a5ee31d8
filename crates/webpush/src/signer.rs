//! Signs VAPID tokens, also with keys whose private half is not in this process.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::answer::Outcome;
use crate::origin::Origin;
use crate::vapid::{KeyId, Keyring, TokenError, Vapid};

/// After a signer has failed, it is not asked for the same token again for this long: the pushes that wait for the token
/// fail with the same error.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Pending tokens that are remembered before those without a waiting push are forgotten.
const MAX_PENDING: usize = 256;

/// What [`Signer::sign`] returns.
pub type SignFuture<'a> = Pin<Box<dyn Future<Output = Result<[u8; 64], SignError>> + Send + 'a>>;

/// Signs VAPID tokens with keys whose private half is not in this process, such as a key in a KMS.
///
/// A [`Pusher`](crate::Pusher) asks it once for each origin and key until the token expires, however many pushes wait
/// for that token.
pub trait Signer: fmt::Debug + Send + Sync {
    /// Signs `signing_input` with ES256 and the private half of `key`: `r || s`, 64 octets (RFC 7518, section 3.4).
    /// [`vapid::from_der`](crate::vapid::from_der) converts a DER signature.
    ///
    /// # Errors
    /// [`SignError::Unavailable`] when it may succeed later, [`SignError::Refused`] when it will not.
    fn sign<'a>(&'a self, key: &'a KeyId, signing_input: &'a str) -> SignFuture<'a>;
}

/// There is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignError {
    /// The signer could not be reached or is busy. It may succeed later.
    #[error(transparent)]
    Unavailable(Arc<dyn Error + Send + Sync>),
    /// The signer refuses this key, or its answer is not a signature.
    #[error(transparent)]
    Refused(Arc<dyn Error + Send + Sync>),
    /// A key in this process does not sign, or the claims are not for this origin.
    #[error(transparent)]
    Token(Arc<TokenError>),
}

impl SignError {
    /// What the error means for a message: a fault of the sender, or a push that may succeed later.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unavailable(_) => Outcome::Unreachable,
            Self::Refused(_) | Self::Token(_) => Outcome::OurFault,
        }
    }
}

impl From<TokenError> for SignError {
    fn from(error: TokenError) -> Self {
        Self::Token(Arc::new(error))
    }
}

/// A keyring, and the signer for those of its keys that are not in this process.
#[derive(Debug)]
pub(crate) struct Authorizer {
    keyring: Arc<Keyring>,
    signer: Option<Arc<dyn Signer>>,
    pending: Mutex<HashMap<(KeyId, Origin), Pending>>,
}

/// Locked by the push that asks the signer. Holds when and how the signer last failed.
type Pending = Arc<tokio::sync::Mutex<Option<(Instant, SignError)>>>;

impl Authorizer {
    pub(crate) fn new(keyring: Arc<Keyring>, signer: Option<Arc<dyn Signer>>) -> Self {
        Self {
            keyring,
            signer,
            pending: Mutex::default(),
        }
    }

    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The value of `Authorization` for messages to `origin`, signed with one of the keys.
    ///
    /// # Errors
    /// [`SignError`] when it cannot be signed.
    pub(crate) async fn authorization(
        &self,
        vapid: &Vapid,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<HeaderValue, SignError> {
        let Some(signer) = self.signer.as_ref().filter(|_| vapid.key().is_none()) else {
            return Ok(vapid.authorization(origin, now)?);
        };
        if let Some(authorization) = vapid.signed_before(origin, now) {
            return Ok(authorization);
        }
        let pending = self.pending(vapid.id(), origin);
        let mut failure = pending.lock().await;
        if let Some(authorization) = vapid.signed_before(origin, now) {
            return Ok(authorization);
        }
        if let Some((at, error)) = &*failure
            && at.elapsed() < RETRY_AFTER
        {
            return Err(error.clone());
        }
        let unsigned = vapid.unsigned(origin, now)?;
        match signer.sign(vapid.id(), unsigned.signing_input()).await {
            Ok(signature) => {
                *failure = None;
                Ok(vapid.signed(origin, &unsigned, &signature, now)?)
            }
            Err(error) => {
                tracing::error!(%error, "a VAPID token cannot be signed");
                *failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Asks the signer again for tokens that it has refused until now.
    pub(crate) fn forget_failures(&self) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        // An entry that somebody holds is being asked about at this moment.
        pending.retain(|_, entry| Arc::strong_count(entry) > 1);
    }

    fn pending(&self, key: &KeyId, origin: &Origin) -> Pending {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() >= MAX_PENDING {
            pending.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        Arc::clone(pending.entry((key.clone(), origin.clone())).or_default())
    }
}
