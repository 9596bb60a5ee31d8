//! When our own fault stops a campaign: past 50 answers of the kind "your token, key or headers are wrong", if they
//! are more than 20 % of what one origin has answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::push::Report;
use crate::webpush::{Origin, Outcome};

/// Fewer say nothing: a service may have a bad moment.
const MANY: u64 = 50;
/// Of an origin's answers, in percent.
const SHARE: u64 = 20;

/// What each origin has answered, since the campaign was started or resumed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults(BTreeMap<String, Answers>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Answers {
    answers: u64,
    faults: u64,
    /// The last one's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

impl Faults {
    /// Notes one push. Only answers count.
    pub fn note(&mut self, origin: &Origin, report: &Report) {
        let Some(status) = report.status() else {
            return;
        };
        let tally = self.0.entry(origin.as_str().to_owned()).or_default();
        tally.answers += 1;
        if report.outcome == Outcome::OurFault {
            tally.faults += 1;
            let words = report.detail().unwrap_or_default();
            tally.words = Some(format!("{status} {words}").trim().to_owned());
        }
    }

    /// Why to stop, in words; nothing while there is no reason to.
    pub fn verdict(&self) -> Option<String> {
        let (origin, tally) = self
            .0
            .iter()
            .find(|(_, tally)| tally.faults > MANY && tally.faults * 100 > tally.answers * SHARE)?;
        let words = tally.words.as_deref().unwrap_or_default();
        Some(format!(
            "{origin} refused our token, key or headers in {} of {} pushes, the last with: {words}. \
             Nobody was removed. Repair it (`pushcast doctor` may know), then resume.",
            tally.faults, tally.answers
        ))
    }
}
