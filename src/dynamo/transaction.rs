//! Writes several items in one transaction, and retries after a collision with another writer. A condition that does
//! not hold is an answer, not an error.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};

use super::Database;
use super::error::{StoreError, is_busy};
use crate::backoff::{Attempts, Backoff};

/// Maximum number of items in one transaction.
pub(crate) const MAX_ITEMS: usize = 100;

/// Backoff for one call to DynamoDB that collides with another writer, is throttled, or has another transient failure.
pub(crate) const COLLISION: Backoff = Backoff {
    attempts: 12,
    patience: Duration::from_secs(5),
    first: Duration::from_millis(10),
    longest: Duration::from_secs(1),
};

/// Backoff for a write that must read and decide again, because its item has changed since it was read. The calls of
/// the last decision may take 5 s more, so everything ends within API Gateway's 30 s limit. A shorter time would not
/// do: a busy database may need seconds for one decision, and a single collision would fail the request.
pub(crate) const DECISION: Backoff = Backoff {
    attempts: 50,
    patience: Duration::from_secs(25),
    ..COLLISION
};

/// The result of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transacted {
    /// All items are written.
    Done,
    /// Nothing is written: the conditions of these items, by position, did not hold.
    Unmet(Vec<usize>),
}

impl Database {
    /// Writes all of `items` or none.
    ///
    /// All attempts carry the same `ClientRequestToken`. If DynamoDB has done the write but its answer was lost, the
    /// next attempt gets the same answer and changes nothing.
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

    /// Waits before the caller reads and decides a write again.
    ///
    /// # Errors
    /// [`StoreError::Contended`] when the caller should give up.
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
    /// Another reason.
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
