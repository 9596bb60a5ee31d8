//! Who signs: keys that are here, and keys of KMS. A token of KMS's is asked for once per origin, however many pushes
//! wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::kms::{KmsError, KmsKey};
use crate::webpush::vapid;
use crate::webpush::{KeyId, Keyring, Origin, Outcome, Vapid};

/// After KMS has failed, the same work does not ask it for the same token again for so long: a page of pushes waits for it.
const PAUSE: Duration = Duration::from_secs(1);
/// Origins for which somebody waits, or KMS has failed, before those that are of no use are forgotten.
const KEPT_TURNS: usize = 256;

/// A keyring, and KMS for those of its keys that are there. A clone shares the tokens, and what KMS has failed with.
#[derive(Debug, Clone)]
pub struct Signer {
    inner: Arc<Inner>,
    /// What KMS failed with before this time is not remembered.
    since: Instant,
}

#[derive(Debug)]
struct Inner {
    keyring: Arc<Keyring>,
    elsewhere: HashMap<KeyId, KmsKey>,
    turns: Mutex<HashMap<(KeyId, Origin), Turn>>,
}

/// Held by whoever asks KMS; what it failed with last.
type Turn = Arc<tokio::sync::Mutex<Option<(Instant, KmsError)>>>;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A key that is here does not sign, or the claims are not for this origin.
    #[error(transparent)]
    Token(#[from] vapid::SignError),
    /// KMS does not sign.
    #[error(transparent)]
    Kms(#[from] KmsError),
}

impl SignError {
    /// What it means for the push: something is wrong with us, or it may go well later.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Kms(KmsError::Busy(_)) => Outcome::Unreachable,
            Self::Kms(
                KmsError::Refused { .. } | KmsError::Kind { .. } | KmsError::Signature(_),
            )
            | Self::Token(_) => Outcome::OurFault,
        }
    }
}

impl Signer {
    /// Signs with the keys of `keyring`; `elsewhere` are those whose private half is in KMS.
    pub fn new(keyring: Arc<Keyring>, elsewhere: HashMap<KeyId, KmsKey>) -> Self {
        Self {
            inner: Arc::new(Inner {
                keyring,
                elsewhere,
                turns: Mutex::default(),
            }),
            since: Instant::now(),
        }
    }

    /// The same signer, which asks KMS again for what it has failed with until now. Each job of a campaign begins so: a
    /// campaign that is resumed is not halted again by a refusal from before.
    pub fn without_past_failures(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            since: Instant::now(),
        }
    }

    /// The keys.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.inner.keyring
    }

    /// The value of `Authorization` for messages to `origin`, signed with one of the keys.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub async fn authorization(
        &self,
        vapid: &Vapid,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<HeaderValue, SignError> {
        let Some(kms) = self.inner.elsewhere.get(vapid.id()) else {
            return Ok(vapid.authorization(origin, now)?);
        };
        if let Some(authorization) = vapid.signed_before(origin, now) {
            return Ok(authorization);
        }
        let turn = self.turn(vapid.id(), origin);
        let mut failed = turn.lock().await;
        if let Some(authorization) = vapid.signed_before(origin, now) {
            return Ok(authorization);
        }
        if let Some((at, error)) = &*failed
            && *at >= self.since
            && at.elapsed() < PAUSE
        {
            return Err(error.clone().into());
        }
        let unsigned = vapid.unsigned(origin, now)?;
        match kms.sign(unsigned.signing_input()).await {
            Ok(signature) => {
                *failed = None;
                Ok(vapid.signed(origin, &unsigned, &signature, now)?)
            }
            Err(error) => {
                tracing::error!(%error, "a token cannot be signed");
                *failed = Some((Instant::now(), error.clone()));
                Err(error.into())
            }
        }
    }

    fn turn(&self, key: &KeyId, origin: &Origin) -> Turn {
        let mut turns = self
            .inner
            .turns
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= KEPT_TURNS {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry((key.clone(), origin.clone())).or_default())
    }
}

impl From<Arc<Keyring>> for Signer {
    fn from(keyring: Arc<Keyring>) -> Self {
        Self::new(keyring, HashMap::new())
    }
}

impl From<Keyring> for Signer {
    fn from(keyring: Keyring) -> Self {
        Arc::new(keyring).into()
    }
}
