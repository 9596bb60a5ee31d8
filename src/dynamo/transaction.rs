//! Writing several items as one, or one item. A collision with another writer is tried again, after a random wait that grows; a
//! condition that does not hold is an answer, not an error.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::TransactWriteItem;

use super::{Database, StoreError};
use crate::dynamo::item::Item;

/// How often a write that collides is tried: with the waits below, some seconds in all.
pub(crate) const ATTEMPTS: u32 = 12;
/// After this long nothing is tried again: whoever asked is waiting, and API Gateway gives up at 30 seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transacted {
    /// All items are written.
    Done,
    /// None is: the conditions of these items, by position, did not hold.
    Unmet(Vec<usize>),
}

/// Whether a code of DynamoDB's means: later. Of an error, or of one item of a cancelled transaction.
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
    /// All tries carry one token: when the answer to a write that was done is lost, the next try is answered as the
    /// first would have been, and changes nothing (`ClientRequestToken`).
    pub(crate) async fn transact(
        &self,
        operation: &'static str,
        items: Vec<TransactWriteItem>,
    ) -> Result<Transacted, StoreError> {
        let token = format!("{:016x}{:016x}", self.chance.draw(), self.chance.draw());
        let began = Instant::now();
        for attempt in 0..ATTEMPTS {
            let request = self
                .client
                .transact_write_items()
                .client_request_token(&token);
            let Err(error) = request.set_transact_items(Some(items.clone())).send().await else {
                return Ok(Transacted::Done);
            };
            if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            {
                let codes: Vec<&str> = cancelled
                    .cancellation_reasons()
                    .iter()
                    .map(|reason| reason.code().unwrap_or("None"))
                    .collect();
                let busy = codes.iter().any(|code| is_busy(code));
                let unmet = codes.iter().enumerate();
                let unmet = unmet.filter(|(_, code)| **code == "ConditionalCheckFailed");
                let unmet: Vec<usize> = unmet.map(|(i, _)| i).collect();
                if unmet.is_empty() && !busy {
                    return Err(StoreError::sdk(operation, error));
                }
                if !busy {
                    return Ok(Transacted::Unmet(unmet));
                }
            } else {
                let error = StoreError::sdk(operation, error);
                if !error.is_transient() || attempt + 1 == ATTEMPTS || began.elapsed() > PATIENCE {
                    return Err(error);
                }
            }
            self.wait(attempt).await;
        }
        Err(StoreError::Contended {
            operation,
            attempts: ATTEMPTS,
        })
    }

    /// Updates one item, and gives back the attributes that were asked for; nothing where its condition does not hold. As
    /// often as a transaction is tried: one may be writing the same item.
    pub(crate) async fn update(
        &self,
        request: UpdateItemFluentBuilder,
    ) -> Result<Option<Item>, StoreError> {
        let (began, mut attempt) = (Instant::now(), 0);
        loop {
            let error = match request.clone().send().await {
                Ok(updated) => return Ok(Some(updated.attributes.unwrap_or_default())),
                Err(error) => error,
            };
            if error
                .as_service_error()
                .is_some_and(UpdateItemError::is_conditional_check_failed_exception)
            {
                return Ok(None);
            }
            let error = StoreError::sdk("UpdateItem", error);
            attempt += 1;
            if !error.is_transient() || attempt == ATTEMPTS || began.elapsed() > PATIENCE {
                return Err(error);
            }
            self.wait(attempt).await;
        }
    }

    /// A random part of a wait that doubles ("full jitter"): those who collided do not meet again.
    pub(crate) async fn wait(&self, attempt: u32) {
        let longest = FIRST_WAIT
            .saturating_mul(1 << attempt.min(10))
            .min(LONGEST_WAIT);
        let micros = u64::try_from(longest.as_micros()).expect("at most a second");
        tokio::time::sleep(Duration::from_micros(self.chance.up_to(micros))).await;
    }
}
