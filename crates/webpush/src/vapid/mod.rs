//! Voluntary Application Server Identification (RFC 8292): who is sending.
//!
//! | file | owns | source |
//! |---|---|---|
//! | `key` | a P-256 key: read, made, written, signing | RFC 8292, section 2 |
//! | `subject`, `claims` | what a token says of its sender | RFC 8292, sections 2 and 2.1 |
//! | `token` | a signed token for each origin, kept until it nears its end | RFC 8292, section 3 |
//! | `signature` | a signature as JWS wants it, from DER | RFC 7518, section 3.4 |
//! | `keyring` | several keys, so that one can be rotated | |

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
