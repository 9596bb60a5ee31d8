//! The table `Ledger`: campaigns, their parts, and the local server's schedules.
//!
//! | file | owns |
//! |---|---|
//! | `campaigns` | campaigns and their state |
//! | `parts` | who works on each part of a campaign |
//! | `checkpoint`, `segment_update` | the change that one batch makes, written as one transaction |
//! | `schedules` | the local server's schedules |

mod campaigns;
mod checkpoint;
mod parts;
mod schedules;
mod segment_update;

pub use campaigns::{CampaignPage, Change, Planned, Progress, is_listed};
pub use checkpoint::Written;
pub use parts::{Lease, Segment, Taken, Worker};
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
