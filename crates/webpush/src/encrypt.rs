//! Message encryption: RFC 8291 (`aes128gcm`), and the draft before it (`aesgcm`).
//!
//! Every message has a fresh key pair and a fresh salt. [`encrypt`] draws them and calls
//! [`encrypt_predictably`], which the tests call with the RFC's own values.

use aws_lc_rs::aead::Aad;
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, agree};
use aws_lc_rs::rand;

use super::aes128gcm::{self, ContentKeys, Header};
use super::hkdf;
use super::subscription::Keys;

/// The most octets of plaintext that every push service takes: 4096 (RFC 8030, section 7.2), less
/// 86 of header, 1 of delimiter and 16 of tag.
pub const MAX_PLAINTEXT: usize = 4096 - 86 - 1 - aes128gcm::TAG_LEN;

/// The record size written into the header. The one record is never longer.
const RECORD_SIZE: u32 = 4096;

/// How the payload is encrypted, as the `Content-Encoding` header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentEncoding {
    /// RFC 8291; every browser of today.
    #[default]
    Aes128gcm,
    /// draft-ietf-webpush-encryption-04; browsers before 2018.
    Aesgcm,
}

impl ContentEncoding {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes128gcm => "aes128gcm",
            Self::Aesgcm => "aesgcm",
        }
    }
}

/// How much the length of a payload is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// The length shows.
    None,
    /// Up to the next multiple of 128 octets: hides most, costs little.
    #[default]
    Bucket,
    /// Up to [`MAX_PLAINTEXT`]: hides all, and is refused by some services' bridges.
    Maximum,
}

impl Padding {
    const BUCKET: usize = 128;

    /// Zero octets to add to a plaintext of `len` octets, never past [`MAX_PLAINTEXT`].
    pub fn octets(self, len: usize) -> usize {
        let target = match self {
            Self::None => len,
            Self::Bucket => len.next_multiple_of(Self::BUCKET).min(MAX_PLAINTEXT),
            Self::Maximum => MAX_PLAINTEXT,
        };
        target.saturating_sub(len)
    }
}

/// Why a payload cannot be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// An encrypted empty string is refused by Chromium: send no body instead.
    #[error("there is no data to encrypt")]
    NoData,
    /// Over [`MAX_PLAINTEXT`].
    #[error(
        "the payload is {0} bytes, {over} more than the {MAX_PLAINTEXT} that every push service takes",
        over = .0 - MAX_PLAINTEXT
    )]
    TooLarge(usize),
    /// The operating system gave no randomness, or the key agreement failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// An encrypted payload and what the request's headers need of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// The request's body.
    pub body: Vec<u8>,
    /// How it was encrypted.
    pub encoding: ContentEncoding,
    /// The message's salt; `aesgcm` sends it in `Encryption`.
    pub salt: [u8; 16],
    /// The message's public key; `aesgcm` sends it in `Crypto-Key`.
    pub as_public: [u8; 65],
}

/// Encrypts `plaintext` for the holder of `keys`, with a fresh key pair and salt.
///
/// # Errors
/// [`EncryptError::NoData`] for nothing, [`EncryptError::TooLarge`] over [`MAX_PLAINTEXT`] octets.
pub fn encrypt(
    keys: &Keys,
    plaintext: &[u8],
    encoding: ContentEncoding,
    padding: Padding,
) -> Result<Encrypted, EncryptError> {
    // Before the key pair: it is the costly part.
    check_length(plaintext)?;
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| EncryptError::Crypto)?;
    let as_private = PrivateKey::generate(&ECDH_P256).map_err(|_| EncryptError::Crypto)?;
    encrypt_predictably(keys, plaintext, encoding, padding, salt, &as_private)
}

