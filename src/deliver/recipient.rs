//! A subscriber to push to: a stored row that was checked when it was read, since rows may be older than the rules.

use jiff::Timestamp;

use crate::subscribers::{Row, RowError};
use webpush::{
    AllowList, Dispatched, EndpointError, KeyId, Message, Origin, Outcome, PushService, Pusher,
    Report, Subscription,
};

/// A row, and the subscription in it or why there is none.
#[derive(Debug, Clone)]
pub struct Recipient {
    row: Row,
    target: Result<Subscription, RowError>,
}

impl Recipient {
    /// Checks the row by the current rules.
    pub fn new(row: Row, allowed: &AllowList) -> Self {
        let target = row.subscription(allowed);
        Self { row, target }
    }

    /// The row as it is stored.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// The row as it is stored.
    pub fn into_row(self) -> Row {
        self.row
    }

    /// The endpoint. It must never be logged.
    pub fn endpoint(&self) -> &str {
        &self.row.endpoint
    }

    /// The VAPID key of the subscription, if the row names it.
    pub fn made_with(&self) -> Option<&KeyId> {
        self.row.vapid.as_ref()
    }

    /// Origin of the push service. None when the row breaks a rule.
    pub fn origin(&self) -> Option<&Origin> {
        let target = self.target.as_ref().ok();
        target.map(|subscription| subscription.endpoint.origin())
    }

    /// The push service, for figures.
    pub fn service(&self) -> PushService {
        match &self.target {
            Ok(subscription) => subscription.endpoint.service(),
            Err(_) => PushService::of_url(&self.row.endpoint),
        }
    }

    /// Pushes `message`, unless the subscription has expired or breaks a rule. Sets `dispatched` when the push service
    /// may have seen the message.
    pub async fn push(
        &self,
        pusher: &Pusher,
        message: &Message,
        now: Timestamp,
        dispatched: &Dispatched,
    ) -> Report {
        if self.row.expires_at.is_some_and(|end| end <= now) {
            return Report::unanswered(Outcome::Gone, "its expirationTime has passed");
        }
        match &self.target {
            Ok(subscription) => {
                pusher
                    .push_tracked(self.made_with(), subscription, message, dispatched)
                    .await
            }
            Err(error @ RowError::Endpoint(EndpointError::PermanentlyRemoved)) => {
                Report::unanswered(Outcome::Gone, error)
            }
            Err(error) => Report::unanswered(Outcome::Refused, error),
        }
    }
}
