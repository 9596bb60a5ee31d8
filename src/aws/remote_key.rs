//! A VAPID key that stays in AWS.

use std::sync::Arc;

use webpush::Signer;

/// A VAPID key whose private half stays in AWS.
#[derive(Debug)]
pub struct RemoteKey {
    /// Its public half, an uncompressed point.
    pub public: [u8; 65],
    /// Signs with its private half.
    pub signer: Arc<dyn Signer>,
}
