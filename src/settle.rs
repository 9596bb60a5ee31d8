//! What an outcome asks of the world: keep the subscriber, prune it, retry the push, or halt the campaign.

use std::time::Duration;

use jiff::Timestamp;

use crate::dynamo::StoreError;
use crate::store::Store;
use crate::subscribers::Pruned;
use crate::subscribers::Row;
use webpush::Outcome;
use webpush::Report;

/// What is to be done after one push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the push is over, the subscriber stays.
    Keep,
    /// The subscriber is gone.
    Prune,
    /// Push again, not before this long from now.
    Retry(Option<Duration>),
    /// Everyone would be refused as this one was: stop until it is repaired. Nobody is pruned.
    Halt,
}

impl From<&Outcome> for Next {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted | Outcome::Mismatched | Outcome::TooLarge | Outcome::Refused => {
                Self::Keep
            }
            Outcome::Gone => Self::Prune,
            Outcome::Throttled(after) | Outcome::Unavailable(after) => Self::Retry(*after),
            Outcome::Unreachable => Self::Retry(None),
            Outcome::OurFault => Self::Halt,
        }
    }
}

/// Does to the store what a push to `row` asks for, and says what is left to do: a prune that met a subscriber
/// who came back is [`Next::Keep`].
///
/// # Errors
/// When DynamoDB fails.
pub async fn settle(
    store: &Store,
    row: &Row,
    report: &Report,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let next = Next::from(report.outcome());
    match next {
        Next::Prune => {
            if store.subscribers.prune(row, now).await? == Pruned::Kept {
                return Ok(Next::Keep);
            }
        }
        Next::Keep => {
            let other_key = report
                .accepted_with()
                .filter(|key| row.vapid.as_ref() != Some(*key));
            if let Some(key) = other_key {
                store.subscribers.remember_key(row, key).await?;
            }
        }
        Next::Retry(_) | Next::Halt => {}
    }
    Ok(next)
}
