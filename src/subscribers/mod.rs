//! The table `Subscriptions`: one row for each endpoint. The exact number of rows is in the table `Ledger`.
//!
//! | file | owns |
//! |---|---|
//! | [`registration`] | a browser's subscription, checked |
//! | `write`, `upsert` | subscribe, move, unsubscribe; each write keeps the count exact |
//! | `read` | one row, a user's rows, a segment's rows, all rows |
//! | `row` | a subscription as it is stored |
//! | `count` | the number of subscriptions, in total and by push service |
//! | `history` | growth, day by day |
//! | `sample`, `tags` | estimates: the size of an audience, and the tags in use |

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

/// The subscribers. Clones share the client.
#[derive(Debug, Clone)]
pub struct Subscribers {
    db: Database,
    /// The last day, counted from 1970-01-01, whose opening balance this process knows to exist.
    opened: Arc<AtomicI64>,
}

impl Subscribers {
    /// Uses tables that exist already.
    pub fn new(db: Database) -> Self {
        Self {
            db,
            opened: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }
}
