//! Voluntary Application Server Identification, VAPID (RFC 8292): a signed token tells the push service who sends.
//!
//! | file | owns | source |
//! |---|---|---|
//! | `key` | [`VapidKey`]: a P-256 key that is made, read, written, and signs | RFC 8292, section 2 |
//! | `subject`, `claims` | [`Subject`], [`SenderClaims`]: what a token says about its sender | RFC 8292, sections 2 and 2.1 |
//! | `token` | [`Vapid`]: a key, and a signed token for each origin | RFC 8292, section 3 |
//! | `signature` | [`from_der`]: a signature in the form of JWS | RFC 7518, section 3.4 |
//! | `keyring` | [`Keyring`]: several keys, so that one can be replaced | |

mod claims;
mod key;
mod keyring;
mod signature;
mod subject;
mod token;

pub use claims::{ClaimsError, MAX_TOKEN_LIFE, SenderClaims, TOKEN_LIFE};
pub use key::{KeyId, VapidKey, VapidKeyError, public_from_spki};
pub use keyring::Keyring;
pub use signature::{NotDer, from_der};
pub use subject::{Subject, SubjectError};
pub use token::{Claims, TokenError, Unsigned, Vapid};
