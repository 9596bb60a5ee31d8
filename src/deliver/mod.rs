//! `deliver`: a job -> a part of a campaign -> push a batch -> settle it -> checkpoint -> next batch.
//!
//! | file | owns |
//! |---|---|
//! | `worker` | does one job |
//! | [`lambda`] | SQS's batches of jobs, record by record |
//! | `work` | what a job needs: campaign, message, leases, its share of the pushes in flight |
//! | `segment` | a segment, batch by batch, from its checkpoint |
//! | `stragglers` | pushes that a batch of a segment has left in flight |
//! | `retry` | a retry part: one batch |
//! | `settle` | the end of every batch: outcome -> checkpoint -> jobs for its retries |
//! | `batch` | pushes in flight |
//! | `in_flight` | how long the worker waits for them: a pure value |
//! | `outcome` | what a batch has come to |
//! | `recipient` | one subscriber who is pushed to |
//! | `reader` | reads a segment ahead |
//! | `rate` | sending slots of a campaign that keeps to a rate |
//! | `circuit` | the circuit breaker of push services |
//!
//! A crash repeats what was pushed and is not in a checkpoint: one batch of each job, and its stragglers.

mod batch;
mod circuit;
mod in_flight;
#[cfg(feature = "aws")]
pub mod lambda;
mod outcome;
mod rate;
mod reader;
mod recipient;
mod retry;
mod segment;
mod settle;
mod stragglers;
mod work;
mod worker;

pub use self::circuit::CircuitBreaker;
pub use self::recipient::Recipient;
pub use self::work::{Deliver, DeliverError};
