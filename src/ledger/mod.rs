//! The table `Ledger`: campaigns, their parts, and the local server's schedules.
//!
//! | file | owns |
//! |---|---|
//! | `campaigns` | campaigns and their state |
//! | `parts` | who works on each part of a campaign |
//! | `checkpoint` | what was done with a part, written as one transaction |
//! | `schedules` | the local server's schedules |

mod campaigns;
mod checkpoint;
mod parts;
mod schedules;

pub use campaigns::{CampaignPage, Change, Planned, Progress, is_listed};
pub use checkpoint::{MAX_PART_BYTES, MOST_NEW, Settled, Settlement, Step};
pub use parts::{Lease, NewPart, Retry, Segment, Taken, Worker};
pub use schedules::StoredSchedule;

use crate::dynamo::Database;
use crate::subscribers::Subscribers;

/// The ledger. A clone shares the client.
#[derive(Debug, Clone)]
pub struct Ledger {
    db: Database,
    /// A settlement removes subscribers, and counts them.
    subscribers: Subscribers,
}

impl Ledger {
    /// Over tables that exist.
    pub fn new(db: Database, subscribers: Subscribers) -> Self {
        Self { db, subscribers }
    }
}
