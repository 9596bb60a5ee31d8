//! The table `Ledger`: campaigns, their parts, and the local server's schedules.
//!
//! | file | owns |
//! |---|---|
//! | `campaigns`, `campaign_item` | campaigns and their state; the item that stores one |
//! | `lists` | how campaigns are found |
//! | `progress` | what became of a campaign so far |
//! | `parts`, `segments` | what is left to be done |
//! | `leases` | who works on each part of a campaign |
//! | `slots` | when a rate-limited campaign may push |
//! | `checkpoint`, `segment_update` | the change that one batch makes, written as one transaction |
//! | `schedules` | the local server's schedules |

mod campaign_item;
mod campaigns;
mod checkpoint;
mod leases;
mod lists;
mod parts;
mod progress;
mod schedules;
mod segment_update;
mod segments;
mod slots;

pub use campaigns::Planned;
pub use checkpoint::Written;
pub use leases::{Lease, Taken, Worker};
pub use lists::{CampaignPage, is_listed};
pub use progress::Progress;
pub use schedules::StoredSchedule;
pub use segments::Segment;

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
