//! The API token, which permits sending, and the signature that proves a user id.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use http::header::{AUTHORIZATION, InvalidHeaderValue};
use http::{HeaderMap, HeaderValue};

/// The token that the backend sends with each request.
#[derive(Clone)]
pub struct ApiToken(String);

impl From<String> for ApiToken {
    fn from(token: String) -> Self {
        Self(token)
    }
}

impl ApiToken {
    /// The header value `Bearer <token>`, which [`ApiToken::admits`] accepts.
    ///
    /// # Errors
    /// When the token holds characters that a header cannot.
    pub fn authorization(&self) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::try_from(format!("Bearer {}", self.0))
    }

    /// Whether the request carries `Authorization: Bearer <token>`. Compares digests in constant time, so that the time
    /// reveals neither the token's length nor its first characters.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let hash = |text: &str| digest(&SHA256, text.as_bytes());
        headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .is_some_and(|(_, token)| {
                let (given, ours) = (hash(token.trim()), hash(&self.0));
                verify_slices_are_equal(given.as_ref(), ours.as_ref()).is_ok()
            })
    }
}

/// The secret with which the backend signs user ids.
#[derive(Clone)]
pub struct UserSecret(Key);

impl From<String> for UserSecret {
    fn from(secret: String) -> Self {
        Self(Key::new(HMAC_SHA256, secret.as_bytes()))
    }
}

impl UserSecret {
    /// Hex HMAC-SHA256 of the user id. The backend gives it to its page.
    pub fn sign(&self, user: &str) -> String {
        hex::encode(sign(&self.0, user.as_bytes()))
    }

    /// Whether `signature` is the signature of `user`. Compares in constant time.
    pub fn proves(&self, user: &str, signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|tag| verify(&self.0, user.as_bytes(), &tag).is_ok())
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(..)")
    }
}

impl fmt::Debug for UserSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserSecret(..)")
    }
}
