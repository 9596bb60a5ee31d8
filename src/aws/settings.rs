//! Settings of every AWS client.

#[cfg(feature = "aws")]
use std::time::Duration;

use aws_sdk_dynamodb::config::BehaviorVersion;
#[cfg(feature = "aws")]
use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};

/// Longest time to open a connection to AWS.
#[cfg(feature = "aws")]
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Pins the SDK's defaults to this version: a later one may change retries or timeouts.
pub fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

#[cfg(feature = "aws")]
pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3)
}

#[cfg(feature = "aws")]
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(5))
        .build()
}
