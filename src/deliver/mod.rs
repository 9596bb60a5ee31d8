//! `deliver`: a job -> a part of a campaign -> push a batch -> settle it -> checkpoint -> next batch.
//!
//! | file | owns |
//! |---|---|
//! | `worker` | does one job |
//! | [`lambda`] | does the jobs of one SQS event |
//! | `work` | the state of one job: campaign, message, leases, its share of the pushes in flight |
//! | `segment` | pushes to the rows of a segment, batch by batch, from its checkpoint |
//! | `stragglers` | waits for pushes that a batch has left in flight |
//! | `retry_part` | pushes to the endpoints of a retry part again, as one batch |
//! | `settle` | the end of every batch: outcome -> checkpoint -> jobs for its retries |
//! | `batch` | dispatches pushes, and waits for their answers |
//! | `in_flight` | decides how long the worker waits for them: a pure value |
//! | `outcome` | sums up a batch: figures, rows to remove, retries |
//! | `recipient` | one subscriber of a batch, checked |
//! | `reader` | reads a segment ahead |
//! | `rate` | sending slots of a campaign with a rate |
//! | `circuit` | circuit breakers of the push services |
//!
//! After a crash, workers repeat the pushes that are not in a checkpoint: for each job, at most one batch and its
//! stragglers.

mod batch;
mod circuit;
mod in_flight;
#[cfg(feature = "aws")]
pub mod lambda;
mod outcome;
mod rate;
mod reader;
mod recipient;
mod retry_part;
mod segment;
mod settle;
mod stragglers;
mod work;
mod worker;

pub use self::circuit::CircuitBreaker;
pub use self::recipient::Recipient;
pub use self::work::{Deliver, DeliverError};
