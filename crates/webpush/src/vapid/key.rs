//! The application server's key pair (RFC 8292, section 3.2), in all forms that other tools write.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{
    AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, Pkcs8V1Der,
};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde::Deserialize;

use crate::base64url;

/// Octets of the private scalar.
const SCALAR_LEN: usize = 32;

/// The key is refused, or cannot sign. The error never holds any part of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VapidKeyError {
    /// Neither PEM, nor DER, nor base64, nor JSON.
    #[error(
        "is neither PEM, nor DER, nor base64url, nor JSON: give a P-256 private key as PEM (PKCS#8 or SEC1), DER, base64url of 32 bytes, or the JSON of node web-push"
    )]
    Form,
    /// PEM, but not of a private key.
    #[error("is PEM of `{0}`: a PRIVATE KEY or an EC PRIVATE KEY is needed")]
    PemTag(String),
    /// A public key, where a private key is needed.
    #[error("is a public key: the private key is needed")]
    Public,
    /// A private key, but not on P-256.
    #[error("is not a private key on the curve P-256")]
    Curve,
    /// JSON with a public and a private key that are not a pair.
    #[error("holds a public key that does not belong to its private key")]
    Pair,
    /// The cryptographic library failed, or the system gave no random bytes.
    #[error("the cryptographic library failed")]
    Crypto,
    /// The private half is not in this process, and no token for this origin was signed elsewhere.
    #[error("is not in this process, and no token for this origin was signed elsewhere")]
    Elsewhere,
}

/// The octets before the point in the `SubjectPublicKeyInfo` of a P-256 key (RFC 5480, section 2).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The uncompressed point, 65 octets, of a `SubjectPublicKeyInfo` in DER: the form of KMS and OpenSSL.
///
/// # Errors
/// [`VapidKeyError::Curve`] for any other kind of key.
pub fn public_from_spki(der: &[u8]) -> Result<[u8; 65], VapidKeyError> {
    let point = der.strip_prefix(&SPKI_HEAD);
    let point = point.and_then(|point| <[u8; 65]>::try_from(point).ok());
    point
        .filter(|point| point[0] == 4)
        .ok_or(VapidKeyError::Curve)
}

