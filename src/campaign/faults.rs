//! When our own fault stops a campaign: past 50 answers of the kind "your token, key or headers are wrong", if they
//! are more than 20 % of what one origin has answered. A push that could not be signed counts as one of them.
//!
//! Every settlement adds what it has met to its segment's item in the ledger; a worker that meets a fault judges the
//! sum over all segments, so that a campaign stops whether its faults are in one place or a few in each.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use webpush::Report;
use webpush::{Origin, Outcome};

/// Fewer say nothing: a service may have a bad moment.
const MANY: u64 = 50;
/// Of an origin's answers, in percent.
const SHARE: u64 = 20;
/// Origins that one settlement writes down: an expression of DynamoDB's holds 4 kB.
const MOST_ORIGINS: usize = 50;

/// What each origin has answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<String, Answers>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Answers {
    /// Pushes that were answered, or could not be signed.
    answers: u64,
    faults: u64,
    /// What was said to the last one; the ledger does not keep it.
    words: Option<String>,
}

impl Faults {
    /// Notes one push. What was not answered says nothing, unless it could not even be signed: KMS may refuse for good,
    /// and no push service will ever say so.
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

    /// Whether there is anything to judge.
    pub fn is_any(&self) -> bool {
        self.0.values().any(|tally| tally.faults > 0)
    }

    /// Counts everything of `later` too, whose words are the last.
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

    /// What is not zero: attributes of an item in the ledger. What was met before the campaign was last resumed counts
    /// no more, so that they are named by how often it was. Of the first fifty origins, those with faults before others.
    pub fn entries(&self, resumed: u32) -> impl Iterator<Item = (String, u64)> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(_, tally)| Reverse((tally.faults, tally.answers)));
        all.truncate(MOST_ORIGINS);
        let of = move |(origin, tally): (&String, &Answers)| {
            [
                (format!("answers#{resumed}#{origin}"), tally.answers),
                (format!("faults#{resumed}#{origin}"), tally.faults),
            ]
        };
        all.into_iter().flat_map(of).filter(|(_, n)| *n > 0)
    }

    /// Reads what [`Faults::entries`] names; other names are none of ours.
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

    /// Why to stop, in words; nothing while there is no reason to.
    pub fn verdict(&self) -> Option<String> {
        let (origin, tally) = self
            .0
            .iter()
            .find(|(_, tally)| tally.faults > MANY && tally.faults * 100 > tally.answers * SHARE)?;
        let words = tally.words.as_ref();
        let words = words.map_or_else(String::new, |words| format!(", the last with: {words}"));
        Some(format!(
            "{origin}: our token, key or headers were at fault in {} of {} pushes{words}. \
             Nobody was removed. Repair it (`pushcast doctor` may know), then resume.",
            tally.faults, tally.answers
        ))
    }
}