/// Encrypts with a given salt and key pair. For tests: a salt or a key used twice gives the messages away.
///
/// # Errors
/// As [`encrypt`].
pub fn encrypt_predictably(
    keys: &Keys,
    plaintext: &[u8],
    encoding: ContentEncoding,
    padding: Padding,
    salt: [u8; 16],
    as_private: &PrivateKey,
) -> Result<Encrypted, EncryptError> {
    check_length(plaintext)?;
    let padding = padding.octets(plaintext.len());
    let public = as_private
        .compute_public_key()
        .map_err(|_| EncryptError::Crypto)?;
    let mut as_public = [0; 65];
    as_public.copy_from_slice(public.as_ref());

    let seal = |ecdh_secret: &[u8]| {
        Ok(match encoding {
            ContentEncoding::Aes128gcm => {
                let ikm = ikm(ecdh_secret, keys.auth(), keys.p256dh(), &as_public);
                let header = Header {
                    salt,
                    rs: RECORD_SIZE,
                    keyid: &as_public,
                };
                aes128gcm::seal(
                    &header,
                    &ContentKeys::derive(&salt, &ikm),
                    plaintext,
                    padding,
                )
            }
            ContentEncoding::Aesgcm => {
                let keys = aesgcm_keys(ecdh_secret, keys.auth(), keys.p256dh(), &as_public, &salt);
                aesgcm_seal(&keys, plaintext, padding)
            }
        })
    };
    let body = agree(as_private, keys.ua_public(), EncryptError::Crypto, seal)?;
    Ok(Encrypted {
        body,
        encoding,
        salt,
        as_public,
    })
}

fn check_length(plaintext: &[u8]) -> Result<(), EncryptError> {
    match plaintext.len() {
        0 => Err(EncryptError::NoData),
        len if len > MAX_PLAINTEXT => Err(EncryptError::TooLarge(len)),
        _ => Ok(()),
    }
}

/// The input keying material, from the shared secret and the subscription's `auth` (RFC 8291, section 3.4).
pub(super) fn ikm(
    ecdh_secret: &[u8],
    auth_secret: &[u8],
    ua_public: &[u8],
    as_public: &[u8],
) -> [u8; 32] {
    hkdf::Prk::new(hkdf::extract(auth_secret, ecdh_secret)).expand(&[
        b"WebPush: info\0",
        ua_public,
        as_public,
    ])
}

/// Key and nonce of the old draft, which bind both public keys into each
/// (draft-ietf-webpush-encryption-04, section 3; draft-ietf-httpbis-encryption-encoding-03).
pub(super) fn aesgcm_keys(
    ecdh_secret: &[u8],
    auth_secret: &[u8],
    ua_public: &[u8],
    as_public: &[u8],
    salt: &[u8; 16],
) -> ContentKeys {
    // The length of a public key, 65, in two octets before each.
    const KEY_LEN: &[u8] = &[0, 65];
    let ikm: [u8; 32] = hkdf::Prk::new(hkdf::extract(auth_secret, ecdh_secret))
        .expand(&[b"Content-Encoding: auth\0"]);
    let prk = hkdf::Prk::new(hkdf::extract(salt, &ikm));
    let context = [b"P-256\0", KEY_LEN, ua_public, KEY_LEN, as_public];
    let info = |label: &'static [u8]| {
        let [curve, l1, ua, l2, server] = context;
        [label, curve, l1, ua, l2, server]
    };
    ContentKeys {
        cek: prk.expand(&info(b"Content-Encoding: aesgcm\0")),
        nonce: prk.expand(&info(b"Content-Encoding: nonce\0")),
    }
}

/// One record of the old draft: the padding's length in two octets, the padding, the data, the tag.
fn aesgcm_seal(keys: &ContentKeys, plaintext: &[u8], padding: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(2 + padding + plaintext.len() + aes128gcm::TAG_LEN);
    let padding_len = u16::try_from(padding).expect("padding stays below the payload limit");
    body.extend_from_slice(&padding_len.to_be_bytes());
    body.resize(2 + padding, 0);
    body.extend_from_slice(plaintext);
    keys.key()
        .seal_in_place_append_tag(keys.nonce(0), Aad::empty(), &mut body)
        .expect("AES-128-GCM seals any message of this size");
    body
}