/// A short name of a public key: the first 6 octets of its SHA-256, base64url. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// The name of `public_key`, an uncompressed point of 65 octets.
    pub fn of(public_key: &[u8]) -> Self {
        Self(base64url::encode(&digest(&SHA256, public_key).as_ref()[..6]).into())
    }

    /// The text, 8 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for KeyId {
    fn from(stored: String) -> Self {
        Self(stored.into())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A P-256 key pair that signs VAPID tokens. `Debug` shows its [`KeyId`] only.
///
/// ```
/// use webpush::VapidKey;
///
/// let key = VapidKey::generate()?;
/// let read = VapidKey::parse(key.to_pkcs8_pem().as_bytes())?;
/// assert_eq!(read.public(), key.public());
/// # Ok::<(), webpush::vapid::VapidKeyError>(())
/// ```
pub struct VapidKey {
    private: PrivateKey,
    signer: EcdsaKeyPair,
    public: [u8; 65],
}

impl VapidKey {
    /// A new key pair.
    ///
    /// # Errors
    /// [`VapidKeyError::Crypto`] when the system gives no random bytes.
    pub fn generate() -> Result<Self, VapidKeyError> {
        Self::new(PrivateKey::generate(&ECDH_P256).map_err(|_| VapidKeyError::Crypto)?)
    }

    /// Reads a private key: PEM or DER (PKCS#8 or SEC1), base64 of the scalar (32 octets) or of DER, or the JSON of node
    /// `web-push`, `{"publicKey", "privateKey"}`.
    ///
    /// # Errors
    /// [`VapidKeyError`] says what was found instead.
    pub fn parse(input: &[u8]) -> Result<Self, VapidKeyError> {
        let Ok(text) = std::str::from_utf8(input).map(str::trim) else {
            return Self::from_der(input);
        };
        if text.contains("-----BEGIN") {
            return Self::from_pem(text);
        }
        if text.starts_with('{') {
            return Self::from_json(text);
        }
        // DER begins with 0x30, a SEQUENCE, and base64 text may begin with the same octet, "0": the text is tried first.
        let joined: String = text.split_ascii_whitespace().collect();
        match base64url::decode(&joined) {
            Ok(bytes) if bytes.len() == SCALAR_LEN => Self::from_raw(&bytes),
            Ok(bytes) if bytes.len() == 65 && bytes[0] == 4 => Err(VapidKeyError::Public),
            // Many words are base64 by accident: only octets that begin like DER are taken for a key.
            Ok(bytes) if bytes.first() == Some(&0x30) => Self::from_der(&bytes),
            Ok(_) => Err(VapidKeyError::Form),
            Err(_) => Self::from_der(input).map_err(|_| VapidKeyError::Form),
        }
    }

    fn from_json(text: &str) -> Result<Self, VapidKeyError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Pair {
            public_key: Option<String>,
            private_key: String,
        }
        let pair: Pair = serde_json::from_str(text).map_err(|_| VapidKeyError::Form)?;
        let scalar = base64url::decode(&pair.private_key).map_err(|_| VapidKeyError::Form)?;
        let key = Self::from_raw(&scalar)?;
        let public = pair.public_key.map(|text| base64url::decode(&text));
        match public {
            Some(public) if public.as_deref() != Ok(key.public()) => Err(VapidKeyError::Pair),
            Some(_) | None => Ok(key),
        }
    }

    fn from_pem(text: &str) -> Result<Self, VapidKeyError> {
        let blocks = pem::parse_many(own_lines(text)).map_err(|_| VapidKeyError::Form)?;
        // OpenSSL writes a block of EC PARAMETERS before the key.
        let found = blocks.iter().find(|block| block.tag() != "EC PARAMETERS");
        match found.map(|block| (block.tag(), block.contents())) {
            Some(("PRIVATE KEY" | "EC PRIVATE KEY", der)) => Self::from_der(der),
            Some(("PUBLIC KEY", _)) => Err(VapidKeyError::Public),
            // Only a label of RFC 7468 is shown: other text may be a piece of a key.
            Some((tag, _)) if tag.bytes().all(|b| b.is_ascii_uppercase() || b == b' ') => {
                Err(VapidKeyError::PemTag(tag.to_owned()))
            }
            Some(_) | None => Err(VapidKeyError::Form),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, VapidKeyError> {
        PrivateKey::from_private_key_der(&ECDH_P256, der)
            .map_err(|_| VapidKeyError::Curve)
            .and_then(Self::new)
    }

    fn from_raw(scalar: &[u8]) -> Result<Self, VapidKeyError> {
        PrivateKey::from_private_key(&ECDH_P256, scalar)
            .map_err(|_| VapidKeyError::Curve)
            .and_then(Self::new)
    }

    fn new(private: PrivateKey) -> Result<Self, VapidKeyError> {
        let crypto = |_| VapidKeyError::Crypto;
        let point = private.compute_public_key().map_err(crypto)?;
        let public = point
            .as_ref()
            .try_into()
            .map_err(|_| VapidKeyError::Crypto)?;
        let scalar: EcPrivateKeyBin<'_> = private.as_be_bytes().map_err(crypto)?;
        let signer = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar.as_ref(),
            point.as_ref(),
        )
        .map_err(|_| VapidKeyError::Crypto)?;
        Ok(Self {
            private,
            signer,
            public,
        })
    }

    /// The public key, an uncompressed point: the `applicationServerKey` of web pages.
    pub fn public(&self) -> &[u8; 65] {
        &self.public
    }

    /// The public key as unpadded base64url.
    pub fn public_base64url(&self) -> String {
        base64url::encode(self.public)
    }

    /// The short name of this key.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.public)
    }

    /// Signs with ES256: `r || s`, 64 octets (RFC 7518, section 3.4).
    pub(super) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, VapidKeyError> {
        let signature = self.signer.sign(&SystemRandom::new(), input);
        Ok(signature
            .map_err(|_| VapidKeyError::Crypto)?
            .as_ref()
            .to_vec())
    }

    /// The private scalar as unpadded base64url: the form of node `web-push` and py_vapid.
    pub fn to_raw_base64url(&self) -> String {
        let scalar: EcPrivateKeyBin<'_> = self
            .private
            .as_be_bytes()
            .expect("a P-256 key has a scalar");
        base64url::encode(scalar.as_ref())
    }

    /// PKCS#8 DER (RFC 5208).
    pub fn to_pkcs8_der(&self) -> Vec<u8> {
        let der: Pkcs8V1Der<'_> = self
            .private
            .as_der()
            .expect("a P-256 key has a PKCS#8 form");
        der.as_ref().to_vec()
    }

    /// PKCS#8 PEM: `BEGIN PRIVATE KEY`.
    pub fn to_pkcs8_pem(&self) -> String {
        to_pem("PRIVATE KEY", self.to_pkcs8_der())
    }

    /// SEC1 PEM: `BEGIN EC PRIVATE KEY` (RFC 5915).
    pub fn to_sec1_pem(&self) -> String {
        let der: EcPrivateKeyRfc5915Der<'_> =
            self.private.as_der().expect("a P-256 key has a SEC1 form");
        to_pem("EC PRIVATE KEY", der.as_ref().to_vec())
    }
}

/// Puts each boundary on its own line: environment variables often hold PEM with spaces, or `\n`, instead of line ends.
fn own_lines(text: &str) -> String {
    let parts: Vec<String> = text
        .replace("\\n", "\n")
        .split("-----")
        .map(|part| match part.trim() {
            label if label.starts_with("BEGIN ") || label.starts_with("END ") => {
                format!("-----{label}-----")
            }
            body => body.split_ascii_whitespace().collect(),
        })
        .collect();
    parts.join("\n")
}

fn to_pem(tag: &str, der: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, der), config)
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VapidKey({})", self.id().as_str())
    }
}
