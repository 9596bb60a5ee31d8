//! Circuit breakers: a push service that answers no push, or has no free slot for some, gets no pushes for a while, so
//! that it holds up no other. All jobs of a process share them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::recipient::Recipient;
use webpush::Origin;

/// How long a circuit stays open. Meanwhile its subscribers wait in retry parts. Then one job tries the service again.
const OPEN_FOR: Duration = Duration::from_secs(20);

/// Push services with an open circuit, each with when it closes. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct CircuitBreaker(Arc<Mutex<HashMap<Origin, Instant>>>);

impl CircuitBreaker {
    /// Opens the circuits of `origins`.
    pub(super) fn open(&self, origins: impl IntoIterator<Item = Origin>) {
        let until = Instant::now() + OPEN_FOR;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.extend(origins.into_iter().map(|origin| (origin, until)));
    }

    /// Splits recipients into those to push to now, and those whose service has an open circuit or is `silent`.
    pub(super) fn sort_out(
        &self,
        recipients: Vec<Recipient>,
        silent: &HashSet<Origin>,
    ) -> (Vec<Recipient>, Vec<Recipient>) {
        let now = Instant::now();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, until| *until > now);
        if open.is_empty() && silent.is_empty() {
            return (recipients, Vec::new());
        }
        let is_open = |origin: &Origin| open.contains_key(origin) || silent.contains(origin);
        recipients
            .into_iter()
            .partition(|recipient| !recipient.origin().is_some_and(is_open))
    }
}
