//! Message decryption, as browsers do it (RFC 8291; draft-ietf-webpush-encryption-04): for tests and for receivers that
//! are not browsers.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::rand;
use http::HeaderMap;

use crate::aes128gcm::{ContentKeys, Header, OpenError, open};
use crate::aesgcm;
use crate::base64url;
use crate::encrypt::ikm;
use crate::subscription::{Keys, KeysError};

/// The private keys of one subscription, as a browser holds them.
pub struct Receiver {
    ua_private: PrivateKey,
    keys: Keys,
}

/// The content coding of a body, with the values that are not in the body.
#[derive(Debug, Clone, Copy)]
pub enum Coding<'a> {
    /// RFC 8291: all values are in the body.
    Aes128gcm,
    /// The draft before it: the headers `Encryption: salt=..` and `Crypto-Key: dh=..` hold these values.
    Aesgcm {
        /// The message's salt.
        salt: &'a [u8; 16],
        /// The message's public key, 65 octets.
        as_public: &'a [u8],
    },
}

impl Receiver {
    /// The keys of a new subscription.
    ///
    /// # Errors
    /// [`KeysError::Crypto`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, KeysError> {
        let mut auth = [0; 16];
        rand::fill(&mut auth).map_err(|_| KeysError::Crypto)?;
        let ua_private = PrivateKey::generate(&ECDH_P256).map_err(|_| KeysError::Crypto)?;
        Self::from_private_key(ua_private, &auth)
    }

    /// Keys that were stored: the private scalar (32 octets) and `auth` (16 octets).
    ///
    /// # Errors
    /// [`KeysError`] when one has another length, or the scalar is out of range.
    pub fn from_raw(private: &[u8], auth: &[u8]) -> Result<Self, KeysError> {
        let ua_private =
            PrivateKey::from_private_key(&ECDH_P256, private).map_err(|_| KeysError::Crypto)?;
        Self::from_private_key(ua_private, auth)
    }

    fn from_private_key(ua_private: PrivateKey, auth: &[u8]) -> Result<Self, KeysError> {
        let public = ua_private
            .compute_public_key()
            .map_err(|_| KeysError::Crypto)?;
        let keys = Keys::new(public.as_ref(), auth)?;
        Ok(Self { ua_private, keys })
    }

    /// The keys that the browser tells the server: `p256dh` and `auth`.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The private scalar, 32 octets, big-endian.
    ///
    /// # Panics
    /// Never for a key that was generated or read here.
    pub fn private(&self) -> Vec<u8> {
        let private: EcPrivateKeyBin<'_> = self
            .ua_private
            .as_be_bytes()
            .expect("a P-256 key has a scalar");
        private.as_ref().to_vec()
    }

    /// Decrypts the message of a request, in the coding that its headers name. Empty for a push without a body.
    ///
    /// ```
    /// use webpush::{
    ///     AllowList, Endpoint, Message, Receiver, Subscription, build_unsigned,
    /// };
    ///
    /// let receiver = Receiver::generate()?;
    /// let subscription = Subscription {
    ///     endpoint: Endpoint::parse("https://fcm.googleapis.com/fcm/send/a", &AllowList::default())?,
    ///     keys: receiver.keys().clone(),
    /// };
    /// let request = build_unsigned(&subscription, &Message::text("hello"))?;
    /// assert_eq!(receiver.read(request.headers(), request.body())?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError`] says which step failed.
    pub fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, OpenError> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match header("content-encoding") {
            None if body.is_empty() => Ok(Vec::new()),
            Some("aes128gcm") => decrypt(self, Coding::Aes128gcm, body),
            Some("aesgcm") => {
                let parameter = |name, parameter| {
                    let parts = header(name)?.split([';', ',']);
                    let mut values = parts.filter_map(|part| part.trim().strip_prefix(parameter));
                    base64url::decode(values.next()?).ok()
                };
                let salt = parameter("encryption", "salt=").and_then(|salt| salt.try_into().ok());
                let salt = salt.ok_or(OpenError::Headers)?;
                let as_public = parameter("crypto-key", "dh=").ok_or(OpenError::Headers)?;
                let coding = Coding::Aesgcm {
                    salt: &salt,
                    as_public: &as_public,
                };
                decrypt(self, coding, body)
            }
            Some(_) | None => Err(OpenError::Headers),
        }
    }
}

/// Decrypts a push message's body.
///
/// # Errors
/// [`OpenError`] says which step failed.
pub fn decrypt(receiver: &Receiver, coding: Coding<'_>, body: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (auth, ua_public) = (receiver.keys.auth(), receiver.keys.p256dh());
    match coding {
        Coding::Aes128gcm => {
            let (header, records) = Header::split(body)?;
            let sender = UnparsedPublicKey::new(&ECDH_P256, header.keyid);
            agree(
                &receiver.ua_private,
                sender,
                OpenError::SenderKey,
                |ecdh_secret| {
                    let ikm = ikm(ecdh_secret, auth, ua_public, header.keyid);
                    open(header.rs, records, &ContentKeys::derive(&header.salt, &ikm))
                },
            )
        }
        Coding::Aesgcm { salt, as_public } => {
            let sender = UnparsedPublicKey::new(&ECDH_P256, as_public);
            agree(
                &receiver.ua_private,
                sender,
                OpenError::SenderKey,
                |ecdh_secret| {
                    let keys = aesgcm::derive(ecdh_secret, auth, ua_public, as_public, salt);
                    aesgcm::open(&keys, body)
                },
            )
        }
    }
}
