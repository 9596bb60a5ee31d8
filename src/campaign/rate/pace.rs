//! The pace: how it grows, retreats and waits.

use super::Rate;
use super::meter::Counts;
use super::span::{Millis, seconds};

/// While nothing passes, the pace is divided by this.
const RETREAT: f64 = 8.0;
/// Posts a second while nothing passes, at first and after `PATIENT_AFTER` seconds.
const FLOORS: (f64, f64) = (1.0, 0.2);
const PATIENT_AFTER: f64 = 90.0;
/// Below `known` the pace is multiplied by this in each period in which nothing is refused.
const RAMP: f64 = 3.0;
/// Growth above `known`: this part of the pace a second ..
const GENTLE: f64 = 0.005;
/// .. and this times the square of the seconds that nothing was refused for ..
const EAGER: f64 = 0.0015;
/// .. but no more than this.
const MOST_GROWTH: f64 = 0.5;
/// A lane whose pace exceeds its last limit so many times, and that many posts a second, is unpaced. A window of a
/// minute never lets the pace grow so far.
const FREE: f64 = 16.0;
const LEAST_FREE: f64 = 400.0;
/// `Retry-After` is followed up to ten minutes, so that a service that asks for a day is asked again.
const LONGEST_HOLD: Millis = 600_000;

impl Rate {
    /// Nothing is refused beyond the base.
    pub(super) fn grow(&mut self, pace: f64, elapsed: f64, now: Millis) {
        let is_ramp = pace < 0.9 * self.known;
        let next = if is_ramp {
            (pace * RAMP).max(FLOORS.0).min(self.known)
        } else {
            let growth = (GENTLE + EAGER * self.clean * self.clean).min(MOST_GROWTH);
            pace.max(FLOORS.0) * (1.0 + growth).powf(elapsed.min(2.0))
        };
        let is_free = if self.limit > 0.0 {
            next > (FREE * self.limit.max(self.known)).max(LEAST_FREE)
        } else {
            next >= 0.9 * self.known
        };
        if is_free {
            self.limit = 0.0;
            self.pace = None;
        } else {
            self.set_pace(next, now);
        }
    }

    /// Nothing passed.
    pub(super) fn retreat(&mut self, counts: &Counts, elapsed: f64, now: Millis) {
        self.probe = None;
        self.clean = 0.0;
        self.dry += elapsed;
        if counts.says_when() {
            self.wait(counts, self.floor(), now);
            return;
        }
        let pace = self.pace.unwrap_or(self.known);
        let next = (pace / RETREAT).max(self.floor());
        match self.pace {
            Some(pace) if next >= pace => self.set_pace(next, now),
            Some(_) | None => self.slow(next, now),
        }
    }

    /// Waits as long as the refusals ask for, then goes on at `pace`.
    pub(super) fn wait(&mut self, counts: &Counts, pace: f64, now: Millis) {
        self.hold = now + counts.longest_retry_after.min(LONGEST_HOLD);
        self.minute.add(0.0, seconds(now, self.hold));
        self.slow(pace, now);
    }

    /// Posts more slowly. Answers to posts that were allowed before say nothing about it.
    pub(super) fn slow(&mut self, pace: f64, now: Millis) {
        self.epoch = self.epoch.wrapping_add(1);
        self.clean = 0.0;
        self.suspect_periods = 0;
        self.suspect = Counts::default();
        self.period.began = None;
        self.set_pace(pace.max(self.floor()), now);
    }

    pub(super) fn set_pace(&mut self, pace: f64, now: Millis) {
        // Below one post a second a turn ends late: the next one must not wait for it.
        if self.pace.is_some_and(|before| before < 1.0) {
            self.turns.hasten(pace, now);
        }
        self.pace = Some(pace);
    }

    fn floor(&self) -> f64 {
        if self.dry < PATIENT_AFTER {
            FLOORS.0
        } else {
            FLOORS.1
        }
    }
}
