//! Schedules: a message that is sent to an audience at a time to come, or again and again.
//!
//! | file | owns |
//! |---|---|
//! | [`expression`] | when: `at(..)`, `rate(..)`, `cron(..)`, as EventBridge Scheduler reads them |
//! | `cron` | the fields of `cron(..)` |

mod cron;
pub mod expression;

pub use expression::{Expression, ExpressionError};
