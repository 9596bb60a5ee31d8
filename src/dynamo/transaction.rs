//! Writing several items as one. A collision with another writer is tried again; a condition that does not hold is an
//! answer, not an error.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};

use super::{Database, StoreError};
use crate::backoff::{Attempts, Backoff};

/// Items of one transaction, at most.
pub(crate) const MAX_ITEMS: usize = 100;

/// For one call of DynamoDB that collides with others, is throttled, or fails otherwise for a moment.
pub(crate) const COLLISION: Backoff = Backoff {
    attempts: 12,
    patience: Duration::from_secs(5),
    first: Duration::from_millis(10),
    longest: Duration::from_secs(1),
};

/// For a write that is decided anew because its item has changed since it was read. The last decision's calls have 5 s
/// of their own: all ends within the 30 s after which API Gateway gives up. A busy database may need seconds for one
/// decision, so that less would fail a caller who met another writer once.
pub(crate) const DECISION: Backoff = Backoff {
    attempts: 50,
    patience: Duration::from_secs(25),
    ..COLLISION
};

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transacted {
    /// All items are written.
    Done,
    /// None is: the conditions of these items, by position, did not hold.
    Unmet(Vec<usize>),
}

/// Whether a call may succeed in a moment, by DynamoDB's code: of an error, or of one item of a cancelled transaction.
pub(crate) fn is_busy(code: &str) -> bool {
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

impl Database {
    /// Writes all of `items` or none.
    ///
    /// All attempts carry one token: when the answer to a write that was done is lost, the next attempt is answered as
    /// the first would have been, and changes nothing (`ClientRequestToken`).
    pub(crate) async fn transact(
        &self,
        operation: &'static str,
        items: Vec<TransactWriteItem>,
    ) -> Result<Transacted, StoreError> {
        let token = format!("{:016x}{:016x}", self.chance.draw(), self.chance.draw());
        let mut attempts = Attempts::begin(COLLISION);
        loop {
            let request = self
                .client
                .transact_write_items()
                .client_request_token(&token);
            let Err(error) = request.set_transact_items(Some(items.clone())).send().await else {
                return Ok(Transacted::Done);
            };
            let failure = if let Some(TransactWriteItemsError::TransactionCanceledException(it)) =
                error.as_service_error()
            {
                match Cancelled::read(it.cancellation_reasons()) {
                    Cancelled::Busy => None,
                    Cancelled::Unmet(unmet) => return Ok(Transacted::Unmet(unmet)),
                    Cancelled::Otherwise => return Err(StoreError::sdk(operation, error)),
                }
            } else {
                Some(StoreError::sdk(operation, error))
            };
            let may_pass = failure.as_ref().is_none_or(StoreError::is_transient);
            if !may_pass || !attempts.wait_for_next(&self.chance).await {
                let contended = || StoreError::contended(operation, &attempts);
                return Err(failure.unwrap_or_else(contended));
            }
        }
    }

    /// A write is to be decided anew: waits before that.
    ///
    /// # Errors
    /// [`StoreError::Contended`] when it was decided often enough.
    pub(crate) async fn decide_again(
        &self,
        operation: &'static str,
        attempts: &mut Attempts,
    ) -> Result<(), StoreError> {
        if attempts.wait_for_next(&self.chance).await {
            return Ok(());
        }
        Err(StoreError::contended(operation, attempts))
    }
}

/// Why DynamoDB has cancelled a transaction.
enum Cancelled {
    /// Another writer holds one of the items, or the table is throttled.
    Busy,
    /// The conditions of these items, by position, did not hold.
    Unmet(Vec<usize>),
    /// For another reason.
    Otherwise,
}

impl Cancelled {
    fn read(reasons: &[CancellationReason]) -> Self {
        let codes: Vec<&str> = reasons
            .iter()
            .map(|reason| reason.code().unwrap_or("None"))
            .collect();
        if codes.iter().any(|code| is_busy(code)) {
            return Self::Busy;
        }
        let unmet = codes.iter().enumerate();
        let unmet = unmet.filter(|(_, code)| **code == "ConditionalCheckFailed");
        let unmet: Vec<usize> = unmet.map(|(i, _)| i).collect();
        if unmet.is_empty() {
            return Self::Otherwise;
        }
        Self::Unmet(unmet)
    }
}
