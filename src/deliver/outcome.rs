//! What a batch has come to: figures, rows to be removed, and pushes that are made again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::batch::Landed;
use super::recipient::Recipient;
use crate::campaign::part::{HeldPart, NewPart, parts};
use crate::campaign::policy::{RowAction, decide};
use crate::campaign::retry::{Next, RetryState};
use crate::campaign::{Figures, PartKey, Tally};
use crate::subscribers::Row;
use crate::telemetry::metrics;
use crate::time::after;
use webpush::{KeyId, Outcome, PushService, Report};

/// Different due times of the retry parts that one batch opens, at most. Beyond, parts that are due first wait for the
/// next ones.
const MAX_DUE_TIMES: usize = 16;

/// A push without an answer when the worker must stop is made again after this long: its answer may still come.
const UNANSWERED_DELAY: Duration = Duration::from_secs(20);

/// Sums up one batch.
pub(super) struct BatchOutcome {
    /// The state of the retry part that the batch comes from. None for rows that were just read.
    retry: Option<RetryState>,
    /// The message's TTL, in seconds.
    ttl: u32,
    now: Timestamp,
    pub(super) figures: Figures,
    /// Outcomes and latencies, for the log.
    pub(super) metrics: metrics::Pushes,
    /// Rows whose subscription has ended, by endpoint.
    pub(super) gone: BTreeMap<String, Row>,
    /// Rows that were accepted under another key than they name.
    pub(super) other_keys: Vec<(Row, KeyId)>,
    /// Retry parts of stragglers.
    pub(super) held: Vec<HeldPart>,
    retries: BTreeMap<RetryState, BTreeSet<String>>,
}

impl BatchOutcome {
    /// Of a batch of rows that were just read.
    pub(super) fn of_first_pushes(ttl: u32, now: Timestamp) -> Self {
        Self {
            retry: None,
            ttl,
            now,
            figures: Figures::default(),
            metrics: metrics::Pushes::default(),
            gone: BTreeMap::new(),
            other_keys: Vec::new(),
            held: Vec::new(),
            retries: BTreeMap::new(),
        }
    }

    /// Of a retry part, which was counted before.
    pub(super) fn of_retries(state: RetryState, ttl: u32, now: Timestamp) -> Self {
        Self {
            retry: Some(state),
            ..Self::of_first_pushes(ttl, now)
        }
    }

    /// Adds what has landed. While the campaign halts, a push that met a fault of our own costs no attempt and no time.
    pub(super) fn add(&mut self, landed: Landed, is_halting: bool) {
        for (recipient, report) in landed.done {
            let (service, outcome) = (recipient.service(), report.outcome());
            self.metrics.push(service, outcome, report.latency());
            if is_halting && *outcome == Outcome::OurFault {
                let state = RetryState {
                    not_before: self.now,
                    expires: None,
                    ..self.state()
                };
                self.retry(recipient.endpoint(), service, state);
            } else {
                self.add_report(&recipient, &report);
            }
        }
        let deferred = self.state().defer(self.ttl, self.now);
        for recipient in landed.deferred {
            self.add_next(&recipient, deferred);
        }
    }

    fn add_report(&mut self, recipient: &Recipient, report: &Report) {
        let decision = decide(report, recipient.made_with());
        let next = self
            .state()
            .attempted(&decision.message, self.ttl, self.now);
        self.add_next(recipient, next);
        match decision.row {
            RowAction::Keep => {}
            RowAction::RememberKey(key) => self.other_keys.push((recipient.row().clone(), key)),
            RowAction::Remove => {
                self.metrics.pruned();
                let row = recipient.row().clone();
                self.gone.insert(row.endpoint.clone(), row);
            }
        }
    }

    fn add_next(&mut self, recipient: &Recipient, next: Next) {
        let (endpoint, service) = (recipient.endpoint(), recipient.service());
        match next {
            Next::Retry(state) => self.retry(endpoint, service, state),
            Next::Count(tally) => self.count(service, tally),
        }
    }

    /// Holds the stragglers of a batch in parts of their own, until their answers come.
    pub(super) fn hold(
        &mut self,
        stragglers: BTreeSet<String>,
        owner: &str,
        until: Timestamp,
        new_key: impl FnMut() -> PartKey,
    ) {
        for endpoint in &stragglers {
            self.count(PushService::of_url(endpoint), Tally::Retrying);
        }
        let state = RetryState {
            not_before: self.now,
            ..self.unanswered_state()
        };
        let held = |part| HeldPart {
            part,
            owner: owner.to_owned(),
            until,
        };
        let parts = parts(stragglers, state, new_key).into_iter();
        self.held.extend(parts.map(held));
    }

    /// The worker had to stop before the answer: the service may have the message, or not.
    pub(super) fn unanswered(&mut self, endpoint: &str) {
        let state = self.unanswered_state();
        self.retry(endpoint, PushService::of_url(endpoint), state);
    }

    /// The push did not fit into the sending slot: it is due now.
    pub(super) fn postponed(&mut self, recipient: &Recipient) {
        let state = RetryState {
            not_before: self.now,
            ..self.state()
        };
        self.retry(recipient.endpoint(), recipient.service(), state);
    }

    /// The row has been removed since the retry part was written.
    pub(super) fn vanished(&mut self, endpoint: &str) {
        self.count(PushService::of_url(endpoint), Tally::Gone);
    }

    /// The message has expired.
    pub(super) fn expired(&mut self, endpoint: &str) {
        self.count(PushService::of_url(endpoint), Tally::Failed);
    }

    /// The retry parts to be opened.
    pub(super) fn take_retries(&mut self, mut new_key: impl FnMut() -> PartKey) -> Vec<NewPart> {
        let mut retries = std::mem::take(&mut self.retries);
        while retries.len() > MAX_DUE_TIMES {
            // A little later does no harm; a little sooner might.
            if let Some((_, endpoints)) = retries.pop_first()
                && let Some(mut next) = retries.first_entry()
            {
                next.get_mut().extend(endpoints);
            }
        }
        let retries = retries.into_iter();
        retries
            .flat_map(|(state, endpoints)| parts(endpoints, state, &mut new_key))
            .collect()
    }

    /// The state before the batch.
    fn state(&self) -> RetryState {
        self.retry.unwrap_or(RetryState::new(self.now))
    }

    fn unanswered_state(&self) -> RetryState {
        let state = self.state();
        RetryState {
            attempts: state.attempts + 1,
            deferrals: 0,
            not_before: after(self.now, UNANSWERED_DELAY),
            expires: Some(state.expiry(self.ttl, self.now)),
        }
    }

    fn retry(&mut self, endpoint: &str, service: PushService, state: RetryState) {
        self.count(service, Tally::Retrying);
        let endpoints = self.retries.entry(state).or_default();
        endpoints.insert(endpoint.to_owned());
    }

    /// Counts one row of the batch. The retry part that it comes from has counted it as retrying before.
    fn count(&mut self, service: PushService, tally: Tally) {
        self.figures.add(service, tally, 1);
        if self.retry.is_some() {
            self.figures.add(service, Tally::Retrying, -1);
        }
    }
}

#[cfg(test)]
mod tests;
