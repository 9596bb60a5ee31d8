//! The build without the feature `aws` reads nothing from AWS. When the configuration refers to AWS, the error names
//! the build that can read it.

use aws_sdk_dynamodb::Client;

use super::remote_key::RemoteKey;

/// This build has no AWS support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this build of pushcast has no AWS support: install one with `cargo install --path . --features aws`, or run \
     `cargo run --features aws`"
)]
pub struct NoAws;

/// Stands in for the AWS client. Every call fails with [`NoAws`].
#[derive(Debug)]
pub struct Aws(());

impl Aws {
    /// Has the signature that it has in a build with AWS. It looks for no credentials.
    pub fn of_user() -> Self {
        Self(())
    }

    /// There is no client.
    ///
    /// # Errors
    /// Always.
    pub async fn dynamodb(&self) -> Result<Client, NoAws> {
        Err(NoAws)
    }

    /// There is no secret.
    ///
    /// # Errors
    /// Always.
    pub async fn secret(&self, _reference: &str) -> Result<String, NoAws> {
        Err(NoAws)
    }

    /// There is no key.
    ///
    /// # Errors
    /// Always.
    pub async fn kms_key(&self, _id: &str) -> Result<RemoteKey, NoAws> {
        Err(NoAws)
    }
}
