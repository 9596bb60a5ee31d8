//! Both tables together.

#[cfg(feature = "local")]
use std::path::Path;

use aws_sdk_dynamodb::Client;

use crate::clock::Chance;
#[cfg(feature = "local")]
use crate::dynamo::embedded::{self, OpenError};
use crate::dynamo::{Database, Tables};
use crate::ledger::Ledger;
use crate::subscribers::Subscribers;

/// Subscribers and ledger, over one database. A clone shares its client.
#[derive(Debug, Clone)]
pub struct Store {
    /// The table `Subscriptions`, and the number of its rows.
    pub subscribers: Subscribers,
    /// The table `Ledger`: campaigns, their parts, and schedules.
    pub ledger: Ledger,
    db: Database,
}

impl Store {
    /// Over a client that was built with [`behavior_version`](crate::aws::behavior_version), and tables that exist.
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

    /// Over the embedded database in `file`, or a new one in memory. Creates the tables that are missing. The database is
    /// closed when the last clone of the store is dropped.
    ///
    /// # Errors
    /// [`OpenError`] says which step failed.
    #[cfg(feature = "local")]
    pub async fn open(file: Option<&Path>, chance: Chance) -> Result<Self, OpenError> {
        let client = embedded::open(file).await?;
        Ok(Self::new(client, embedded::tables(), chance))
    }
}
