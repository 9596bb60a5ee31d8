//! The store: two DynamoDB tables. In AWS it is DynamoDB; on one machine it is the same code against an embedded
//! one ([`embedded`]), so that conditions, transactions and indexes are real everywhere.
//!
//! | file | owns |
//! |---|---|
//! | [`subscriptions`] | who is subscribed, and that the count agrees |
//! | [`reading`] | reading them: one, a user's, everyone |
//! | [`row`], `upsert` | a subscription as it is stored, and how it gets there |
//! | [`totals`] | how many they are, in all and by push service |
//! | [`days`] | what those figures were, day by day |
//! | [`sample`], [`tags`] | what is not counted: an audience, estimated, and which tags there are |
//! | [`schedules`] | the local server's schedules |
//! | [`campaigns`], [`parts`] | campaigns, and who works on each part of one |
//! | [`settlement`] | what was done with a part, written down as one |
//! | `transaction` | writing several items as one, again when it collides |
//! | [`schema`] | the tables' shape: made locally, checked by the doctor |

pub mod campaigns;
pub mod days;
#[cfg(feature = "local")]
pub mod embedded;
pub mod parts;
pub mod reading;
pub mod row;
pub mod sample;
pub mod schedules;
pub mod schema;
pub mod settlement;
pub mod subscriptions;
pub mod tags;
pub mod totals;
mod transaction;
mod upsert;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::aws::Aws;
use crate::clock::Chance;

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
    /// The last day, since 1970, that is known to have its opening.
    opened: Arc<AtomicI64>,
}

impl Store {
    /// Over a client that was built with [`behavior_version`](crate::aws::behavior_version), and tables that exist.
    pub fn new(client: Client, tables: Tables, chance: Chance) -> Self {
        Self {
            client,
            tables,
            chance,
            opened: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    /// Over DynamoDB in the region and with the credentials of the environment.
    pub async fn connect(aws: &Aws, tables: Tables, chance: Chance) -> Self {
        Self::new(Client::new(aws.config().await), tables, chance)
    }
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
        let source = match error.code() {
            // Its words may quote what was sent, and causes are logged.
            Some(code @ "ValidationException") => code.into(),
            _ => error.into(),
        };
        Self::Sdk {
            operation,
            transient,
            source,
        }
    }
}
