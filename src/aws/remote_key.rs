//! A VAPID key in AWS, whichever service keeps it.

use std::sync::Arc;

use webpush::Signer;

/// A VAPID key whose private half stays in AWS.
#[derive(Debug)]
pub struct RemoteKey {
    /// Its public half, an uncompressed point.
    pub public: [u8; 65],
    /// What signs with it.
    pub signer: Arc<dyn Signer>,
}
