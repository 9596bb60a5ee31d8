//! A queue in the process. Nothing of it is on disk: after a restart the ledger says which jobs there are.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{MAX_DELAY, Queue, QueueError};
use crate::campaign::Job;
use crate::deliver::Stop;

/// The first wait before a job that failed is delivered again; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Jobs, each with when it is due. A clone is the same queue.
#[derive(Debug, Clone, Default)]
pub struct LocalQueue(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    jobs: Mutex<BinaryHeap<Reverse<Waiting>>>,
    changed: Notify,
}

/// One delivery that is to be made.
#[derive(Debug)]
struct Waiting {
    due: Instant,
    job: Job,
    /// Deliveries that failed.
    failures: u32,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
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
                let Waiting { job, failures, .. } = tokio::select! {
                    biased;
                    () = stop.reached() => return,
                    next = self.next() => next,
                };
                if deliver(job.clone(), failures > 0).await {
                    continue;
                }
                let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(failures));
                self.push(Waiting {
                    due: Instant::now() + wait.min(LONGEST_WAIT),
                    job,
                    failures: failures + 1,
                });
            }
        };
        futures_util::future::join_all((0..workers).map(|_| work())).await;
    }

    fn push(&self, waiting: Waiting) {
        let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.push(Reverse(waiting));
        drop(jobs);
        self.0.changed.notify_one();
    }

    /// The next job, when it is due.
    async fn next(&self) -> Waiting {
        loop {
            let changed = self.0.changed.notified();
            let due = {
                let mut jobs = self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                match jobs.peek() {
                    Some(Reverse(first)) if first.due <= Instant::now() => {
                        let Reverse(first) = jobs.pop().expect("it was seen");
                        let more = !jobs.is_empty();
                        drop(jobs);
                        // Whoever else waits looks again: there may be another one due.
                        if more {
                            self.0.changed.notify_one();
                        }
                        return first;
                    }
                    Some(Reverse(first)) => Some(first.due),
                    None => None,
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
            self.push(Waiting {
                due: Instant::now() + *delay.min(&MAX_DELAY),
                job: job.clone(),
                failures: 0,
            });
        }
        Ok(())
    }
}
