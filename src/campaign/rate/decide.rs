//! The end of a period: read its answers, then probe, grow or retreat.

use super::meter::Counts;
use super::minute::Minute;
use super::probe::{Finding, MOST_BY_CHANCE, Probe, SHARE};
use super::span::{Millis, seconds};
use super::{GATHER, Period, Rate};

/// Refusals beyond the base share that start a probe when they last for `PATIENCE` periods.
const EASY: f64 = 0.05;
const PATIENCE: u32 = 5;
/// After a probe the pace is this part of what passed: it lets a full bucket form.
const KEEP: f64 = 0.95;
/// A probe's first step, as a part of what passed.
const STEP: f64 = 0.8;
/// Growth begins as if so many seconds had passed where a start met a wall, but the probe no limit.
const SEARCH: f64 = 15.0;
/// Seconds of history without which what passed is only a burst.
const HISTORY: f64 = 10.0;
/// The least seconds of a period. A report that comes once a second must not miss it.
const PERIOD: f64 = 0.9;

impl Rate {
    /// Whether the period under way has enough answers to decide by.
    pub(super) fn is_due(&self, now: Millis) -> bool {
        let Some(began) = self.period.began else {
            return false;
        };
        let seconds = seconds(began, now);
        let counts = &self.period.counts;
        let nothing_passed = self.pace.is_some() && counts.passed == 0;
        if let Some(wall) = self.period.wall {
            return nothing_passed || now >= wall + GATHER;
        }
        if self.dry > 0.0 && counts.passed > 0 {
            return true;
        }
        if let Some(probe) = &self.probe {
            let n = f64::from(counts.answers());
            return seconds >= PERIOD && n >= probe.enough(self.base)
                || seconds >= 2.0 && counts.refused == 0
                || seconds >= 6.0 && n >= 10.0
                || seconds >= 15.0;
        }
        let is_clear = self.pace.is_none() || counts.refused == 0 || counts.answers() >= 40;
        // Workers that began within a second have all reported after another.
        let is_first = self.joined > 1 && self.minute.seconds() == 0.0;
        let least = PERIOD + if is_first { 1.0 } else { 0.0 };
        seconds >= least && is_clear || seconds >= 5.0
    }

    /// Ends the period and reads its answers.
    pub(super) fn decide(&mut self, now: Millis) {
        let period = self.period;
        self.period = Period {
            began: Some(now),
            reported: now,
            ..Period::default()
        };
        let counts = &period.counts;
        let elapsed = seconds(period.began.unwrap_or(now), now).max(0.05);
        // Chance refuses what the limit let pass.
        let passed = f64::from(counts.passed) / (1.0 - self.base);
        let passed = passed.min(f64::from(counts.answers()));
        self.minute.add(passed, elapsed);
        let rate = passed / elapsed.max(1.0);
        if counts.passed == 0 {
            if self.is_too_much(counts, SHARE, 0.0) {
                self.retreat(counts, elapsed, now);
            }
            return;
        }
        if self.dry > 0.0 {
            self.dry = 0.0;
            self.grow(self.pace.unwrap_or(1.0), elapsed, now);
            return;
        }
        match self.probe.take() {
            Some(probe) => self.end_step(probe, counts, rate, now),
            None => self.cruise(&period, rate, elapsed, now),
        }
    }

    /// Ends a step of a probe.
    fn end_step(&mut self, probe: Probe, counts: &Counts, rate: f64, now: Millis) {
        let pace = self.pace.unwrap_or(rate);
        match probe.read(counts, self.base, pace, rate) {
            Finding::Limit(limit) => {
                self.limit = limit;
                self.known = limit;
                self.minute = Minute::default();
                // What a limit lets pass is refused by chance alone.
                if probe.first.is_none() && counts.answers() >= 20 {
                    self.base = counts.refused_share().min(MOST_BY_CHANCE);
                }
                self.set_pace(KEEP * limit, now);
                if probe.is_search() {
                    self.clean = SEARCH;
                }
            }
            Finding::Halve => {
                self.probe = Some(Probe {
                    first: Some(counts.refused_share()),
                    ..probe
                });
                self.slow(pace / 2.0, now);
            }
            Finding::Chance(share) => {
                self.base = share;
                self.pace = probe.before;
                self.period.began = None;
            }
            Finding::Lower => {
                self.begin_probe(counts.refused_share(), rate.min(pace), now);
                if let Some(lower) = &mut self.probe {
                    (lower.before, lower.is_lower) = (probe.before, true);
                }
            }
        }
    }

