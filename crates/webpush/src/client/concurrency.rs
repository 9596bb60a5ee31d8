//! The concurrency limit of a push service: it grows while the service keeps up, and is halved when it does not.
//!
//! This is TCP's congestion control (RFC 5681, section 3.1), for a service of unknown capacity instead of a network of
//! unknown capacity. The limit starts at the streams that services allow on one connection. Until the first complaint
//! every answer raises it by one, which doubles it in a round trip: a broadcast should not spend its first minute
//! finding out that the service keeps up. After the first complaint, as many answers as the limit raise it by one.
//!
//! Unlike a lost packet, a complaint may be about a single subscriber: FCM answers 429 for a device that gets too many
//! messages. So only a share of complaints halves the limit. If every complaint did, a campaign with 5 % of such devices
//! would continue at five requests at a time.

use jiff::Timestamp;

use crate::answer::{Answer, Outcome};

/// Limit before anything is known of the service: the streams of one connection.
const START: usize = 100;

/// The limit is halved when more than one in so many answers is a complaint.
const SHARE: usize = 10;
/// Answers in a window: as many as the limit, but at least so many, as fewer say nothing.
const MIN_WINDOW: usize = 20;

/// The sign of load that one exchange gives about its push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The service did its work, and may get more.
    Served,
    /// Nothing, or nothing about other subscribers.
    Unclear,
    /// The service has too much to do. It may ask to wait until a certain time.
    Busy(Option<Timestamp>),
}

impl Signal {
    /// The signal of an answer that came at `now`.
    pub fn of(answer: &Answer, now: Timestamp) -> Self {
        match answer.outcome {
            Outcome::Accepted | Outcome::Gone => Self::Served,
            // WNS answers 200 for a message that it dropped: that is about one subscriber's channel.
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

/// The epoch in which a request began: how often the limit had been halved, and how often the service had asked to wait.
/// A complaint about a request of an earlier epoch has had its effect already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch {
    halvings: u64,
    asks: u64,
}

/// The limit, and the counts that move it.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    limit: usize,
    max: usize,
    epoch: Epoch,
    /// The limit was never halved: every answer raises it ("slow start" in TCP).
    starting: bool,
    /// Answers at a full limit since the limit last changed.
    served: usize,
    /// Answers in this window, and how many of them were complaints.
    answers: usize,
    complaints: usize,
    /// Time until which the service asked to wait, and the epoch in which it asked.
    asked: Option<(Timestamp, Epoch)>,
}

impl ConcurrencyLimit {
    /// `max`: where growth ends.
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self {
            limit: START.min(max),
            max,
            epoch: Epoch::default(),
            starting: true,
            served: 0,
            answers: 0,
            complaints: 0,
            asked: None,
        }
    }

    /// At least 1, so that work always goes on.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn not_before(&self) -> Option<Timestamp> {
        self.asked.map(|(not_before, _)| not_before)
    }

    /// A request of `epoch` was served. `full` says that the limit was used up: otherwise a success says nothing about a
    /// higher limit.
    pub(super) fn served(&mut self, epoch: Epoch, full: bool) {
        if self
            .asked
            .is_some_and(|(_, since)| epoch.asks >= since.asks)
        {
            // The pause is over, or was for one subscriber: FCM's 429 may be about a single device.
            self.asked = None;
        }
        self.count(epoch, false);
        if !full || self.limit == self.max {
            return;
        }
        self.served += 1;
        if self.starting || self.served >= self.limit {
            self.limit += 1;
            self.served = 0;
        }
    }

    /// A request of `epoch` was one too many. Returns whether the limit was lowered.
    pub(super) fn busy(&mut self, epoch: Epoch, not_before: Option<Timestamp>) -> bool {
        let before = self.limit;
        // Complaints of one burst have the same cause: they halve the limit once.
        if self.count(epoch, true) {
            self.limit = (self.limit / 2).max(1);
            self.epoch.halvings += 1;
            self.starting = false;
            (self.served, self.answers, self.complaints) = (0, 0, 0);
        }
        if let Some(not_before) = not_before.max(self.not_before()) {
            self.epoch.asks += 1;
            self.asked = Some((not_before, self.epoch));
        }
        self.limit < before
    }

    /// Counts an answer, if it belongs to this epoch. Returns whether there are too many complaints.
    fn count(&mut self, epoch: Epoch, complaint: bool) -> bool {
        if epoch.halvings != self.epoch.halvings {
            return false;
        }
        let window = self.limit.max(MIN_WINDOW);
        if self.answers >= window {
            (self.answers, self.complaints) = (0, 0);
        }
        self.answers += 1;
        self.complaints += usize::from(complaint);
        self.complaints * SHARE > window
    }
}
