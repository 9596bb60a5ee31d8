//! HKDF with SHA-256 (RFC 5869). Each step is a function, so that tests compare it with the values of the RFCs.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, Tag, sign};

/// HKDF-Extract: `PRK = HMAC-SHA-256(salt, IKM)` (RFC 5869, section 2.2).
pub(super) fn extract(salt: &[u8], ikm: &[u8]) -> Tag {
    sign(&Key::new(HMAC_SHA256, salt), ikm)
}

/// A pseudorandom key, which can be expanded more than once.
pub(super) struct Prk(Key);

impl Prk {
    pub(super) fn new(prk: impl AsRef<[u8]>) -> Self {
        Self(Key::new(HMAC_SHA256, prk.as_ref()))
    }

    /// HKDF-Expand of at most one block, L <= 32: `T(1) = HMAC(PRK, info || 0x01)` (RFC 5869, section 2.3).
    pub(super) fn expand<const L: usize>(&self, info: &[&[u8]]) -> [u8; L] {
        const { assert!(L <= 32) };
        let mut context = aws_lc_rs::hmac::Context::with_key(&self.0);
        info.iter().for_each(|part| context.update(part));
        context.update(&[1]);
        let mut okm = [0; L];
        okm.copy_from_slice(&context.sign().as_ref()[..L]);
        okm
    }
}
