//! Why a call of DynamoDB failed, and whether it may succeed in a moment.

use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http::StatusCode;

use crate::backoff::Attempts;
use crate::problem::Problem;

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
                    || service.err().code().is_some_and(is_busy)
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

/// Whether a call may succeed in a moment, by DynamoDB's code: of an error, or of one item of a cancelled transaction.
pub(super) fn is_busy(code: &str) -> bool {
    matches!(
        code,
        "TransactionConflict"
            | "TransactionConflictException"
            | "TransactionInProgressException"
            | "ThrottlingError"
            | "ThrottlingException"
            | "ProvisionedThroughputExceeded"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "InternalServerError"
    )
}
