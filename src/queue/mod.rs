//! The queue of jobs between `broadcast` and `deliver`: SQS in AWS ([`SqsQueue`]), in the process on one machine
//! ([`LocalQueue`]).
//!
//! A job is delivered at least once, in no order, not before its delay. Nothing relies on more: a job is only a
//! pointer into the ledger.

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

/// The longest delay that a queue takes (SQS). A job that comes before its time waits again.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// Where jobs go.
pub trait Queue: Clone + Send + Sync + 'static {
    /// Puts jobs into the queue, each to be delivered no sooner than its delay says; a delay over [`MAX_DELAY`]
    /// counts as that.
    ///
    /// # Errors
    /// When one of them may not be in the queue. The others may be: to send all again is harmless.
    fn send(&self, jobs: &[(Job, Duration)])
    -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// Why jobs may not be in the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The queue could not be reached, or refused everything.
    #[error("jobs could not be queued")]
    Send(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It refused some of them, again and again.
    #[error("{failed} jobs could not be queued: {reason}")]
    Partly {
        /// How many.
        failed: usize,
        /// The queue's words on one of them.
        reason: String,
    },
}
