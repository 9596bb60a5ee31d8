//! How many requests a push service gets at once: more while it keeps up, half as many when it does not.
//!
//! TCP's rule for a network of unknown size (RFC 5681, section 3.1), for a service of unknown size. It begins with what
//! services allow on one connection. Until the first complaint each answer makes room for one more, which doubles the
//! limit in a round trip: a broadcast should not spend its first minute finding out that the service keeps up. After
//! it, a limit's worth of answers makes room for one more.

use jiff::Timestamp;

use crate::webpush::{Answer, Outcome};

/// Requests under way before anything is known of the service: one connection's streams.
const START: usize = 100;

/// What an exchange says about how busy the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It did its work, and may do more.
    Served,
    /// Nothing, or nothing about others.
    Unclear,
    /// It has too much to do, and perhaps says until when.
    Busy(Option<Timestamp>),
}

impl Verdict {
    /// What an answer that came at `now` says.
    pub fn of(answer: &Answer, now: Timestamp) -> Self {
        match answer.outcome {
            Outcome::Accepted | Outcome::Gone => Self::Served,
            // Of WNS's 200 that was no delivery: it speaks of one subscriber's channel, not of the service.
            Outcome::Throttled(_) if answer.status < 300 => Self::Unclear,
            Outcome::Throttled(after) => Self::busy(after, now),
            Outcome::Unavailable(after) if answer.status == 503 => Self::busy(after, now),
            Outcome::Unavailable(_)
            | Outcome::Mismatched
            | Outcome::TooLarge
            | Outcome::Unreachable
            | Outcome::OurFault
            | Outcome::Refused => Self::Unclear,
        }
    }

    fn busy(after: Option<std::time::Duration>, now: Timestamp) -> Self {
        Self::Busy(after.and_then(|after| now.checked_add(after).ok()))
    }
}

/// A stretch of time between two halvings. A complaint about a request of an earlier round is the one that was heeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Round(u64);

/// The limit, and what it is going by.
#[derive(Debug)]
pub(super) struct Pace {
    limit: usize,
    most: usize,
    round: Round,
    /// No complaint so far.
    starting: bool,
    /// Answers since the limit last changed.
    served: usize,
    /// Until when the service asked to wait, and in which round that began to hold.
    asked: Option<(Timestamp, Round)>,
}

impl Pace {
    /// `most`: where growth ends.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            limit: START.min(most),
            most,
            round: Round(0),
            starting: true,
            served: 0,
            asked: None,
        }
    }

    /// From 1, so that work always goes on, to the most.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn round(&self) -> Round {
        self.round
    }

    pub(super) fn not_before(&self) -> Option<Timestamp> {
        self.asked.map(|(not_before, _)| not_before)
    }

    /// A request of `round` was served. `full`: as many were under way as may be. Unless they were, that all went well
    /// says nothing about more.
    pub(super) fn served(&mut self, round: Round, full: bool) {
        if self.asked.is_some_and(|(_, since)| round >= since) {
            // Its pause is over, or was for one subscriber: FCM's 429 may be about a single device.
            self.asked = None;
        }
        if !full || self.limit == self.most {
            return;
        }
        self.served += 1;
        if self.starting || self.served >= self.limit {
            self.limit += 1;
            self.served = 0;
        }
    }

    /// A request of `round` was one too many. Whether the limit is lower now.
    pub(super) fn busy(&mut self, round: Round, not_before: Option<Timestamp>) -> bool {
        let before = self.limit;
        // Those of one burst all complain about the same: the first is heeded.
        if round == self.round {
            self.limit = (self.limit / 2).max(1);
            self.round.0 += 1;
            self.starting = false;
            self.served = 0;
        }
        if let Some(not_before) = not_before.max(self.not_before()) {
            self.asked = Some((not_before, self.round));
        }
        self.limit < before
    }
}
