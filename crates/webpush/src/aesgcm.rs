//! The content coding `aesgcm` of the draft before RFC 8291 (draft-ietf-webpush-encryption-04,
//! draft-ietf-httpbis-encryption-encoding-03). Salt and public key are sent in headers; the body is one record.
//!
//! ```text
//! record: AES-128-GCM( padding length (2) | zero octets | data ) | tag (16)
//! ```

use aws_lc_rs::aead::Aad;

use crate::aes128gcm::{ContentKeys, OpenError, TAG_LEN};
use crate::hkdf;

/// Octets of the padding's length.
const LENGTH_LEN: usize = 2;

/// Key and nonce of a message, both derived from both public keys (draft-ietf-webpush-encryption-04, section 3).
pub(crate) fn derive(
    ecdh_secret: &[u8],
    auth_secret: &[u8],
    ua_public: &[u8],
    as_public: &[u8],
    salt: &[u8; 16],
) -> ContentKeys {
    // The length of a public key, in two octets, precedes each of them.
    const KEY_LEN: &[u8] = &[0, 65];
    let ikm: [u8; 32] = hkdf::Prk::new(hkdf::extract(auth_secret, ecdh_secret))
        .expand(&[b"Content-Encoding: auth\0"]);
    let prk = hkdf::Prk::new(hkdf::extract(salt, &ikm));
    let info = |label: &'static [u8]| [label, b"P-256\0", KEY_LEN, ua_public, KEY_LEN, as_public];
    ContentKeys {
        cek: prk.expand(&info(b"Content-Encoding: aesgcm\0")),
        nonce: prk.expand(&info(b"Content-Encoding: nonce\0")),
    }
}

/// Writes the record, with `padding` zero octets.
pub(crate) fn seal(keys: &ContentKeys, plaintext: &[u8], padding: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(LENGTH_LEN + padding + plaintext.len() + TAG_LEN);
    let padding_len = u16::try_from(padding).expect("padding stays below the payload limit");
    body.extend_from_slice(&padding_len.to_be_bytes());
    body.resize(LENGTH_LEN + padding, 0);
    body.extend_from_slice(plaintext);
    keys.key()
        .seal_in_place_append_tag(keys.nonce(0), Aad::empty(), &mut body)
        .expect("AES-128-GCM seals any message of this size");
    body
}

/// Decrypts the record.
pub(crate) fn open(keys: &ContentKeys, body: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut record = body.to_vec();
    let opened = keys
        .key()
        .open_in_place(keys.nonce(0), Aad::empty(), &mut record)
        .map_err(|_| OpenError::Decrypt)?;
    let (length, rest) = opened
        .split_first_chunk::<LENGTH_LEN>()
        .ok_or(OpenError::Padding)?;
    let padding = usize::from(u16::from_be_bytes(*length));
    let (zeros, plaintext) = rest.split_at_checked(padding).ok_or(OpenError::Padding)?;
    if zeros.iter().any(|&octet| octet != 0) {
        return Err(OpenError::Padding);
    }
    Ok(plaintext.to_vec())
}
