//! DynamoDB, as both tables use it. In AWS it is the service; on one machine it is the same code against an embedded
//! one, so that conditions, transactions and indexes are real everywhere.
//!
//! | file | owns |
//! |---|---|
//! | this one | the client, the tables' names |
//! | `error` | why a call failed, and whether it may succeed in a moment |
//! | `item` | attribute values |
//! | `key` | every key of the table `Ledger` |
//! | `read`, `write` | one request: its table, key and expressions |
//! | `transaction` | writing several items as one, again when it collides |
//! | [`schema`] | the tables' shape: made locally, checked by the doctor |
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
    /// `Subscriptions`.
    pub subscriptions: String,
    /// `Ledger`.
    pub ledger: String,
}

/// A client, and the tables that it works on. A clone shares the client.
#[derive(Debug, Clone)]
pub struct Database {
    pub(crate) client: Client,
    pub(crate) tables: Tables,
    pub(crate) chance: Chance,
}

impl Database {
    /// Over a client that was built with [`behavior_version`](crate::aws::behavior_version), and tables that exist.
    pub fn new(client: Client, tables: Tables, chance: Chance) -> Self {
        Self {
            client,
            tables,
            chance,
        }
    }
}
