//! VAPID keys: read from files or text, and ready to sign pushes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use webpush::vapid::VapidKeyError;
use webpush::{
    Client, Clock, KeyId, Keyring, Pusher, SignFuture, Signer, Subject, Vapid, VapidKey, base64url,
};

use crate::aws::RemoteKey;

/// Why no key could be read. Never holds the text, which may be a key.
#[derive(Debug, thiserror::Error)]
pub enum ReadKeyError {
    /// The file cannot be read.
    #[error("names a file that cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The text, or the content of the file, is not a private key.
    #[error("{0}")]
    Key(#[from] VapidKeyError),
    /// The text is neither the path of a file nor a key.
    #[error(
        "is neither a file that exists nor a key: give the path of a PEM or DER file, or the key itself"
    )]
    Neither,
}

/// Reads a private key from a file, or from the text itself.
///
/// # Errors
/// [`ReadKeyError`], without the text.
pub fn read_key(text: &str) -> Result<VapidKey, ReadKeyError> {
    let path = Path::new(text);
    if !text.contains("-----BEGIN") && path.is_file() {
        return Ok(VapidKey::parse(&std::fs::read(path)?)?);
    }
    VapidKey::parse(text.as_bytes()).map_err(|error| {
        if error == VapidKeyError::Form {
            ReadKeyError::Neither
        } else {
            ReadKeyError::Key(error)
        }
    })
}

/// A VAPID key that can sign pushes.
#[derive(Debug)]
pub enum SigningKey {
    /// Its private half is in this process.
    Local(VapidKey),
    /// Its private half stays in KMS.
    Kms(RemoteKey),
}

impl SigningKey {
    /// Its public half as unpadded base64url.
    pub fn public_base64url(&self) -> String {
        match self {
            Self::Local(key) => key.public_base64url(),
            Self::Kms(key) => base64url::encode(key.public),
        }
    }
}

/// The VAPID keys, and the signers of those that are in KMS.
#[derive(Debug, Clone)]
pub struct Keys {
    /// All keys, the current one first.
    pub keyring: Arc<Keyring>,
    signer: Arc<RemoteSigners>,
}

impl Keys {
    /// Gives each of `keys` the subject. The first is the current one. `None` when there are no keys.
    pub(super) fn new(keys: Vec<SigningKey>, subject: Option<&Subject>) -> Option<Self> {
        let mut signers = HashMap::new();
        let mut vapid = |key| match key {
            SigningKey::Local(key) => Vapid::new(key, subject.cloned()),
            SigningKey::Kms(key) => {
                let vapid = Vapid::elsewhere(key.public, subject.cloned());
                signers.insert(vapid.id().clone(), key.signer);
                vapid
            }
        };
        let mut keys = keys.into_iter();
        let current = vapid(keys.next()?);
        let older = keys.map(vapid).collect();
        Some(Self {
            keyring: Arc::new(Keyring::of_all(current, older)),
            signer: Arc::new(RemoteSigners(signers)),
        })
    }

    /// A pusher that signs with these keys and sends through `client`.
    pub fn pusher(&self, client: Client, clock: Clock) -> Pusher {
        Pusher::new(client, Arc::clone(&self.keyring), clock)
            .with_signer(Arc::clone(&self.signer) as Arc<dyn Signer>)
    }
}

/// The signer of each key whose private half is not in this process.
#[derive(Debug, Default)]
struct RemoteSigners(HashMap<KeyId, Arc<dyn Signer>>);

impl Signer for RemoteSigners {
    fn sign<'a>(&'a self, key: &'a KeyId, signing_input: &'a str) -> SignFuture<'a> {
        let signer = self
            .0
            .get(key)
            .expect("the keyring holds no other remote key");
        signer.sign(key, signing_input)
    }
}
