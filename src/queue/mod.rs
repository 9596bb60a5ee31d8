//! The queue of jobs between `broadcast` and `deliver`: SQS in AWS ([`SqsQueue`]), and a queue in memory on one machine
//! ([`LocalQueue`]).
//!
//! The queue delivers a job at least once, in no order, and not before its delay. Workers rely on no more: a job is
//! only a pointer into the ledger.

#[cfg(feature = "local")]
mod local;
#[cfg(feature = "aws")]
mod sqs;
mod stop;

use std::time::Duration;

#[cfg(feature = "local")]
pub use local::LocalQueue;
#[cfg(feature = "aws")]
pub use sqs::SqsQueue;
pub use stop::{Stop, Stopper};

use crate::campaign::Job;

/// The longest delay that SQS takes. A worker queues a job again that is delivered before its time.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// A queue of jobs.
pub trait Queue: Clone + Send + Sync + 'static {
    /// Queues jobs. The queue delivers each after its delay at the earliest. A delay over [`MAX_DELAY`] is cut to it.
    ///
    /// # Errors
    /// When a job may be missing in the queue. Others may be in it: to send all again is harmless.
    fn send(&self, jobs: &[(Job, Duration)])
    -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// Why jobs may be missing in the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue could not be reached, or refused all jobs.
    #[error("jobs could not be queued")]
    Send(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The queue refused some of the jobs at every attempt.
    #[error("{failed} jobs could not be queued: {reason}")]
    Partly {
        /// Number of jobs that it refused.
        failed: usize,
        /// The queue's error text for one of them.
        reason: String,
    },
}
