//! How many requests a push service gets at once: more while it keeps up, half as many when it does not.
//!
//! TCP's rule for a network of unknown size (RFC 5681, section 3.1), for a service of unknown size. It begins with what
//! services allow on one connection. Until the first complaint each answer makes room for one more, which doubles the
//! limit in a epoch trip: a broadcast should not spend its first minute finding out that the service keeps up. After
//! it, a limit's worth of answers makes room for one more.
//!
//! Unlike a lost packet, a complaint may be about one subscriber: FCM answers 429 for a device that gets too many. So it
//! takes a share of them to halve: were each one heeded, a campaign with 5 % of such devices would go on at five
//! requests at a time.

use jiff::Timestamp;

use crate::{Answer, Outcome};

/// Requests under way before anything is known of the service: one connection's streams.
const START: usize = 100;

/// Complaints that are heeded: more than this share of a limit's worth of answers, or of the fewest that say anything.
const SHARE: usize = 10;
const FEWEST: usize = 20;

/// What an exchange says about how busy the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It did its work, and may do more.
    Served,
    /// Nothing, or nothing about others.
    Unclear,
    /// It has too much to do, and perhaps says until when.
    Busy(Option<Timestamp>),
}

impl Signal {
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

/// When a request began: after how many halvings, and after how often the service had asked to wait. A complaint about
/// a request of an earlier time is the one that was heeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch {
    halvings: u64,
    asks: u64,
}

/// The limit, and what it is going by.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    limit: usize,
    most: usize,
    epoch: Epoch,
    /// No complaint so far.
    starting: bool,
    /// Answers since the limit last changed.
    served: usize,
    /// Answers that were looked at for complaints, and how many of them were some.
    looked_at: usize,
    complaints: usize,
    /// Until when the service asked to wait, and since when.
    asked: Option<(Timestamp, Epoch)>,
}

impl ConcurrencyLimit {
    /// `most`: where growth ends.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            limit: START.min(most),
            most,
            epoch: Epoch::default(),
            starting: true,
            served: 0,
            looked_at: 0,
            complaints: 0,
            asked: None,
        }
    }

    /// From 1, so that work always goes on, to the most.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn not_before(&self) -> Option<Timestamp> {
        self.asked.map(|(not_before, _)| not_before)
    }

    /// A request of `epoch` was served. `full`: as many were under way as may be. Unless they were, that all went well
    /// says nothing about more.
    pub(super) fn served(&mut self, epoch: Epoch, full: bool) {
        if self
            .asked
            .is_some_and(|(_, since)| epoch.asks >= since.asks)
        {
            // Its pause is over, or was for one subscriber: FCM's 429 may be about a single device.
            self.asked = None;
        }
        self.look(epoch, false);
        if !full || self.limit == self.most {
            return;
        }
        self.served += 1;
        if self.starting || self.served >= self.limit {
            self.limit += 1;
            self.served = 0;
        }
    }

    /// A request of `epoch` was one too many. Whether the limit is lower now.
    pub(super) fn busy(&mut self, epoch: Epoch, not_before: Option<Timestamp>) -> bool {
        let before = self.limit;
        // Those of one burst all complain about the same: it is heeded once.
        if self.look(epoch, true) {
            self.limit = (self.limit / 2).max(1);
            self.epoch.halvings += 1;
            self.starting = false;
            (self.served, self.looked_at, self.complaints) = (0, 0, 0);
        }
        if let Some(not_before) = not_before.max(self.not_before()) {
            self.epoch.asks += 1;
            self.asked = Some((not_before, self.epoch));
        }
        self.limit < before
    }

    /// Counts an answer of this epoch. Whether there have been too many complaints.
    fn look(&mut self, epoch: Epoch, complaint: bool) -> bool {
        if epoch.halvings != self.epoch.halvings {
            return false;
        }
        let window = self.limit.max(FEWEST);
        if self.looked_at >= window {
            (self.looked_at, self.complaints) = (0, 0);
        }
        self.looked_at += 1;
        self.complaints += usize::from(complaint);
        self.complaints * SHARE > window
    }
}
