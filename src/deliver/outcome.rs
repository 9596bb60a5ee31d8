//! Sums up a batch: figures, rows to remove, and pushes to retry.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::batch::Landed;
use super::recipient::Recipient;
use crate::campaign::part::{HeldPart, NewPart, parts};
use crate::campaign::retry_policy::{RowAction, decide};
use crate::campaign::retry_state::{Next, RetryState};
use crate::campaign::{Figures, PartKey, Tally};
use crate::subscribers::Row;
use crate::telemetry::metrics;
use crate::time::after;
use webpush::{KeyId, Outcome, PushService, Report};

/// Maximum due times of the retry parts that one batch opens. If there are more, the earliest retries wait for the next
/// due time.
const MAX_DUE_TIMES: usize = 16;

/// Delay before a push is repeated that had no answer when the worker had to stop: the message may still arrive.
const UNANSWERED_DELAY: Duration = Duration::from_secs(20);

/// The outcome of one batch.
pub(super) struct BatchOutcome {
    /// State of the batch's retry part. None for first pushes.
    retry: Option<RetryState>,
    /// The message's TTL, in seconds.
    ttl: u32,
    now: Timestamp,
    pub(super) figures: Figures,
    /// Outcomes and latencies, for the metrics in the log.
    pub(super) metrics: metrics::Pushes,
    /// Rows whose subscription has ended, by endpoint.
    pub(super) gone: BTreeMap<String, Row>,
    /// Rows whose push service accepted another key than the row names.
    pub(super) other_keys: Vec<(Row, KeyId)>,
    /// Retry parts of the stragglers.
    pub(super) held: Vec<HeldPart>,
    retries: BTreeMap<RetryState, BTreeSet<String>>,
}

impl BatchOutcome {
    /// The empty outcome of a batch of first pushes.
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

    /// The empty outcome of a retry part. Its rows are counted as retrying already.
    pub(super) fn of_retries(state: RetryState, ttl: u32, now: Timestamp) -> Self {
        Self {
            retry: Some(state),
            ..Self::of_first_pushes(ttl, now)
        }
    }

    /// Adds the pushes that have landed. If the campaign halts, a fault of our own uses up no attempt and no lifetime
    /// of the message.
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

    /// Adds retry parts for the stragglers. `owner` holds them until their answers come, or `until` passes.
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

    /// Adds a push that had no answer when the worker had to stop. The push service may have the message or not.
    pub(super) fn unanswered(&mut self, endpoint: &str) {
        let state = self.unanswered_state();
        self.retry(endpoint, PushService::of_url(endpoint), state);
    }

    /// Adds a push that did not fit into the sending slot. It is due at once.
    pub(super) fn postponed(&mut self, recipient: &Recipient) {
        let state = RetryState {
            not_before: self.now,
            ..self.state()
        };
        self.retry(recipient.endpoint(), recipient.service(), state);
    }

    /// Adds an endpoint whose row was removed after the retry part was written.
    pub(super) fn vanished(&mut self, endpoint: &str) {
        self.count(PushService::of_url(endpoint), Tally::Gone);
    }

    /// Adds an endpoint whose message has expired.
    pub(super) fn expired(&mut self, endpoint: &str) {
        self.count(PushService::of_url(endpoint), Tally::Failed);
    }

    /// Takes out the retry parts to open.
    pub(super) fn take_retries(&mut self, mut new_key: impl FnMut() -> PartKey) -> Vec<NewPart> {
        let mut retries = std::mem::take(&mut self.retries);
        while retries.len() > MAX_DUE_TIMES {
            // The earlier ones wait: a retry before its time could break a `Retry-After`.
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

    /// Retry state before the batch.
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

    /// Counts one row of the batch. A row of a retry part is no longer counted as retrying.
    fn count(&mut self, service: PushService, tally: Tally) {
        self.figures.add(service, tally, 1);
        if self.retry.is_some() {
            self.figures.add(service, Tally::Retrying, -1);
        }
    }
}

#[cfg(test)]
mod tests;
