//! Push services that have had no place for everyone, or have answered nobody: for a while they get nothing, so that they
//! hold up no other. What one job learns, every job of the process knows.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::page::Pushed;
use crate::subscribers::Row;
use webpush::{AllowList, Endpoint, Origin};

/// How long: who is put aside meanwhile waits in a part of its own. Then it is tried again, by one job.
const HOLD: Duration = Duration::from_secs(20);

/// Until when each gets nothing. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Slow(Arc<Mutex<HashMap<Origin, Instant>>>);

impl Slow {
    pub(super) fn hold(&self, origins: impl IntoIterator<Item = Origin>) {
        let until = Instant::now() + HOLD;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend(origins.into_iter().map(|origin| (origin, until)));
    }

    /// Those rows whose service gets nothing at the moment, or is one of `others`, come second.
    pub(super) fn sort_out(
        &self,
        rows: Vec<Row>,
        allowed: &AllowList,
        others: &HashSet<Origin>,
    ) -> (Vec<Row>, Vec<Row>) {
        let now = Instant::now();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, until| *until > now);
        if held.is_empty() && others.is_empty() {
            return (rows, Vec::new());
        }
        let is_held = |origin: &Origin| held.contains_key(origin) || others.contains(origin);
        rows.into_iter().partition(|row| {
            let endpoint = Endpoint::parse(&row.endpoint, allowed);
            !endpoint.is_ok_and(|endpoint| is_held(endpoint.origin()))
        })
    }
}

/// The services of some endpoints.
pub(super) fn origins<'e>(
    endpoints: impl Iterator<Item = &'e str>,
    allowed: &AllowList,
) -> HashSet<Origin> {
    let endpoints = endpoints.filter_map(|endpoint| Endpoint::parse(endpoint, allowed).ok());
    endpoints
        .map(|endpoint| endpoint.origin().clone())
        .collect()
}

/// Those that have answered somebody.
pub(super) fn answered(pushed: &Pushed, allowed: &AllowList) -> HashSet<Origin> {
    let done = pushed.done.iter();
    let answered = done.filter(|(_, report)| report.answer().is_some());
    origins(answered.map(|(row, _)| &row.endpoint[..]), allowed)
}
