//! Access to DynamoDB for both tables. In AWS, the code calls the service. On one machine, the same code calls an
//! embedded database, so that conditions, transactions and indexes are real everywhere.
//!
//! | file | owns |
//! |---|---|
//! | this one | the client, the tables' names |
//! | `error` | why a call failed, and whether it may succeed in a moment |
//! | `item` | attribute values |
//! | `key` | every key of the table `Ledger` |
//! | `read`, `write` | one request: its table, key and expressions |
//! | `transaction` | writes several items in one transaction, and retries collisions |
//! | [`schema`] | the tables' keys and index: created locally, checked by `pushcast doctor` |
//! | [`embedded`] | the embedded database of `pushcast serve` |

#[cfg(feature = "local")]
pub mod embedded;
mod error;
pub(crate) mod item;
pub(crate) mod key;
pub(crate) mod read;
pub mod schema;
pub(crate) mod transaction;
pub(crate) mod write;

use aws_sdk_dynamodb::Client;

pub use self::error::StoreError;
use crate::clock::Chance;

/// Names of the two tables.
#[derive(Debug, Clone)]
pub struct Tables {
    /// The name of the table of subscriptions.
    pub subscriptions: String,
    /// The name of the table of campaigns and schedules.
    pub ledger: String,
}

/// A client and the names of its tables. Clones share the client.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) client: Client,
    pub(crate) tables: Tables,
    pub(crate) chance: Chance,
}

impl Database {
    /// Uses tables that exist already, and a client built with [`behavior_version`](crate::aws::behavior_version).
    pub fn new(client: Client, tables: Tables, chance: Chance) -> Self {
        Self {
            client,
            tables,
            chance,
        }
    }
}
