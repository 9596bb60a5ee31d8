//! AWS, as every client of it is set up; and what of the configuration is kept there.
//!
//! | file | owns |
//! |---|---|
//! | this one | region, credentials, retries and time-outs |
//! | [`kms`] | a VAPID key that never leaves KMS |
//! | [`kept`] | secrets and keys that are read from Secrets Manager and SSM |

pub mod kept;
pub mod kms;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

/// The SDK's defaults, as of this version; a later one may change retries or time-outs.
pub fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Region and credentials of the environment, looked for once, and not before something needs them.
#[derive(Debug, Default)]
pub struct Aws(OnceCell<SdkConfig>);

impl Aws {
    /// What every client is made of.
    pub async fn config(&self) -> &SdkConfig {
        self.0.get_or_init(|| Box::pin(load())).await
    }
}

async fn load() -> SdkConfig {
    aws_config::defaults(behavior_version())
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(5))
                .build(),
        )
        .load()
        .await
}
