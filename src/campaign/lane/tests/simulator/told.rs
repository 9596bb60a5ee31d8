//! How a campaign of the simulator ended.

use std::collections::BTreeMap;

use super::super::super::{End, LaneEnd, State, end};
use super::{Campaign, Held, Place};

impl Campaign<'_> {
    /// How it ended, in words.
    pub(in super::super) fn told(&mut self) -> String {
        let mut counts = BTreeMap::new();
        for place in self.places.iter().flatten() {
            if let Place::Counted(tally) = place {
                *counts
                    .entry(format!("{tally:?}").to_lowercase())
                    .or_insert(0_u64) += 1;
            }
        }
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        let held = |reached| {
            self.held
                .iter()
                .filter(|(row, _)| self.site[*row].history.reached == reached)
                .count() as u64
        };
        let waiting = self
            .held
            .iter()
            .filter(|(_, it)| matches!(it, Held::OnceAccepted(_)))
            .count() as u64;
        let mismatched = if self.item.believed {
            0
        } else {
            count("mismatched")
        };
        let lane = LaneEnd {
            lane: "fcm".to_owned(),
            state: self.item.state.clone(),
            accepted: count("accepted") > 0,
            rejected: mismatched + count("refused") + waiting,
            gone: count("gone"),
            held_reached: held(true),
            held_unproven: held(false),
        };
        let ending = end(&[lane]);
        if let Some((_, reason)) = ending.park.into_iter().next() {
            self.item.state = State::Parked(reason);
        }
        let how = match ending.end {
            End::Halted { .. } => "halted".to_owned(),
            End::Done { warnings } if warnings.is_empty() => "done".to_owned(),
            End::Done { .. } => "done with a warning".to_owned(),
        };
        if !self.held.is_empty() {
            counts.insert("skipped".to_owned(), self.held.len() as u64);
        }
        let counts: Vec<String> = counts
            .into_iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        format!("{how}: {}", counts.join(", "))
    }
}
