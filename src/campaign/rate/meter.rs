//! What one worker counts between two looks at the shared rate.

use super::span::Millis;

/// A worker stops at once when so many of its last 32 answers are refusals for rate.
const WALL: f64 = 27.0;
/// It also stops when its first answers are all refusals, so many of them.
const WALL_AT_ONCE: f64 = 8.0;

/// An answer of a push service, as far as the rate cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It took the post, or refused it for a reason of its own (gone, too large): the rate was no obstacle.
    Passed,
    /// 429 or 503.
    Refused {
        /// Its `Retry-After`.
        retry_after: Option<Millis>,
    },
}

/// Answers to posts that began since the last slow-down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Posts that the service took.
    pub passed: u32,
    /// Posts that it refused for rate.
    pub refused: u32,
    /// Refusals that carried `Retry-After`.
    pub with_retry_after: u32,
    /// The longest of those, in milliseconds.
    pub longest_retry_after: Millis,
}

impl Counts {
    /// All answers.
    pub fn answers(&self) -> u32 {
        self.passed.saturating_add(self.refused)
    }

    /// The part of the answers that are refusals, 0 to 1.
    pub fn refused_share(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.answers().max(1))
    }

    /// Whether most refusals carry `Retry-After`.
    pub fn says_when(&self) -> bool {
        self.with_retry_after > self.refused / 2
    }

    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.refused = self.refused.saturating_add(other.refused);
        self.with_retry_after = self.with_retry_after.saturating_add(other.with_retry_after);
        self.longest_retry_after = self.longest_retry_after.max(other.longest_retry_after);
    }
}

/// What a worker hands to the shared rate: about once a second, and at once when it has met a wall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// The epoch in which the posts were allowed.
    pub epoch: u32,
    /// Their answers.
    pub counts: Counts,
    /// Milliseconds since the first of these answers.
    pub span: Millis,
    /// The worker has stopped: nearly all of its last answers are refusals.
    pub wall: bool,
}

/// One worker's counts, and its last 32 answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter {
    epoch: u32,
    counts: Counts,
    first: Option<Millis>,
    /// One bit for each of the last 32 answers, 1 for a refusal.
    recent: u32,
    seen: u32,
    /// The share that is refused at any rate.
    base: f64,
}

impl Meter {
    /// Counts the answer to a post that was allowed in `epoch`. True when the worker must stop and report at once.
    /// Answers to posts of an epoch that is over say nothing.
    pub fn answered(&mut self, epoch: u32, answer: Answer, now: Millis) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.first.get_or_insert(now);
        self.recent <<= 1;
        self.seen = (self.seen + 1).min(32);
        match answer {
            Answer::Passed => self.counts.passed += 1,
            Answer::Refused { retry_after } => {
                self.recent |= 1;
                self.counts.refused += 1;
                self.counts.with_retry_after += u32::from(retry_after.is_some());
                let longest = self.counts.longest_retry_after;
                self.counts.longest_retry_after = longest.max(retry_after.unwrap_or_default());
            }
        }
        self.is_wall()
    }

    /// Whether there is anything to report.
    pub fn is_empty(&self) -> bool {
        self.counts.answers() == 0
    }

    /// Takes what was counted since the last report.
    pub fn report(&mut self, now: Millis) -> Report {
        let report = Report {
            epoch: self.epoch,
            counts: self.counts,
            span: self.first.map_or(0, |first| now.saturating_sub(first)),
            wall: self.is_wall(),
        };
        self.counts = Counts::default();
        self.first = None;
        if report.wall {
            (self.recent, self.seen) = (0, 0);
        }
        report
    }

    /// Follows the shared rate's epoch and base after each look at it. What was counted in another epoch is forgotten.
    pub fn follow(&mut self, epoch: u32, base: f64) {
        if epoch != self.epoch {
            *self = Self {
                epoch,
                ..Self::default()
            };
        }
        self.base = base;
    }

    /// Where more than 40 % are refused by chance, 27 of 32 happen by chance too: then it takes 4.5 standard deviations,
    /// or a row of refusals that chance makes once in 100 000.
    fn is_wall(&self) -> bool {
        let (refused, base) = (f64::from(self.recent.count_ones()), self.base);
        let by_chance = 32.0 * base + 4.5 * (32.0 * base * (1.0 - base)).sqrt();
        let row = 1e-5_f64.ln() / base.max(1e-9).ln();
        let only_refusals = self.recent.count_ones() == self.seen;
        refused >= WALL.max(by_chance.min(32.0))
            || only_refusals && refused >= WALL_AT_ONCE.max(row.min(32.0))
    }
}
