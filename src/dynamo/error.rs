//! Why a call of DynamoDB failed, and whether it may succeed in a moment.

use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http::StatusCode;

use crate::backoff::Attempts;
use crate::problem::Problem;

/// Why a call to the database failed. A transaction is written as a whole or not at all, so no subscription changes
/// without its count.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused the request, or could not be reached.
    #[error("DynamoDB {operation} failed")]
    Sdk {
        /// The operation that failed.
        operation: &'static str,
        /// Whether a retry may succeed: throttled, timed out, unreachable.
        transient: bool,
        /// The SDK's error.
        source: BoxError,
    },
    /// Other writers kept changing the same items.
    #[error("{operation} failed {attempts} times: others were writing the same items")]
    Contended {
        /// The operation that failed.
        operation: &'static str,
        /// Number of attempts.
        attempts: u32,
    },
}

impl StoreError {
    /// Whether a retry in a moment may succeed.
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
            // The SDK could not build the request, or has added a new kind of error.
            SdkError::ConstructionFailure(_) | _ => false,
        };
        let source = match error.code() {
            // Its message may quote the request, which may hold endpoints and keys, and causes are logged.
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
    /// The cause goes only to the log, because it may name tables and roles.
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

/// Whether a retry may succeed, by DynamoDB's code of an error or of one item of a cancelled transaction.
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
