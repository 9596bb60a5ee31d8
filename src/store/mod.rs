//! The store: two DynamoDB tables. In AWS it is DynamoDB; on one machine it is the same code against an embedded
//! one ([`embedded`]), so that conditions, transactions and indexes are real everywhere.
//!
//! | file | owns |
//! |---|---|
//! | [`subscriptions`] | who is subscribed, and that the count agrees |
//! | [`row`], `upsert` | a subscription as it is stored, and how it gets there |
//! | [`ledger`] | the count |
//! | [`schedules`] | the local server's schedules |
//! | [`campaigns`], [`parts`] | campaigns, and how far each part of one is |
//! | `transaction` | writing several items as one, again when it collides |
//! | [`schema`] | the tables' shape: made locally, checked by the doctor |

pub mod campaigns;
#[cfg(feature = "local")]
pub mod embedded;
pub mod ledger;
pub mod parts;
pub mod row;
pub mod schedules;
pub mod schema;
pub mod subscriptions;
mod transaction;
mod upsert;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::clock::Chance;

/// The SDK's defaults, as of this version; a later one may change retries or time-outs.
pub fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Names of the two tables.
#[derive(Debug, Clone)]
pub struct Tables {
    /// `Subscriptions`.
    pub subscriptions: String,
    /// `Ledger`.
    pub ledger: String,
}

/// Subscriptions and ledger.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    tables: Tables,
    chance: Chance,
}

impl Store {
    /// Over a client that was built with [`behavior_version`], and tables that exist.
    pub fn new(client: Client, tables: Tables, chance: Chance) -> Self {
        Self {
            client,
            tables,
            chance,
        }
    }

    /// Over DynamoDB in the region and with the credentials of the environment.
    pub async fn connect(tables: Tables, chance: Chance) -> Self {
        Self::new(Client::new(&aws().await), tables, chance)
    }
}

/// Region, credentials, retries and time-outs of every AWS client.
pub async fn aws() -> SdkConfig {
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

/// Why the store did not do it. The subscription and its count are as they were, or both changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused, or could not be reached.
    #[error("DynamoDB {operation} failed")]
    Sdk {
        /// What was asked.
        operation: &'static str,
        /// Whether it may go well in a moment: throttled, timed out, unreachable.
        transient: bool,
        /// The SDK's error.
        source: BoxError,
    },
    /// Others kept writing the same items.
    #[error("{operation} met the same items being written {attempts} times")]
    Contended {
        /// What was asked.
        operation: &'static str,
        /// How often it was tried.
        attempts: u32,
    },
}

impl StoreError {
    /// Whether trying again in a moment may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sdk { transient, .. } => *transient,
            Self::Contended { .. } => true,
        }
    }

    fn sdk<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let transient = match &error {
            SdkError::TimeoutError(_)
            | SdkError::DispatchFailure(_)
            | SdkError::ResponseError(_) => true,
            // Whatever code a 5xx carries, and if it is a proxy's page without any.
            SdkError::ServiceError(service) => {
                service.raw().status().is_server_error()
                    || service.err().code().is_some_and(transaction::is_busy)
            }
            // The request could not be built. The SDK may add other kinds.
            SdkError::ConstructionFailure(_) | _ => false,
        };
        Self::Sdk {
            operation,
            transient,
            source: Box::new(error),
        }
    }
}
