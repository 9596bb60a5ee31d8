//! The probe that tells a limit from chance: post more slowly, and see whether the share of refusals falls.

use super::meter::Counts;

/// Refusals beyond the base share that start a probe.
pub(super) const SHARE: f64 = 0.15;
/// A share of refusals above this leaves too little to tell a limit from chance by.
pub(super) const MOST_BY_CHANCE: f64 = 0.6;
/// A first step with so few refusals beyond the base has found the limit.
const QUIET: f64 = 0.1;

/// A probe under way. Its first step posts at 0.8 of what passed; its second, if refusals go on, at half of that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// Where it returns to if chance refuses. `None`: unpaced.
    pub before: Option<f64>,
    /// The share of refusals that began it.
    pub trigger: f64,
    /// Posts a second that seemed to pass the limit then.
    pub passed: f64,
    /// The share of refusals in the first step, once that is over.
    pub first: Option<f64>,
    /// It follows one that was still too fast.
    pub is_lower: bool,
}

/// What a step of the probe has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Finding {
    /// Refusals end when posts come more slowly: so many a second pass.
    Limit(f64),
    /// Refusals go on at 0.8 of what passed: try half of that.
    Halve,
    /// The same share is refused at any rate.
    Chance(f64),
    /// Still too fast: begin again from what passed now.
    Lower,
}

impl Probe {
    /// Whether a wall at the start began it and its first step met no limit: what passed was a burst, not a rate.
    pub(super) fn is_search(&self) -> bool {
        self.before.is_none() && !self.is_lower && self.first.is_none() && self.trigger > 0.5
    }

    /// How many answers tell the two apart: their means then lie four standard deviations apart.
    pub(super) fn enough(&self, base: f64) -> f64 {
        let (share, gap) = match self.first {
            None => (self.trigger, self.trigger - base),
            Some(first) => (first, first - at_half(first, base)),
        };
        let gap = gap.max(0.05);
        (16.0 * share * (1.0 - share) / (gap * gap)).clamp(20.0, 400.0)
    }

    /// Reads the answers of one step, made at `pace` posts a second; `passed` of them a second passed the limit.
    pub(super) fn read(&self, counts: &Counts, base: f64, pace: f64, passed: f64) -> Finding {
        let share = counts.refused_share();
        let Some(first) = self.first else {
            let quiet = ((self.trigger - base) / 2.0).clamp(0.025, QUIET);
            return if share <= base + quiet {
                Finding::Limit(self.passed)
            } else {
                Finding::Halve
            };
        };
        let limit = at_half(first, base);
        if first <= MOST_BY_CHANCE && share > f64::midpoint(first, limit) {
            return Finding::Chance(f64::midpoint(first, share).min(MOST_BY_CHANCE));
        }
        if share > base + (1.0 - base) * SHARE {
            return Finding::Lower;
        }
        let beyond = ((first - base) / (1.0 - base)).clamp(0.0, 1.0);
        Finding::Limit((pace * 2.0 * (1.0 - beyond)).max(passed))
    }
}

/// The share that a limit refuses at half the rate at which it refused `share`.
fn at_half(share: f64, base: f64) -> f64 {
    let beyond = (share - base) / (1.0 - base);
    base + (1.0 - base) * (2.0 * beyond - 1.0).max(0.0)
}
