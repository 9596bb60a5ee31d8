//! The table `Ledger`: campaigns, their parts, and the local server's schedules.
//!
//! | file | owns |
//! |---|---|
//! | `campaigns`, `campaign_item` | campaigns and their state; the item that stores one |
//! | `lists` | the lists of all and of unfinished campaigns |
//! | `progress` | a campaign's results so far |
//! | `parts`, `segments` | parts that are still open; planning and closing segments |
//! | `leases` | which worker may work on a part |
//! | `slots` | the sending slots of a rate-limited campaign |
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

/// The ledger. Clones share the client.
#[derive(Debug, Clone)]
pub struct Ledger {
    db: Database,
    /// A checkpoint removes ended subscriptions and updates their count.
    subscribers: Subscribers,
}

impl Ledger {
    /// Uses tables that exist already.
    pub fn new(db: Database, subscribers: Subscribers) -> Self {
        Self { db, subscribers }
    }
}
