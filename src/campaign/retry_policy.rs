//! The policy: what to do with the subscriber's row and with the message after a push. Single sends and campaigns share
//! it.

use std::time::Duration;

use super::figures::Tally;
use webpush::{KeyId, Outcome, Report};

/// What to do after one push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// For the subscriber's row. A single send acts only on this.
    pub row: RowAction,
    /// For the message. After a single send, the API client sees the outcome and decides.
    pub message: MessageAction,
}

/// What to do with a subscriber's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowAction {
    /// Leave the row as it is.
    Keep,
    /// Store this key in the row. The push service accepted it instead of the row's key; the next push tries it first.
    RememberKey(KeyId),
    /// Remove the row: the subscription has ended.
    Remove,
}

/// What to do with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageAction {
    /// Count the result. The push is over.
    Count(Tally),
    /// Push again, not sooner than the push service asks.
    Retry {
        /// The push service's `Retry-After`.
        after: Option<Duration>,
    },
    /// Our token, key or headers are wrong. Push again after the operator has repaired them.
    RetryAfterRepair,
}

/// Decides what to do after a push. `made_with` is the key that the subscriber's row names.
pub fn decide(report: &Report, made_with: Option<&KeyId>) -> Decision {
    use MessageAction::{Count, Retry, RetryAfterRepair};
    let (row, message) = match report.outcome() {
        Outcome::Accepted => {
            let other_key = report.accepted_with().filter(|key| made_with != Some(*key));
            let remember = other_key.cloned().map(RowAction::RememberKey);
            (remember.unwrap_or(RowAction::Keep), Count(Tally::Accepted))
        }
        Outcome::Gone => (RowAction::Remove, Count(Tally::Gone)),
        Outcome::Mismatched => (RowAction::Keep, Count(Tally::Mismatched)),
        Outcome::TooLarge => (RowAction::Keep, Count(Tally::TooLarge)),
        Outcome::Refused => (RowAction::Keep, Count(Tally::Refused)),
        Outcome::Throttled(after) | Outcome::Unavailable(after) => {
            (RowAction::Keep, Retry { after: *after })
        }
        Outcome::Unreachable => (RowAction::Keep, Retry { after: None }),
        Outcome::OurFault => (RowAction::Keep, RetryAfterRepair),
    };
    Decision { row, message }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use jiff::Timestamp;
    use webpush::{Answer, PushService};

    use super::*;

    #[test]
    fn the_table_of_outcomes() {
        use MessageAction::{Count, Retry, RetryAfterRepair};
        let (keep, minute) = (RowAction::Keep, Some(Duration::from_secs(60)));
        let table = [
            (Outcome::Accepted, &keep, Count(Tally::Accepted)),
            (Outcome::Gone, &RowAction::Remove, Count(Tally::Gone)),
            (Outcome::Mismatched, &keep, Count(Tally::Mismatched)),
            (Outcome::TooLarge, &keep, Count(Tally::TooLarge)),
            (Outcome::Refused, &keep, Count(Tally::Refused)),
            (Outcome::Throttled(minute), &keep, Retry { after: minute }),
            (Outcome::Unavailable(None), &keep, Retry { after: None }),
            (Outcome::Unreachable, &keep, Retry { after: None }),
            (Outcome::OurFault, &keep, RetryAfterRepair),
        ];
        for (outcome, row, message) in table {
            let decision = decide(&Report::unanswered(outcome.clone(), "a test"), None);
            assert_eq!(
                (&decision.row, &decision.message),
                (row, &message),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn a_key_is_remembered_when_the_row_names_another_one() {
        let key = KeyId::from("new".to_owned());
        let (service, now) = (PushService::Other, Timestamp::UNIX_EPOCH);
        let report = Report::Answered {
            answer: Answer::read(service, 201, &HeaderMap::new(), b"", now),
            key: key.clone(),
            latency: Duration::ZERO,
        };
        let old = KeyId::from("old".to_owned());
        let remember = RowAction::RememberKey(key.clone());
        assert_eq!(decide(&report, Some(&old)).row, remember);
        assert_eq!(decide(&report, None).row, remember);
        assert_eq!(decide(&report, Some(&key)).row, RowAction::Keep);
    }
}
