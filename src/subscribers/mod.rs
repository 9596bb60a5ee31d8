//! The table `Subscriptions`: one row for each endpoint, and exact figures of their number.
//!
//! | file | owns |
//! |---|---|
//! | [`registration`] | a browser's subscription, checked |
//! | `write`, `upsert` | subscribing, moving, unsubscribing; the count agrees with the rows |
//! | `read` | one row, a user's rows, all of them |
//! | `row` | a subscription as it is stored |
//! | `count` | the number of subscriptions, in all and by push service |
//! | `history` | growth, day by day |
//! | `sample`, `tags` | estimates: the size of an audience, and which tags there are |

pub(crate) mod count;
mod history;
mod read;
pub mod registration;
pub(crate) mod row;
mod sample;
mod tags;
mod upsert;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

pub use count::Totals;
pub use history::{Day, MOST_DAYS};
pub use read::SegmentPage;
pub use row::{Cursor, Page, Row, RowError};
pub use sample::{Estimate, MOST_ROWS};
pub use tags::{MOST_TAGS, Tags};
pub use write::{MAX_AT_ONCE, Pruned, Subscribed};

use crate::dynamo::Database;

/// The subscribers. A clone shares the client.
#[derive(Debug, Clone)]
pub struct Subscribers {
    db: Database,
    /// The last day, since 1970, whose opening balance is known to be written.
    opened: Arc<AtomicI64>,
}

impl Subscribers {
    /// Over tables that exist.
    pub fn new(db: Database) -> Self {
        Self {
            db,
            opened: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }
}
