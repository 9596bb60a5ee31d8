//! The policy: what the outcome of one push asks for the subscriber's row, and for the message. There is one, for a
//! single send and for a campaign alike.

use std::time::Duration;

use super::figures::Tally;
use webpush::{KeyId, Outcome, Report};

/// What one outcome asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// For the subscriber's row. A single send does this and no more.
    pub row: RowAction,
    /// For the message. A single send leaves this to its caller, who is told the outcome.
    pub message: MessageAction,
}

/// What is done with a subscriber's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowAction {
    /// It stays as it is.
    Keep,
    /// The service accepted a push under another key than the row names: the next push begins with this one.
    RememberKey(KeyId),
    /// The subscription has ended: the row is removed.
    Remove,
}

/// What is done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageAction {
    /// The push is over.
    Count(Tally),
    /// It is pushed again, not sooner than the service asks for.
    Retry {
        /// The service's `Retry-After`.
        after: Option<Duration>,
    },
    /// Our token, key or headers are wrong: it is pushed again once the operator has repaired them.
    RetryAfterRepair,
}

/// Reads a report. `made_with` is the key that the subscriber's row names.
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
