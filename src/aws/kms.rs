//! A VAPID key that never leaves KMS. KMS returns its public half and signs with its private half.

use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};

use webpush::vapid::{NotDer, VapidKeyError, from_der, public_from_spki};
use webpush::{KeyId, SignError, SignFuture, Signer};

/// A KMS key with key spec ECC_NIST_P256 and usage SIGN_VERIFY.
#[derive(Debug, Clone)]
pub(super) struct KmsKey {
    client: Client,
    id: String,
}

/// Why KMS did not sign, or did not return a public key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KmsError {
    /// KMS could not be reached, or is busy. A retry may succeed.
    #[error("KMS cannot be reached, or is busy: {0}")]
    Busy(String),
    /// KMS refused.
    #[error("KMS refuses the key {id}: {reason}")]
    Refused {
        /// Id, ARN or alias of the key.
        id: String,
        /// Error code and message from KMS.
        reason: String,
    },
    /// The key has another key spec or usage than VAPID needs.
    #[error(
        "the key {id} of KMS is not one for VAPID: make it with key spec ECC_NIST_P256 and usage SIGN_VERIFY"
    )]
    Kind {
        /// Id, ARN or alias of the key.
        id: String,
    },
    /// KMS answered without a readable signature.
    #[error("KMS's signature cannot be read")]
    Signature(#[from] NotDer),
}

impl KmsKey {
    /// The key with this id, ARN, or alias (`alias/..`).
    pub(super) fn new(client: Client, id: String) -> Self {
        Self { client, id }
    }

    /// The public key, an uncompressed point (`GetPublicKey`).
    ///
    /// # Errors
    /// When KMS refuses, or the key does not fit VAPID.
    pub(super) async fn public(&self) -> Result<[u8; 65], KmsError> {
        let answer = self.client.get_public_key().key_id(&self.id).send().await;
        let answer = answer.map_err(|error| self.error(&error))?;
        let spki = answer.public_key().map(Blob::as_ref).unwrap_or_default();
        public_from_spki(spki).map_err(|_: VapidKeyError| KmsError::Kind {
            id: self.id.clone(),
        })
    }

    /// Signs a token's signing input (`Sign`). Returns `r || s` (RFC 7518, section 3.4). KMS computes the hash itself.
    ///
    /// # Errors
    /// When KMS refuses, or cannot be reached.
    async fn sign_input(&self, input: &str) -> Result<[u8; 64], KmsError> {
        let answer = self
            .client
            .sign()
            .key_id(&self.id)
            .message_type(MessageType::Raw)
            .message(Blob::new(input))
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .send()
            .await
            .map_err(|error| self.error(&error))?;
        let der = answer.signature().map(Blob::as_ref).unwrap_or_default();
        Ok(from_der(der)?)
    }

    fn error<E, R>(&self, error: &SdkError<E, R>) -> KmsError
    where
        E: ProvideErrorMetadata,
    {
        const BUSY: [&str; 4] = [
            "ThrottlingException",
            "DependencyTimeoutException",
            "KeyUnavailableException",
            "KMSInternalException",
        ];
        match error.as_service_error() {
            Some(service) if service.code().is_some_and(|code| BUSY.contains(&code)) => {
                KmsError::Busy(describe(service))
            }
            Some(service) => KmsError::Refused {
                id: self.id.clone(),
                reason: describe(service),
            },
            None => KmsError::Busy("no answer".to_owned()),
        }
    }
}

impl From<KmsError> for SignError {
    fn from(error: KmsError) -> Self {
        match error {
            KmsError::Busy(_) => Self::Unavailable(Arc::new(error)),
            KmsError::Refused { .. } | KmsError::Kind { .. } | KmsError::Signature(_) => {
                Self::Refused(Arc::new(error))
            }
        }
    }
}

impl Signer for KmsKey {
    fn sign<'a>(&'a self, _key: &'a KeyId, signing_input: &'a str) -> SignFuture<'a> {
        Box::pin(async move { Ok(self.sign_input(signing_input).await?) })
    }
}

/// Error code and message of an AWS error.
pub(super) fn describe(error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or("an error without a name");
    match error.message() {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    }
}
