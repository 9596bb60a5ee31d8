//! The content coding `aes128gcm` (RFC 8188): a header, then records.
//!
//! ```text
//! +-----------+--------+-----------+---------------+======================+
//! | salt (16) | rs (4) | idlen (1) | keyid (idlen) | records of rs octets |
//! +-----------+--------+-----------+---------------+======================+
//! record: AES-128-GCM( data | delimiter | zero octets ) | tag (16)
//! ```
//!
//! Web Push sends exactly one record; [`open`] reads any number of them.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::hkdf;

/// Octets of the AEAD tag.
pub const TAG_LEN: usize = 16;
/// Octets of the header before the key id.
const FIXED_HEADER_LEN: usize = 16 + 4 + 1;
/// Ends a record that is not the last (RFC 8188, section 2).
const DELIMITER: u8 = 1;
/// Ends the last record.
const LAST_DELIMITER: u8 = 2;

/// The body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The body is shorter than its header.
    #[error("the body ends before its header does")]
    Truncated,
    /// `rs` is less than 18, or 2^31 or more (RFC 8188, section 2.1).
    #[error("the record size {0} is not usable")]
    RecordSize(u32),
    /// The key is another one, or an octet was changed.
    #[error("the body does not decrypt with this key")]
    Decrypt,
    /// A delimiter is missing, or the last record's delimiter is in another record.
    #[error("the padding delimiter is missing or in the wrong record")]
    Padding,
    /// The sender's key has another length, or is not on the curve.
    #[error("the sender's public key is not a point on P-256")]
    SenderKey,
    /// `Content-Encoding`, or a header that `aesgcm` needs, is missing or unknown.
    #[error(
        "the headers do not say how the body is encrypted: Content-Encoding, and for aesgcm Encryption and Crypto-Key"
    )]
    Headers,
}

/// The header of a body (RFC 8188, section 2.1).
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Fresh for each message.
    pub salt: [u8; 16],
    /// Record size: octets of ciphertext in each record but the last.
    pub rs: u32,
    /// In Web Push, the sender's public key (RFC 8291, section 4).
    pub keyid: &'a [u8],
}

impl<'a> Header<'a> {
    /// Splits a body into its header and its records.
    ///
    /// # Errors
    /// [`OpenError::Truncated`] and [`OpenError::RecordSize`].
    pub fn split(body: &'a [u8]) -> Result<(Self, &'a [u8]), OpenError> {
        let (fixed, rest) = body
            .split_at_checked(FIXED_HEADER_LEN)
            .ok_or(OpenError::Truncated)?;
        let mut salt = [0; 16];
        salt.copy_from_slice(&fixed[..16]);
        let rs = u32::from_be_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]);
        let (keyid, records) = rest
            .split_at_checked(usize::from(fixed[20]))
            .ok_or(OpenError::Truncated)?;
        if !(18..1 << 31).contains(&rs) {
            return Err(OpenError::RecordSize(rs));
        }
        Ok((Self { salt, rs, keyid }, records))
    }

    /// Length of a header with this key id, in octets.
    pub fn len(keyid: &[u8]) -> usize {
        FIXED_HEADER_LEN + keyid.len()
    }

    /// Appends the header to `body`.
    ///
    /// # Panics
    /// If the key id is longer than 255 octets.
    pub fn write(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(&self.salt);
        body.extend_from_slice(&self.rs.to_be_bytes());
        body.push(u8::try_from(self.keyid.len()).expect("a key id of at most 255 octets"));
        body.extend_from_slice(self.keyid);
    }
}

/// The content-encryption key and the base of the nonces (RFC 8188, sections 2.2 and 2.3).
pub struct ContentKeys {
    pub(super) cek: [u8; 16],
    pub(super) nonce: [u8; NONCE_LEN],
}

impl ContentKeys {
    /// Derives both from the salt and the input keying material.
    pub fn derive(salt: &[u8; 16], ikm: &[u8]) -> Self {
        let prk = hkdf::Prk::new(hkdf::extract(salt, ikm));
        Self {
            cek: prk.expand(&[b"Content-Encoding: aes128gcm\0"]),
            nonce: prk.expand(&[b"Content-Encoding: nonce\0"]),
        }
    }

    pub(super) fn key(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.cek).expect("a key of 16 octets"))
    }

    /// The nonce of record `sequence`: the base XOR the number, in the last 8 octets.
    pub(super) fn nonce(&self, sequence: u64) -> Nonce {
        let mut nonce = self.nonce;
        for (octet, number) in nonce[NONCE_LEN - 8..]
            .iter_mut()
            .zip(sequence.to_be_bytes())
        {
            *octet ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Writes a body of one record: header, `plaintext`, delimiter, `padding` zero octets, tag.
pub fn seal(header: &Header<'_>, keys: &ContentKeys, plaintext: &[u8], padding: usize) -> Vec<u8> {
    let start = Header::len(header.keyid);
    let mut body = Vec::with_capacity(start + plaintext.len() + 1 + padding + TAG_LEN);
    header.write(&mut body);
    body.extend_from_slice(plaintext);
    body.push(LAST_DELIMITER);
    body.resize(body.len() + padding, 0);
    let tag = keys
        .key()
        .seal_in_place_separate_tag(keys.nonce(0), Aad::empty(), &mut body[start..])
        .expect("AES-128-GCM seals any message of this size");
    body.extend_from_slice(tag.as_ref());
    body
}

/// Decrypts the records that [`Header::split`] returns.
///
/// # Errors
/// [`OpenError::Decrypt`] and [`OpenError::Padding`].
pub fn open(rs: u32, records: &[u8], keys: &ContentKeys) -> Result<Vec<u8>, OpenError> {
    let key = keys.key();
    let rs = usize::try_from(rs).map_err(|_| OpenError::RecordSize(rs))?;
    if records.is_empty() {
        return Err(OpenError::Truncated);
    }
    let mut plaintext = Vec::with_capacity(records.len());
    let last = records.chunks(rs).count() - 1;
    for (sequence, record) in records.chunks(rs).enumerate() {
        let mut record = record.to_vec();
        let opened = key
            .open_in_place(keys.nonce(sequence as u64), Aad::empty(), &mut record)
            .map_err(|_| OpenError::Decrypt)?;
        let end = opened
            .iter()
            .rposition(|&octet| octet != 0)
            .ok_or(OpenError::Padding)?;
        let expected = if sequence == last {
            LAST_DELIMITER
        } else {
            DELIMITER
        };
        if opened[end] != expected {
            return Err(OpenError::Padding);
        }
        plaintext.extend_from_slice(&opened[..end]);
    }
    Ok(plaintext)
}
