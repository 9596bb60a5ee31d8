//! What a page's answers add up to: figures, rows that go, and who is to be pushed to again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::page::Pushed;
use crate::campaign::verdict::Again;
use crate::campaign::{Figures, PartKey, Tally, Verdict, judge};
use crate::push::Report;
use crate::store::parts::{MAX_PART_BYTES, NewPart, Retry};
use crate::store::row::Row;
use crate::telemetry::metrics;
use crate::webpush::{KeyId, Outcome, PushService};

/// Retry parts that one page may leave behind, at most: those due at almost the same time become one.
const MOST_TIMES: usize = 16;

/// What was known before the page was pushed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// Attempts that had been made.
    pub(super) attempts: u32,
    /// When the message is of no use any more.
    pub(super) expires: Timestamp,
    /// Those pushed to were counted as to be pushed to again.
    pub(super) retrying: bool,
    /// The time.
    pub(super) now: Timestamp,
}

/// The sum.
pub(super) struct Sum {
    before: Before,
    pub(super) figures: Figures,
    /// The same, with outcomes and latencies, for the log.
    pub(super) metrics: metrics::Pushes,
    pub(super) gone: Vec<Row>,
    /// Rows that were accepted under another key than they say.
    pub(super) other_key: Vec<(Row, KeyId)>,
    later: BTreeMap<Again, BTreeSet<String>>,
}

impl Sum {
    pub(super) fn new(before: Before) -> Self {
        Self {
            before,
            figures: Figures::default(),
            metrics: metrics::Pushes::default(),
            gone: Vec::new(),
            other_key: Vec::new(),
            later: BTreeMap::new(),
        }
    }

    /// Adds what was pushed. While the campaign is being halted, faults of ours cost nobody an attempt.
    pub(super) fn add(&mut self, pushed: Pushed, halting: bool) {
        for (row, report) in pushed.done {
            let service = PushService::of_url(&row.endpoint);
            self.metrics.push(service, &report.outcome, report.latency);
            let ours = report.outcome == Outcome::OurFault;
            if halting && ours {
                self.again(&row.endpoint, self.before.attempts, SignedDuration::ZERO);
            } else {
                self.judge(row, &report);
            }
        }
        for row in pushed.aside {
            self.again(&row.endpoint, self.before.attempts, ASIDE);
        }
    }

    fn judge(&mut self, row: Row, report: &Report) {
        let Before {
            attempts,
            expires,
            now,
            ..
        } = self.before;
        match judge(&report.outcome, attempts + 1, expires, now) {
            Verdict::Again(again) => {
                self.count(&row.endpoint, Tally::Retrying);
                self.later.entry(again).or_default().insert(row.endpoint);
            }
            Verdict::Counted(tally) => {
                self.count(&row.endpoint, tally);
                let key = report.accepted_with.as_ref();
                if tally == Tally::Gone {
                    self.metrics.pruned();
                    self.gone.push(row);
                } else if let Some(key) = key.filter(|key| row.vapid.as_ref() != Some(*key)) {
                    self.other_key.push((row, key.clone()));
                }
            }
        }
    }

    /// These are pushed to again, whatever was said: those under way when the worker had to stop.
    pub(super) fn again(&mut self, endpoint: &str, attempts: u32, wait: SignedDuration) {
        let Before { now, expires, .. } = self.before;
        let again = Again {
            attempts,
            not_before: now.checked_add(wait).unwrap_or(now),
            expires,
        };
        self.count(endpoint, Tally::Retrying);
        let endpoints = self.later.entry(again).or_default();
        endpoints.insert(endpoint.to_owned());
    }

    /// Nobody is subscribed with this endpoint any more.
    pub(super) fn vanished(&mut self, endpoint: &str) {
        self.count(endpoint, Tally::Gone);
    }

    /// Given up: the message is of no use any more.
    pub(super) fn expired(&mut self, endpoint: &str) {
        self.count(endpoint, Tally::Failed);
    }

    /// Counts one of those who were read.
    pub(super) fn count(&mut self, endpoint: &str, tally: Tally) {
        let service = PushService::of_url(endpoint);
        self.figures.add(service, tally, 1);
        if self.before.retrying {
            self.figures.add(service, Tally::Retrying, -1);
        }
    }

    /// The retry parts to be written.
    pub(super) fn later(&mut self, new: impl FnMut() -> PartKey) -> Vec<NewPart> {
        let mut later = std::mem::take(&mut self.later);
        while later.len() > MOST_TIMES {
            // A little later does no harm, a little sooner might.
            if let Some((_, endpoints)) = later.pop_first()
                && let Some(mut next) = later.first_entry()
            {
                next.get_mut().extend(endpoints);
            }
        }
        parts(later, new)
    }
}

/// Who found no place at their service waits this long for one.
const ASIDE: SignedDuration = SignedDuration::from_secs(5);

/// Lists of endpoints as parts, each as small as an item must be.
pub(super) fn parts(
    later: impl IntoIterator<Item = (Again, BTreeSet<String>)>,
    mut new: impl FnMut() -> PartKey,
) -> Vec<NewPart> {
    let mut parts = Vec::new();
    for (again, endpoints) in later {
        let mut bytes = 0;
        let mut some = BTreeSet::new();
        let mut lists = Vec::new();
        for endpoint in endpoints {
            bytes += endpoint.len();
            if bytes > MAX_PART_BYTES {
                bytes = endpoint.len();
                lists.push(std::mem::take(&mut some));
            }
            some.insert(endpoint);
        }
        lists.push(some);
        parts.extend(lists.into_iter().map(|endpoints| NewPart {
            key: new(),
            retry: Retry { endpoints, again },
            held: None,
        }));
    }
    parts
}
