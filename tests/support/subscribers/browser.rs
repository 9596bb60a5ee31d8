//! A subscriber: the keys that a browser makes when a page subscribes, and decryption.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ece::legacy::AesGcmEncryptedBlock;
use serde_json::{Value, json};
use webpush::Receiver;

/// One subscription with its private key. Clones are the same subscriber.
#[derive(Clone)]
pub(crate) struct Browser(Arc<Subscriber>);

struct Subscriber {
    id: String,
    endpoint: String,
    keys: ece::EcKeyComponents,
    auth: [u8; 16],
}

impl Browser {
    /// A new subscriber at `endpoint`, whose last path segment is `id`.
    pub(crate) fn new(id: String, endpoint: String) -> Self {
        let (pair, auth) = ece::generate_keypair_and_auth_secret().expect("OpenSSL makes keys");
        let keys = pair.raw_components().expect("a new key has its parts");
        Self(Arc::new(Subscriber {
            id,
            endpoint,
            keys,
            auth,
        }))
    }

    /// The push service's name for the subscription.
    pub(crate) fn id(&self) -> &str {
        &self.0.id
    }

    /// The URL that messages are posted to.
    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The public key, unpadded base64url.
    pub(crate) fn p256dh(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.keys.public_key())
    }

    /// The authentication secret, unpadded base64url.
    pub(crate) fn auth(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.auth)
    }

    /// `PushSubscription.toJSON()`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "endpoint": self.endpoint(),
            "expirationTime": null,
            "keys": {"p256dh": self.p256dh(), "auth": self.auth()},
        })
    }

    /// `PushSubscription.toJSON()` with the members of `more` added, as pages do.
    pub(crate) fn to_json_with(&self, more: Value) -> Value {
        let (Value::Object(mut all), Value::Object(more)) = (self.to_json(), more) else {
            panic!("the additional members must be an object");
        };
        all.extend(more);
        Value::Object(all)
    }

    /// The same subscriber for pushcast's own `decrypt`.
    pub(crate) fn receiver(&self) -> Receiver {
        // OpenSSL omits leading zeros.
        let mut private = [0; 32];
        let raw = self.0.keys.private_key();
        private[32 - raw.len()..].copy_from_slice(raw);
        Receiver::from_raw(&private, &self.0.auth).expect("a key that OpenSSL made")
    }

    /// Decrypts a message of RFC 8291.
    pub(crate) fn decrypt_aes128gcm(&self, body: &[u8]) -> ece::Result<Vec<u8>> {
        ece::decrypt(&self.0.keys, &self.0.auth, body)
    }

    /// Decrypts a message of draft-ietf-webpush-encryption-04.
    pub(crate) fn decrypt_aesgcm(
        &self,
        dh: &[u8],
        salt: &[u8],
        rs: u32,
        body: &[u8],
    ) -> ece::Result<Vec<u8>> {
        let block = AesGcmEncryptedBlock::new(dh, salt, rs, body.to_vec())?;
        ece::legacy::decrypt_aesgcm(&self.0.keys, &self.0.auth, &block)
    }
}
