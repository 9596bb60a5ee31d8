//! A queue in the process. Nothing of it is on disk: after a restart the ledger says which jobs there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Stop;
use super::{MAX_DELAY, Queue, QueueError};
use crate::campaign::{Job, PartKey};

/// The first wait before a job that failed is delivered again; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Jobs, each with when it is due. A clone is the same queue.
#[derive(Debug, Clone, Default)]
pub struct LocalQueue(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

/// Deliveries that are to be made. A job waits once, however often it was put in: it is only a pointer.
#[derive(Debug, Default)]
struct Waiting {
    /// Who is pushed to for the first time comes before who is pushed to again: a service that is away fills the queue
    /// with the latter.
    first: BTreeMap<Turn, (Job, u32)>,
    again: BTreeMap<Turn, (Job, u32)>,
    turns: HashMap<Job, Turn>,
    last: u64,
}

/// When a job is due; and a number, since several may be due at once.
type Turn = (Instant, u64);

impl Waiting {
    fn of(&mut self, job: &Job) -> &mut BTreeMap<Turn, (Job, u32)> {
        match job.part {
            PartKey::Segment(_) => &mut self.first,
            PartKey::Retry { .. } => &mut self.again,
        }
    }

    /// A job and how many deliveries of it have failed. One that waits already is due when the sooner of the two is.
    fn put(&mut self, mut due: Instant, job: Job, mut failures: u32) {
        if let Some(turn) = self.turns.remove(&job) {
            let known = self.of(&job).remove(&turn);
            due = due.min(turn.0);
            failures = failures.max(known.map_or(0, |(_, failures)| failures));
        }
        self.last += 1;
        let turn = (due, self.last);
        self.turns.insert(job.clone(), turn);
        self.of(&job).insert(turn, (job, failures));
    }

    /// The first that is due; else when one is.
    fn take(&mut self, now: Instant) -> Result<(Job, u32), Option<Instant>> {
        for jobs in [&mut self.first, &mut self.again] {
            if let Some(first) = jobs.first_entry()
                && first.key().0 <= now
            {
                let (job, failures) = first.remove();
                self.turns.remove(&job);
                return Ok((job, failures));
            }
        }
        let next = [&self.first, &self.again].map(|jobs| jobs.keys().next());
        Err(next.into_iter().flatten().map(|(due, _)| *due).min())
    }
}

impl LocalQueue {
    /// Delivers jobs, `workers` at a time, until `stop`, and then waits for those under way. `deliver` is told whether
    /// a delivery of the same job has failed before, and says whether this one went well.
    pub async fn run<F>(&self, workers: usize, stop: &Stop, deliver: impl Fn(Job, bool) -> F)
    where
        F: Future<Output = bool>,
    {
        let work = async || {
            loop {
                let (job, failures) = tokio::select! {
                    biased;
                    () = stop.reached() => return,
                    next = self.next() => next,
                };
                if deliver(job.clone(), failures > 0).await {
                    continue;
                }
                let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures));
                self.put(wait.min(LONGEST_WAIT), job, failures + 1);
            }
        };
        futures_util::future::join_all((0..workers).map(|_| work())).await;
    }

    fn put(&self, delay: Duration, job: Job, failures: u32) {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.put(Instant::now() + delay, job, failures);
        drop(waiting);
        self.0.changed.notify_one();
    }

    /// The next job, when it is due, and how many deliveries of it have failed.
    async fn next(&self) -> (Job, u32) {
        loop {
            let changed = self.0.changed.notified();
            let due = {
                let mut waiting = self
                    .0
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                match waiting.take(Instant::now()) {
                    Ok(next) => {
                        // Whoever else waits looks again: there may be another one due.
                        if !waiting.turns.is_empty() {
                            self.0.changed.notify_one();
                        }
                        return next;
                    }
                    Err(due) => due,
                }
            };
            match due {
                Some(due) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }
}

impl Queue for LocalQueue {
    async fn send(&self, jobs: &[(Job, Duration)]) -> Result<(), QueueError> {
        for (job, delay) in jobs {
            self.put(*delay.min(&MAX_DELAY), job.clone(), 0);
        }
        Ok(())
    }
}
