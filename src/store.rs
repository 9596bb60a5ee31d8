//! The two tables, subscribers and ledger, on one database.

#[cfg(feature = "local")]
use std::path::Path;

use aws_sdk_dynamodb::Client;

use crate::clock::Chance;
#[cfg(feature = "local")]
use crate::dynamo::embedded::{self, OpenError};
use crate::dynamo::{Database, Tables};
use crate::ledger::Ledger;
use crate::subscribers::Subscribers;

/// The subscribers and the ledger on one database. Clones share the client.
#[derive(Debug, Clone)]
pub struct Store {
    /// The table `Subscriptions`, and the number of its rows.
    pub subscribers: Subscribers,
    /// The table `Ledger`: campaigns, their parts, and schedules.
    pub ledger: Ledger,
    db: Database,
}

impl Store {
    /// Uses tables that exist already, and a client built with [`behavior_version`](crate::aws::behavior_version).
    pub fn new(client: Client, tables: Tables, chance: Chance) -> Self {
        let db = Database::new(client, tables, chance);
        let subscribers = Subscribers::new(db.clone());
        Self {
            ledger: Ledger::new(db.clone(), subscribers.clone()),
            subscribers,
            db,
        }
    }

    /// The database that holds both tables.
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Opens the embedded database in `file`, or a new one in memory, and creates missing tables. Dropping the last
    /// clone of the store closes the database.
    ///
    /// # Errors
    /// [`OpenError`] says which step failed.
    #[cfg(feature = "local")]
    pub async fn open(file: Option<&Path>, chance: Chance) -> Result<Self, OpenError> {
        let client = embedded::open(file).await?;
        Ok(Self::new(client, embedded::tables(), chance))
    }
}
