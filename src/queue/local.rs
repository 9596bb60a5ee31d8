//! A queue in memory. After a restart, the server queues the jobs of all open parts in the ledger.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Stop;
use super::{MAX_DELAY, Queue, QueueError};
use crate::campaign::{Job, PartKey};

/// Delay before a failed job is delivered again. It doubles with each failure.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Jobs with the times at which they are due. A clone shares the queue.
#[derive(Debug, Clone, Default)]
pub struct LocalQueue(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

/// Jobs to be delivered. A job that is queued twice waits once, since it is only a pointer into the ledger.
#[derive(Debug, Default)]
struct Waiting {
    /// First pushes. They come before retries, since an outage of a push service fills the queue with retries.
    segments: BTreeMap<Turn, (Job, u32)>,
    retries: BTreeMap<Turn, (Job, u32)>,
    turns: HashMap<Job, Turn>,
    last_serial: u64,
}

/// When a job is due, and a serial number to tell apart jobs that are due at the same time.
type Turn = (Instant, u64);

impl Waiting {
    fn queue_of(&mut self, job: &Job) -> &mut BTreeMap<Turn, (Job, u32)> {
        match job.part {
            PartKey::Segment(_) => &mut self.segments,
            PartKey::Retry { .. } => &mut self.retries,
        }
    }

    /// Adds a job, with the number of its failed deliveries. If the job waits already, the earlier of the two times
    /// counts.
    fn put(&mut self, mut due: Instant, job: Job, mut failures: u32) {
        if let Some(turn) = self.turns.remove(&job) {
            let known = self.queue_of(&job).remove(&turn);
            due = due.min(turn.0);
            failures = failures.max(known.map_or(0, |(_, failures)| failures));
        }
        self.last_serial += 1;
        let turn = (due, self.last_serial);
        self.turns.insert(job.clone(), turn);
        self.queue_of(&job).insert(turn, (job, failures));
    }

    /// Takes the first job that is due. If none is, the error is when the next one will be.
    fn take(&mut self, now: Instant) -> Result<(Job, u32), Option<Instant>> {
        for jobs in [&mut self.segments, &mut self.retries] {
            if let Some(first) = jobs.first_entry()
                && first.key().0 <= now
            {
                let (job, failures) = first.remove();
                self.turns.remove(&job);
                return Ok((job, failures));
            }
        }
        let next = [&self.segments, &self.retries].map(|jobs| jobs.keys().next());
        Err(next.into_iter().flatten().map(|(due, _)| *due).min())
    }
}

impl LocalQueue {
    /// Delivers jobs, `workers` at a time, until `stop`, and then waits for the jobs under way. `deliver` gets a job
    /// and whether an earlier delivery of it has failed. It returns whether this delivery succeeded.
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
                let wait = MIN_BACKOFF.saturating_mul(2_u32.saturating_pow(failures));
                self.put(wait.min(MAX_BACKOFF), job, failures + 1);
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

    /// Waits for the next job that is due. Returns it with the number of its failed deliveries.
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
                        // Wakes another worker, since another job may be due.
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
