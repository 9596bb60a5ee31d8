//! Base64 (RFC 4648): written in one way, read in every dialect.
//!
//! Browsers write unpadded base64url. Servers and exports also write the standard alphabet and padding.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);

/// The text is not base64 of any dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not base64 (URL-safe or standard, padded or not)")]
pub struct NotBase64(#[from] base64::DecodeError);

/// Writes `bytes` as unpadded base64url (RFC 4648, section 5).
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64, URL-safe or standard, padded or not (RFC 4648, sections 4 and 5).
///
/// # Errors
/// [`NotBase64`] for anything else, such as a mixture of both alphabets.
pub fn decode(text: &str) -> Result<Vec<u8>, NotBase64> {
    let engine = if text.contains(['+', '/']) {
        STANDARD
    } else {
        URL_SAFE
    };
    Ok(engine.decode(text)?)
}