    /// Begins a probe, when a share of `trigger` is refused and `passed` posts a second seem to pass.
    fn begin_probe(&mut self, trigger: f64, passed: f64, now: Millis) {
        self.probe = Some(Probe {
            before: self.pace,
            trigger,
            passed,
            first: None,
            is_lower: false,
        });
        self.slow(STEP * passed, now);
    }

    /// Reads a period outside a probe, in which something passed.
    fn cruise(&mut self, period: &Period, rate: f64, elapsed: f64, now: Millis) {
        let counts = &period.counts;
        self.lower_base(counts);
        // A wall cuts its period short.
        let passed = match period.wall {
            Some(_) => rate.max(self.minute.rate()),
            None => rate,
        };
        let is_first_wall = self.pace.is_none() && period.wall.is_some();
        if is_first_wall || self.is_too_much(counts, SHARE, 0.0) {
            self.exceed(period, passed, now);
            return;
        }
        self.known = self.known.max(self.minute.rate());
        let Some(pace) = self.pace else {
            return;
        };
        if period.wall.is_some() || self.is_too_much(counts, EASY, 1.0) {
            self.suspect(counts, passed.min(pace), now);
            return;
        }
        self.suspect_periods = 0;
        self.suspect = Counts::default();
        // Two posts a second are a small sample: there growth hastens more slowly.
        let answers = f64::from(counts.answers());
        self.clean += elapsed * (answers / 4.0).min(1.0);
        if answers >= 0.5 * pace * elapsed {
            self.grow(pace, elapsed, now);
        }
    }

    /// Too much is refused, and something passed.
    fn exceed(&mut self, period: &Period, passed: f64, now: Millis) {
        let minute = self.minute.rate();
        let is_quota = minute < 0.7 * self.known;
        self.known = (self.known.max(minute) * minute).sqrt();
        // A full minute that passed up to a wall may be the begin of an outage: that is no limit.
        if is_quota || self.minute.seconds() < HISTORY {
            self.limit = self.known;
        }
        if period.wall.is_some() && period.counts.says_when() {
            self.wait(&period.counts, self.known, now);
            return;
        }
        let pace = self.pace.unwrap_or(passed);
        self.begin_probe(period.counts.refused_share(), passed.min(pace), now);
    }

    /// A little too much is refused: a probe begins when that lasts, or when it is too much over all these periods.
    fn suspect(&mut self, counts: &Counts, passed: f64, now: Millis) {
        self.clean = 0.0;
        self.suspect_periods += 1;
        self.suspect.add(counts);
        let suspect = self.suspect;
        if self.suspect_periods >= PATIENCE || self.is_too_much(&suspect, SHARE, 0.0) {
            self.begin_probe(suspect.refused_share(), passed, now);
        }
    }

    /// Whether refusals exceed `share` beyond the base, by more than two standard deviations and `more`. An unpaced
    /// lane is not paced for a handful.
    fn is_too_much(&self, counts: &Counts, share: f64, more: f64) -> bool {
        let n = f64::from(counts.answers());
        let limit = self.base + (1.0 - self.base) * share;
        let noise = 2.0 * (n * limit * (1.0 - limit)).sqrt();
        let is_many = self.pace.is_some() || counts.refused >= 8;
        is_many && f64::from(counts.refused) > limit * n + noise + more
    }

    /// Lowers the base where clearly fewer are refused.
    fn lower_base(&mut self, counts: &Counts) {
        let n = f64::from(counts.answers());
        let refused = f64::from(counts.refused);
        if n >= 100.0 && refused + (n * self.base).sqrt() < self.base * n {
            self.base = 0.9 * self.base + 0.1 * refused / n;
        }
    }
}
