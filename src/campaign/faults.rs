//! When a fault of our own halts a campaign: after more than 50 answers that say "your token, key or headers are wrong",
//! if they are more than 20 % of what one origin has answered. A push that could not be signed counts as such an answer.
//!
//! Each checkpoint adds its answers to the segment's item in the ledger. A worker that meets a fault reads the sum over
//! all segments: a campaign halts whether its faults are in one segment, or a few in each.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use webpush::{Origin, Outcome, Report};

/// Faults of one origin that never halt a campaign: a service may have a bad moment.
const TOLERATED_FAULTS: u64 = 50;
/// Percentage of one origin's answers that may be faults.
const TOLERATED_PERCENT: u64 = 20;
/// Maximum number of origins in one checkpoint: an expression of DynamoDB holds 4 kB.
const MAX_ORIGINS: usize = 50;

/// What each origin has answered, and how much of it was our fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<String, Answers>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Answers {
    /// Pushes that were answered, or could not be signed.
    answers: u64,
    faults: u64,
    /// Status and words of the last fault. The ledger does not keep them.
    words: Option<String>,
}

impl Answers {
    fn are_intolerable(&self) -> bool {
        let percent = 100 * self.faults;
        self.faults > TOLERATED_FAULTS && percent > self.answers * TOLERATED_PERCENT
    }
}

impl Faults {
    /// Notes one push. A push without an answer is ignored, unless it could not be signed: KMS may refuse for good, and
    /// no push service will ever say so.
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
            tally.words = Some(said.join(" "));
        }
    }

    /// Whether any push met a fault of our own.
    pub fn is_any(&self) -> bool {
        self.0.values().any(|tally| tally.faults > 0)
    }

    /// Adds `later`, whose words are the last ones.
    pub fn merge(&mut self, later: &Self) {
        for (origin, other) in &later.0 {
            let tally = self.0.entry(origin.clone()).or_default();
            tally.answers += other.answers;
            tally.faults += other.faults;
            if other.words.is_some() {
                tally.words.clone_from(&other.words);
            }
        }
    }

    /// Counts that are not zero: attributes of an item in the ledger. Their names hold how often the campaign was
    /// resumed, since faults before the last resumption count no more. At most fifty origins, those with most faults first.
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

    /// Adds an attribute that [`Faults::entries`] has named. Other names are ignored.
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

    /// The reason to halt the campaign, in words for the operator; None while there is none.
    pub fn halt_reason(&self) -> Option<String> {
        let (origin, tally) = self
            .0
            .iter()
            .find(|(_, answers)| answers.are_intolerable())?;
        let words = tally.words.as_ref();
        let words = words.map_or_else(String::new, |words| format!(", the last with: {words}"));
        Some(format!(
            "{origin}: our token, key or headers were at fault in {} of {} pushes{words}. \
             Nobody was removed. Repair it (`pushcast doctor` may know), then resume.",
            tally.faults, tally.answers
        ))
    }
}
