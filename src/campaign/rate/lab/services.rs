//! Simulated push services.

use std::collections::VecDeque;

use super::super::{Answer, Millis};

/// A seeded generator (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// A number from 0 to 1.
    pub(super) fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}

/// What a service allows. Times are in seconds.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    None,
    /// A token bucket: `rate` a second, room for `burst`; from `at` on the rate is `then`.
    Bucket {
        rate: f64,
        burst: f64,
        at: f64,
        then: f64,
    },
    /// So many in each fixed window of `width` seconds; the first begins `offset` seconds before the campaign.
    Window {
        limit: f64,
        width: f64,
        offset: f64,
    },
    /// So many in any `width` seconds. Refused posts count too.
    Strict {
        limit: usize,
        width: f64,
    },
}

/// A time in which a share of the posts is answered 503.
#[derive(Clone, Copy)]
pub(super) struct Outage {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) share: f64,
}

/// A service with a limit, that also refuses by chance and has outages.
pub(super) struct Service {
    limit: Limit,
    chance: f64,
    outages: Vec<Outage>,
    says_when: bool,
    dice: Dice,
    /// Tokens left, or posts in this window.
    level: f64,
    /// When the level was last right, or the number of the window.
    at: f64,
    log: VecDeque<f64>,
}

impl Service {
    pub(super) fn new(limit: Limit, chance: f64, says_when: bool, seed: u64) -> Self {
        let level = match limit {
            Limit::Bucket { burst, .. } => burst,
            Limit::None | Limit::Window { .. } | Limit::Strict { .. } => 0.0,
        };
        Self {
            limit,
            chance,
            outages: Vec::new(),
            says_when,
            dice: Dice(seed),
            level,
            at: 0.0,
            log: VecDeque::new(),
        }
    }

    pub(super) fn with_outages(mut self, outages: &[Outage]) -> Self {
        self.outages = outages.to_vec();
        self
    }

    pub(super) fn answer(&mut self, now: f64) -> Answer {
        let wait = match self.refuses(now) {
            Some(wait) => wait,
            None if self.chance > 0.0 && self.dice.draw() < self.chance => 1.0,
            None => return Answer::Passed,
        };
        let retry_after = self.says_when.then_some((wait * 1000.0).ceil() as Millis);
        Answer::Refused { retry_after }
    }

    /// Seconds until it makes sense to ask again. `None`: neither an outage nor the limit refuses.
    fn refuses(&mut self, now: f64) -> Option<f64> {
        let outage = self
            .outages
            .iter()
            .find(|out| (out.from..out.to).contains(&now));
        if let Some(&Outage { to, share, .. }) = outage
            && (share >= 1.0 || self.dice.draw() < share)
        {
            return Some(to - now);
        }
        match self.limit {
            Limit::None => None,
            Limit::Bucket {
                rate,
                burst,
                at,
                then,
            } => {
                let rate = if now < at { rate } else { then };
                self.level = (self.level + (now - self.at) * rate).min(burst);
                self.at = now;
                if self.level < 1.0 {
                    return Some((1.0 - self.level) / rate);
                }
                self.level -= 1.0;
                None
            }
            Limit::Window {
                limit,
                width,
                offset,
            } => {
                let window = ((now + offset) / width).floor() + 1.0;
                if window != self.at {
                    (self.at, self.level) = (window, 0.0);
                }
                if self.level >= limit {
                    return Some(window * width - offset - now);
                }
                self.level += 1.0;
                None
            }
            Limit::Strict { limit, width } => {
                self.log.push_back(now);
                while self.log.front().is_some_and(|first| *first <= now - width) {
                    self.log.pop_front();
                }
                (self.log.len() > limit).then_some(width)
            }
        }
    }

    /// The most that it takes in `seconds`, at `capacity` posts a second.
    pub(super) fn possible(&self, seconds: f64, capacity: f64) -> f64 {
        let lost = |out: &Outage| out.share * (out.to.min(seconds) - out.from).max(0.0);
        let lost: f64 = self.outages.iter().map(lost).sum();
        let limited = match self.limit {
            Limit::None => f64::INFINITY,
            Limit::Bucket {
                rate,
                burst,
                at,
                then,
            } => burst + rate * at.min(seconds) + then * (seconds - at).max(0.0) - rate * lost,
            Limit::Window {
                limit,
                width,
                offset,
            } => limit * ((seconds + offset) / width).ceil(),
            Limit::Strict { limit, width } => limit as f64 * (seconds / width).ceil(),
        };
        limited.min(capacity * (seconds - lost)) * (1.0 - self.chance)
    }
}
