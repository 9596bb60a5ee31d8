//! The promises of the library, one file for each part.

#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps fails, and says where"
)]

/// Only addresses of push services become endpoints, and only valid keys become subscriptions.
mod endpoints;

/// Independent implementations decrypt what we encrypt, and we decrypt what they encrypt.
mod encryption;

/// Keys are read and written in every form; a token is accepted by push services, and signed once.
mod vapid;

/// The sender's own claims are kept, completed, and never sent to another origin.
mod own_claims;

/// A signature that was made elsewhere, such as by a KMS, is converted from DER.
mod signatures;

/// The request for one message, header by header.
mod requests;

/// The meaning of each push service's answers, row by row.
mod answers;

/// The members that a declarative notification must have.
mod notifications;

/// The limiter hands out permits in order, loses none, and knows when a service is busy.
#[cfg(feature = "client")]
mod limiter;
