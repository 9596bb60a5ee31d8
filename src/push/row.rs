//! One push to a stored subscription, which can be older than the rules, or have ended.

use jiff::Timestamp;

use super::{Begun, Pusher, Report};
use crate::store::row::{Row, RowError};
use crate::webpush::endpoint::EndpointError;
use crate::webpush::{AllowList, Message, Outcome};

impl Pusher {
    /// Checks the row once more, and pushes.
    pub async fn push_to_row(
        &self,
        row: &Row,
        allowed: &AllowList,
        message: &Message,
        now: Timestamp,
        begun: &Begun,
    ) -> Report {
        if row.expires_at.is_some_and(|end| end <= now) {
            return Report::not_sent(Outcome::Gone, "its expirationTime has passed");
        }
        match row.subscription(allowed) {
            Ok(subscription) => {
                self.push_watched(row.vapid.as_ref(), &subscription, message, begun)
                    .await
            }
            Err(error @ RowError::Endpoint(EndpointError::PermanentlyRemoved)) => {
                Report::not_sent(Outcome::Gone, error)
            }
            Err(error) => Report::not_sent(Outcome::Refused, error),
        }
    }
}
