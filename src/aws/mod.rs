//! AWS, as every client of it is set up; and what of the configuration is kept there.
//!
//! | file | owns |
//! |---|---|
//! | this one | whose region and credentials, retries and time-outs |
//! | `function` | what a Lambda function finds in its environment |
//! | `http` | how a function reaches AWS |
//! | [`kms`] | a VAPID key that never leaves KMS |
//! | [`kept`] | secrets and keys that are read from Secrets Manager and SSM |

mod function;
mod http;
pub mod kept;
pub mod kms;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

use self::http::Http;

/// To AWS, from wherever this runs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The SDK's defaults, as of this version; a later one may change retries or time-outs.
pub fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Region and credentials, looked for once, and not before something needs them.
#[derive(Debug)]
pub struct Aws {
    whose: Whose,
    found: OnceCell<SdkConfig>,
}

#[derive(Debug)]
enum Whose {
    Function(Http),
    #[cfg(feature = "local")]
    Person,
}

impl Aws {
    /// A Lambda function's: Lambda gives it both in its environment, and nothing else is looked at.
    pub fn of_a_function() -> Self {
        Self {
            whose: Whose::Function(Http::new()),
            found: OnceCell::new(),
        }
    }

    /// Those of the person at this machine, wherever the SDK finds them: the environment, profiles, SSO, a command, the
    /// machine itself.
    #[cfg(feature = "local")]
    pub fn of_a_person() -> Self {
        Self {
            whose: Whose::Person,
            found: OnceCell::new(),
        }
    }

    /// What every client is made of.
    pub async fn config(&self) -> &SdkConfig {
        let find = async || match &self.whose {
            Whose::Function(http) => function::config(http.clone()),
            #[cfg(feature = "local")]
            Whose::Person => Box::pin(person()).await,
        };
        self.found.get_or_init(find).await
    }

    /// Begins to connect a function to DynamoDB, and does not wait for it.
    ///
    /// It pays because every function asks DynamoDB first, and because Lambda starts a function with a whole processor and
    /// runs it with a seventh to a third of one: TLS takes a millisecond of a whole one, and is done while secrets and keys
    /// are fetched, not while somebody waits for an answer. It does not pay for SQS and EventBridge, which are told at the
    /// end of the work, nor for push services: which of them a campaign meets is not known, and a page waits for its
    /// slowest answer, not for its first connection.
    pub async fn connect(&self) {
        let http = match &self.whose {
            Whose::Function(http) => http.clone(),
            #[cfg(feature = "local")]
            Whose::Person => return,
        };
        if let Some(dynamodb) = function::dynamodb(self.config().await).await {
            tokio::spawn(http.open(dynamodb));
        }
    }
}

#[cfg(feature = "local")]
async fn person() -> SdkConfig {
    aws_config::defaults(behavior_version())
        .retry_config(retries())
        .timeout_config(timeouts())
        .load()
        .await
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(3)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(5))
        .build()
}
