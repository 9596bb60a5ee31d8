//! When our own fault stops a campaign: past 50 answers of the kind "your token, key or headers are wrong", if they
//! are more than 20 % of what one origin has answered. A push that could not be signed counts as one of them.

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
    /// Pushes that were answered, or could not be signed.
    answers: u64,
    faults: u64,
    /// What was said to the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

impl Faults {
    /// Notes one push. What was not answered says nothing, unless it could not even be signed: KMS may refuse for good,
    /// and no push service will ever say so.
    pub fn note(&mut self, origin: &Origin, report: &Report) {
        let (status, is_fault) = (report.status(), report.outcome == Outcome::OurFault);
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

    /// Why to stop, in words; nothing while there is no reason to.
    pub fn verdict(&self) -> Option<String> {
        let (origin, tally) = self
            .0
            .iter()
            .find(|(_, tally)| tally.faults > MANY && tally.faults * 100 > tally.answers * SHARE)?;
        let words = tally.words.as_deref().unwrap_or_default();
        Some(format!(
            "{origin}: our token, key or headers were at fault in {} of {} pushes, the last with: {words}. \
             Nobody was removed. Repair it (`pushcast doctor` may know), then resume.",
            tally.faults, tally.answers
        ))
    }
}
