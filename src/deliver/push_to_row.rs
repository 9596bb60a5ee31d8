//! One push to a stored subscription, which can be older than the rules, or have ended.

use jiff::Timestamp;

use crate::subscribers::{Row, RowError};
use webpush::EndpointError;
use webpush::{AllowList, Dispatched, Message, Outcome, Pusher, Report};

/// Checks the row once more, and pushes.
pub async fn push_to_row(
    pusher: &Pusher,
    row: &Row,
    allowed: &AllowList,
    message: &Message,
    now: Timestamp,
    dispatched: &Dispatched,
) -> Report {
    if row.expires_at.is_some_and(|end| end <= now) {
        return Report::unanswered(Outcome::Gone, "its expirationTime has passed");
    }
    match row.subscription(allowed) {
        Ok(subscription) => {
            pusher
                .push_tracked(row.vapid.as_ref(), &subscription, message, dispatched)
                .await
        }
        Err(error @ RowError::Endpoint(EndpointError::PermanentlyRemoved)) => {
            Report::unanswered(Outcome::Gone, error)
        }
        Err(error) => Report::unanswered(Outcome::Refused, error),
    }
}
