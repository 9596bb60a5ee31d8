//! AWS: how its clients are set up, and what of the configuration is read from it.
//!
//! | file | owns |
//! |---|---|
//! | `client` | [`Aws`]: region and credentials, and what is asked of AWS with them |
//! | `lambda` | what a Lambda function finds in its environment |
//! | `http` | how a function reaches AWS |
//! | `kms` | a VAPID key that never leaves KMS |
//! | `secrets` | secrets and keys in Secrets Manager |
//! | `remote_key` | [`RemoteKey`]: a VAPID key that stays in AWS |
//! | `settings` | retries and time-outs of every client |
//! | `absent` | [`Aws`] in a build without the feature `aws`: it says how to get it |

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
