//! DynamoDB, as both tables use it. In AWS it is the service; on one machine it is the same code against an embedded
//! one, so that conditions, transactions and indexes are real everywhere.
//!
//! | file | owns |
//! |---|---|
//! | this one | the client, the tables' names, errors |
//! | `item` | attribute values |
//! | `key` | every key of the table `Ledger` |
//! | `read`, `write` | one request: its table, key and expressions |
//! | `transaction` | writing several items as one, again when it collides |
//! | [`schema`] | the tables' shape: made locally, checked by the doctor |
//! | [`embedded`] | the embedded database of `pushcast serve` |

#[cfg(feature = "local")]
pub mod embedded;
pub(crate) mod item;
pub(crate) mod key;
pub(crate) mod read;
pub mod schema;
pub(crate) mod transaction;
pub(crate) mod write;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http::StatusCode;

use crate::backoff::Attempts;
use crate::clock::Chance;
use crate::problem::Problem;

/// Names of the two tables.
#[derive(Debug, Clone)]
pub struct Tables {
    /// `Subscriptions`.
    pub subscriptions: String,
    /// `Ledger`.
    pub ledger: String,
}

/// A client, and the tables that it works on. A clone shares the client.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) client: Client,
    pub(crate) tables: Tables,
    pub(crate) chance: Chance,
}

impl Database {
    /// Over a client that was built with [`behavior_version`](crate::aws::behavior_version), and tables that exist.
    pub fn new(client: Client, tables: Tables, chance: Chance) -> Self {
        Self {
            client,
            tables,
            chance,
        }
    }
}

/// Why a call of the store failed. A write is done as a whole or not at all: no subscription changes without its count.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused, or could not be reached.
    #[error("DynamoDB {operation} failed")]
    Sdk {
        /// What was asked.
        operation: &'static str,
        /// Whether it may succeed in a moment: throttled, timed out, unreachable.
        transient: bool,
        /// The SDK's error.
        source: BoxError,
    },
    /// Others kept writing the same items.
    #[error("{operation} failed {attempts} times: others were writing the same items")]
    Contended {
        /// What was asked.
        operation: &'static str,
        /// How often it was attempted.
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

    pub(crate) fn contended(operation: &'static str, attempts: &Attempts) -> Self {
        Self::Contended {
            operation,
            attempts: attempts.failed(),
        }
    }

    pub(crate) fn sdk<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let transient = match &error {
            SdkError::TimeoutError(_)
            | SdkError::DispatchFailure(_)
            | SdkError::ResponseError(_) => true,
            // A 5xx may carry any code, or none when a proxy answers.
            SdkError::ServiceError(service) => {
                service.raw().status().is_server_error()
                    || service.err().code().is_some_and(transaction::is_busy)
            }
            // The request could not be built. The SDK may add other kinds.
            SdkError::ConstructionFailure(_) | _ => false,
        };
        let source = match error.code() {
            // Its message may quote what was sent, and causes are logged.
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

impl From<StoreError> for Problem {
    /// The cause goes to the log: it may name tables and roles.
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        if error.is_transient() {
            return Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "urn:pushcast:store-busy",
                "The database is busy",
                "Nothing was changed in part. Try again in a moment.".to_owned(),
            );
        }
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "urn:pushcast:store-failed",
            "The database failed",
            "The cause is in the server's log.".to_owned(),
        )
    }
}
