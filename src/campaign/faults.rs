//! Decides when a fault of our own halts a campaign: when one origin has answered "your token, key or headers are
//! wrong" more than 50 times, and in more than 20 % of its answers. A push that could not be signed counts as such an
//! answer.
//!
//! Each checkpoint adds its answers to the segment's item in the ledger. A worker that meets a fault reads the sum over
//! all segments, so that faults spread thinly over many segments halt the campaign too.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use webpush::{Origin, Outcome, Report};

/// Number of faults per origin that never halts a campaign: a push service may answer wrongly for a moment.
const TOLERATED_FAULTS: u64 = 50;
/// Maximum percentage of faults among one origin's answers.
const TOLERATED_PERCENT: u64 = 20;
/// Maximum number of origins in one checkpoint: a DynamoDB expression holds 4 kB.
const MAX_ORIGINS: usize = 50;

/// The number of each origin's answers, and how many of them report a fault of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<String, Answers>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Answers {
    /// Pushes that were answered, or could not be signed.
    answers: u64,
    faults: u64,
    /// Status and error text of the last fault. The ledger does not store it.
    last_error: Option<String>,
}

impl Answers {
    fn are_intolerable(&self) -> bool {
        let percent = 100 * self.faults;
        self.faults > TOLERATED_FAULTS && percent > self.answers * TOLERATED_PERCENT
    }
}

impl Faults {
    /// Counts one push. A push without an answer is ignored, unless it could not be signed: if KMS refuses for good, no
    /// push service ever answers.
    pub fn note(&mut self, origin: &Origin, report: &Report) {
        let (status, is_fault) = (report.status(), *report.outcome() == Outcome::OurFault);
        if status.is_none() && !is_fault {
            return;
        }
        let tally = self.0.entry(origin.as_str().to_owned()).or_default();
        tally.answers += 1;
        if is_fault {
            tally.faults += 1;
            let status = status.map(|status| status.to_string());
            let said: Vec<String> = status.into_iter().chain(report.detail()).collect();
            tally.last_error = Some(said.join(" "));
        }
    }

    /// Whether any push met a fault of our own.
    pub fn is_any(&self) -> bool {
        self.0.values().any(|tally| tally.faults > 0)
    }

    /// Adds `later`. Its error texts replace the ones here.
    pub fn merge(&mut self, later: &Self) {
        for (origin, other) in &later.0 {
            let tally = self.0.entry(origin.clone()).or_default();
            tally.answers += other.answers;
            tally.faults += other.faults;
            if other.last_error.is_some() {
                tally.last_error.clone_from(&other.last_error);
            }
        }
    }

    /// The nonzero counts as attributes of a ledger item, of at most 50 origins, most faults first. Each name holds how
    /// often the campaign was resumed, because faults before the last resumption no longer count.
    pub fn entries(&self, resumed: u32) -> impl Iterator<Item = (String, u64)> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, tally)| Reverse((tally.faults, tally.answers)));
        all.truncate(MAX_ORIGINS);
        let of = move |(origin, tally): (&String, &Answers)| {
            [
                (format!("answers#{resumed}#{origin}"), tally.answers),
                (format!("faults#{resumed}#{origin}"), tally.faults),
            ]
        };
        all.into_iter().flat_map(of).filter(|(_, n)| *n > 0)
    }

    /// Adds an attribute that [`Faults::entries`] wrote. Ignores other names, and counts of another resumption.
    pub fn read(&mut self, name: &str, n: u64, resumed: u32) {
        let mut words = name.splitn(3, '#');
        let (Some(kind), Some(when), Some(origin)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        if when.parse() != Ok(resumed) {
            return;
        }
        match kind {
            "answers" => self.0.entry(origin.to_owned()).or_default().answers += n,
            "faults" => self.0.entry(origin.to_owned()).or_default().faults += n,
            _ => {}
        }
    }

    /// Why the campaign must halt, as a text for the operator. `None` while the faults are tolerable.
    pub fn halt_reason(&self) -> Option<String> {
        let (origin, tally) = self
            .0
            .iter()
            .find(|(_, answers)| answers.are_intolerable())?;
        let last_error = tally.last_error.as_ref();
        let last_error =
            last_error.map_or_else(String::new, |text| format!(", the last with: {text}"));
        Some(format!(
            "{origin}: our token, key or headers were at fault in {} of {} pushes{last_error}. \
             Nobody was removed. Repair it (`pushcast doctor` may know), then resume.",
            tally.faults, tally.answers
        ))
    }
}
