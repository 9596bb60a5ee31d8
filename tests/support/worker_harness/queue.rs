//! A queue under the test's control: it delivers a job when the test asks for it.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use pushcast::campaign::Job;
use pushcast::queue::{Queue, QueueError};
use serde_json::Value;

use super::fault_plan::{FaultPlan, StepFault};
use super::time::Time;

/// The content of a delivery to a worker.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Event(Value),
    Job(Job),
}

/// A waiting delivery.
#[derive(Debug, Clone)]
pub(crate) struct QueuedDelivery {
    pub(crate) due: Timestamp,
    pub(crate) payload: Payload,
    pub(crate) redelivered: bool,
}

/// One worker's access to the queue.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    pub(super) waiting: Arc<Mutex<Vec<QueuedDelivery>>>,
    pub(super) time: Time,
    pub(super) faults: Arc<FaultPlan>,
}

impl Queue for Jobs {
    async fn send(&self, jobs: &[(Job, Duration)]) -> Result<(), QueueError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let put = || {
            let waiting = jobs.iter().map(|(job, delay)| QueuedDelivery {
                due: self.time.later(*delay.min(&pushcast::queue::MAX_DELAY)),
                payload: Payload::Job(job.clone()),
                redelivered: false,
            });
            self.waiting.lock().unwrap().extend(waiting);
        };
        let failed = || Err(QueueError::Send("the queue is away".into()));
        match self.faults.step() {
            None => put(),
            Some(StepFault::Dies) => pending::<()>().await,
            Some(StepFault::DiesAfter) => {
                put();
                pending::<()>().await;
            }
            Some(StepFault::Fails) => return failed(),
            Some(StepFault::FailsAfter) => {
                put();
                return failed();
            }
        }
        Ok(())
    }
}
