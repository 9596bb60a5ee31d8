//! What a page's answers add up to: figures, rows that go, and who is to be pushed to again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::page::Pushed;
use crate::campaign::verdict::Again;
use crate::campaign::{Figures, PartKey, Tally, Verdict, judge};
use crate::ledger::MAX_PART_BYTES;
use crate::ledger::{NewPart, Retry};
use crate::subscribers::Row;
use crate::telemetry::metrics;
use crate::time::after;
use webpush::Report;
use webpush::{KeyId, Outcome, PushService};

/// Retry parts that one page may leave behind, at most: those due at almost the same time become one.
const MOST_TIMES: usize = 16;

/// What was known before the page was pushed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// What those pushed to have behind them; nothing yet, where they were just read.
    pub(super) again: Option<Again>,
    /// The message's TTL, in seconds.
    pub(super) ttl: u32,
    /// The time.
    pub(super) now: Timestamp,
}

impl Before {
    /// Of who is to be pushed to again as if nothing had been.
    fn unchanged(&self) -> Again {
        self.again.unwrap_or(Again {
            attempts: 0,
            waits: 0,
            not_before: self.now,
            expires: None,
        })
    }

    /// When the message is of no use any more to who was pushed to just now: its TTL counts from the first push.
    pub(super) fn expires(&self) -> Timestamp {
        let Again {
            attempts, expires, ..
        } = self.unchanged();
        let begun = expires.filter(|_| attempts > 0);
        begun.unwrap_or_else(|| after(self.now, Duration::from_secs(u64::from(self.ttl))))
    }
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

    /// Adds what was pushed. While the campaign is being halted, faults of ours cost nobody an attempt, and no time.
    pub(super) fn add(&mut self, pushed: Pushed, halting: bool) {
        for (row, report) in pushed.done {
            let service = PushService::of_url(&row.endpoint);
            self.metrics
                .push(service, report.outcome(), report.latency());
            let ours = *report.outcome() == Outcome::OurFault;
            if halting && ours {
                let again = Again {
                    not_before: self.before.now,
                    expires: None,
                    ..self.before.unchanged()
                };
                self.again(&row.endpoint, again);
            } else {
                self.judge(row, &report);
            }
        }
        let Before { ttl, now, .. } = self.before;
        let aside = self.before.unchanged().put_aside(ttl, now);
        for row in pushed.aside {
            match aside {
                Verdict::Again(again) => self.again(&row.endpoint, again),
                Verdict::Counted(tally) => self.count(&row.endpoint, tally),
            }
        }
    }

    fn judge(&mut self, row: Row, report: &Report) {
        let (now, expires) = (self.before.now, self.before.expires());
        let attempts = self.before.unchanged().attempts + 1;
        match judge(report.outcome(), attempts, expires, now) {
            Verdict::Again(again) => self.again(&row.endpoint, again),
            Verdict::Counted(tally) => {
                self.count(&row.endpoint, tally);
                let key = report.accepted_with();
                if tally == Tally::Gone {
                    self.metrics.pruned();
                    self.gone.push(row);
                } else if let Some(key) = key.filter(|key| row.vapid.as_ref() != Some(*key)) {
                    self.other_key.push((row, key.clone()));
                }
            }
        }
    }

    /// To be pushed to again.
    fn again(&mut self, endpoint: &str, again: Again) {
        self.count(endpoint, Tally::Retrying);
        let endpoints = self.later.entry(again).or_default();
        endpoints.insert(endpoint.to_owned());
    }

    /// Under way when the worker had to stop: the service may have the message, and may not.
    pub(super) fn unanswered(&mut self, endpoint: &str) {
        self.again(endpoint, self.unanswered_again());
    }

    /// When those are pushed to again.
    pub(super) fn unanswered_again(&self) -> Again {
        Again {
            attempts: self.before.unchanged().attempts + 1,
            waits: 0,
            not_before: after(self.before.now, UNANSWERED),
            expires: Some(self.before.expires()),
        }
    }

    /// Whose turn has not come: to be pushed to when others have been.
    pub(super) fn in_turn(&mut self, endpoint: &str, at: Timestamp) {
        let again = Again {
            not_before: at,
            ..self.before.unchanged()
        };
        self.again(endpoint, again);
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
        if self.before.again.is_some() {
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

/// Time for answers that may still come when the worker had to stop.
const UNANSWERED: Duration = Duration::from_secs(20);

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
