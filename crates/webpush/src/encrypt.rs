//! Message encryption: RFC 8291 (`aes128gcm`), and the draft before it (`aesgcm`).
//!
//! Every message has a fresh key pair and a fresh salt. [`encrypt`] draws them and calls [`encrypt_with`], which the tests
//! call with the values of the RFC's example.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, agree};
use aws_lc_rs::rand;

use crate::aes128gcm::{self, ContentKeys, Header};
use crate::aesgcm;
use crate::hkdf;
use crate::subscription::Keys;

/// Longest plaintext that every push service accepts, in octets: 4096 (RFC 8030, section 7.2), less 86 of header, 1 of
/// delimiter and 16 of tag.
pub const MAX_PLAINTEXT: usize = 4096 - 86 - 1 - aes128gcm::TAG_LEN;

/// The record size written into the header. The one record is never longer.
const RECORD_SIZE: u32 = 4096;

/// How the payload is encrypted, as the `Content-Encoding` header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContentEncoding {
    /// RFC 8291: all current browsers.
    #[default]
    Aes128gcm,
    /// draft-ietf-webpush-encryption-04: browsers before 2018.
    Aesgcm,
}

impl ContentEncoding {
    /// The value of the header `Content-Encoding`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes128gcm => "aes128gcm",
            Self::Aesgcm => "aesgcm",
        }
    }
}

/// How much of a payload's length is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Nothing: the length of the body reveals the length of the payload.
    None,
    /// Up to the next multiple of 128 octets: hides most of it at little cost.
    #[default]
    Bucket,
    /// Up to [`MAX_PLAINTEXT`]: hides all of it, but bridges of some services refuse bodies of this size.
    Maximum,
}

impl Padding {
    const BUCKET: usize = 128;

    /// Zero octets to add to a plaintext of `len` octets, at most up to [`MAX_PLAINTEXT`].
    pub fn octets(self, len: usize) -> usize {
        let target = match self {
            Self::None => len,
            Self::Bucket => len.next_multiple_of(Self::BUCKET).min(MAX_PLAINTEXT),
            Self::Maximum => MAX_PLAINTEXT,
        };
        target.saturating_sub(len)
    }
}

/// The payload cannot be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The payload is empty. Chromium refuses an encrypted empty string: send no body instead.
    #[error("there is no data to encrypt")]
    NoData,
    /// The payload is longer than [`MAX_PLAINTEXT`].
    #[error(
        "the payload is {0} bytes, {over} more than the {MAX_PLAINTEXT} that every push service takes",
        over = .0 - MAX_PLAINTEXT
    )]
    TooLarge(usize),
    /// The system gave no random bytes, or the key agreement failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// An encrypted payload, and the values that the request's headers need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encrypted {
    /// The request's body.
    pub body: Vec<u8>,
    /// The body's content coding.
    pub encoding: ContentEncoding,
    /// The message's salt. With `aesgcm`, the header `Encryption` holds it.
    pub salt: [u8; 16],
    /// The message's public key. With `aesgcm`, the header `Crypto-Key` holds it.
    pub as_public: [u8; 65],
}

/// Encrypts `plaintext` for the holder of `keys`, with a fresh key pair and salt.
///
/// # Errors
/// [`EncryptError::NoData`] for an empty plaintext, [`EncryptError::TooLarge`] for more than [`MAX_PLAINTEXT`] octets.
pub fn encrypt(
    keys: &Keys,
    plaintext: &[u8],
    encoding: ContentEncoding,
    padding: Padding,
) -> Result<Encrypted, EncryptError> {
    // Before the key pair is made, which costs most.
    check_length(plaintext)?;
    let mut salt = [0; 16];
    rand::fill(&mut salt).map_err(|_| EncryptError::Crypto)?;
    let as_private = PrivateKey::generate(&ECDH_P256).map_err(|_| EncryptError::Crypto)?;
    encrypt_with(keys, plaintext, encoding, padding, salt, &as_private)
}

/// Encrypts with a given salt and key pair. A pair that is used twice reveals both messages.
pub(crate) fn encrypt_with(
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
                let keys =
                    aesgcm::derive(ecdh_secret, keys.auth(), keys.p256dh(), &as_public, &salt);
                aesgcm::seal(&keys, plaintext, padding)
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
