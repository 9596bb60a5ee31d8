//! Sets up the AWS clients, and reads secrets and keys from AWS.
//!
//! | file | owns |
//! |---|---|
//! | `client` | [`Aws`]: finds region and credentials, and calls AWS with them |
//! | `lambda` | region, credentials and endpoints from a Lambda function's environment |
//! | `http` | the HTTP client with which a function calls AWS |
//! | `kms` | a VAPID key that never leaves KMS |
//! | `secrets` | secrets and keys in Secrets Manager |
//! | `remote_key` | [`RemoteKey`]: a VAPID key that stays in AWS |
//! | `settings` | retries and timeouts of every client |
//! | `absent` | [`Aws`] in a build without the feature `aws`: every call fails and names the build that has it |

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod client;
#[cfg(feature = "aws")]
mod http;
#[cfg(feature = "aws")]
mod kms;
#[cfg(feature = "aws")]
mod lambda;
mod remote_key;
#[cfg(feature = "aws")]
mod secrets;
mod settings;

#[cfg(not(feature = "aws"))]
pub use absent::{Aws, NoAws};
#[cfg(feature = "aws")]
pub use client::Aws;
pub use remote_key::RemoteKey;
pub use settings::behavior_version;
