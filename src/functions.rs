//! What the Lambda functions are made of, from the environment. Made once, at start; a client of AWS only where
//! something asks for it.
//!
//! Functions run on one thread: Lambda gives them the seventh to the third of a processor that their memory pays for, so
//! that a second thread would only be started, woken, and paid for. Past 1769 MB there is more than one processor.

use std::fmt;
use std::sync::Arc;

use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_scheduler::Client as Scheduler;
use aws_sdk_sqs::Client as Sqs;

use crate::announce::Announcer;
use crate::aws::Aws;
use crate::broadcast::Broadcast;
use crate::clock::{Chance, Clock};
use crate::config::{Config, ConfigError, Secrets};
use crate::deliver::{CircuitBreaker, Deliver};
use crate::ledger::Worker;
use crate::queue::SqsQueue;
use crate::schedule::EventBridgeSchedules;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{self, BadFilter};
use webpush::client::TlsError;
use webpush::{Client, Limits, Pusher};

/// A function that is starting.
#[derive(Debug)]
pub struct Function {
    /// The environment.
    pub config: Config,
    /// The secrets that it gives or refers to.
    pub secrets: Secrets,
    aws: Aws,
}

/// Why a function does not start.
#[derive(thiserror::Error)]
pub enum StartError {
    /// A variable is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `RUST_LOG` is.
    #[error(transparent)]
    Filter(#[from] BadFilter),
    /// No connection to a push service could be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl fmt::Debug for StartError {
    /// What a function prints that does not start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Function {
    /// Begins to log, reads the environment, and fetches the secrets and public keys that it refers to.
    ///
    /// # Errors
    /// The first variable that is wrong.
    pub async fn start() -> Result<Self, StartError> {
        telemetry::init_json()?;
        let aws = Aws::of_function();
        let mut config = Config::from_env()?;
        aws.connect().await;
        let secrets = std::mem::take(&mut config.secrets).fetch(&aws).await?;
        Ok(Self {
            config,
            secrets,
            aws,
        })
    }

    /// The two tables.
    ///
    /// # Errors
    /// When they are not configured.
    pub async fn store(&self) -> Result<Store, ConfigError> {
        let tables = self.config.require_tables()?;
        let Ok(client) = self.aws.dynamodb().await;
        Ok(Store::new(client, tables, Chance::system()))
    }

    /// What starts, steers and ends campaigns.
    ///
    /// # Errors
    /// When tables or queue are not configured.
    pub async fn broadcast(&self) -> Result<Broadcast<SqsQueue>, ConfigError> {
        let (store, queue) = (self.store().await?, self.config.require_queue()?);
        let aws = self.aws.config().await;
        Ok(Broadcast {
            store,
            queue: SqsQueue::new(Sqs::new(aws), queue),
            announcer: Arc::new(Announcer::EventBridge {
                client: EventBridge::new(aws),
                bus: None,
            }),
            metrics: Metrics::new(self.config.metrics_namespace.clone()),
            clock: Clock::system(),
            chance: Chance::system(),
            most_segments: u32::MAX,
        })
    }

    /// Where schedules are kept.
    ///
    /// # Errors
    /// When group, role or the function to call are not configured.
    pub async fn schedules(&self) -> Result<EventBridgeSchedules, ConfigError> {
        let target = self.config.require_scheduler()?;
        let client = Scheduler::new(self.aws.config().await);
        Ok(EventBridgeSchedules::new(client, target))
    }

    /// What does jobs.
    ///
    /// # Errors
    /// When a variable is missing or wrong.
    pub async fn deliver(mut self) -> Result<Deliver<SqsQueue>, StartError> {
        let pusher = self.pusher()?;
        let broadcast = self.broadcast().await?;
        Ok(Deliver {
            worker: Worker::one_of_many(&broadcast.chance),
            broadcast,
            pusher,
            allowed: self.config.allowed,
            at_once: 1,
            circuits: CircuitBreaker::default(),
        })
    }

    /// What pushes. Takes the keys out of the secrets.
    ///
    /// # Errors
    /// When there is no key, or no subject, or the extra roots are wrong.
    pub fn pusher(&mut self) -> Result<Pusher, StartError> {
        let subject = self.config.require_subject()?;
        let keys = self.secrets.take_keys(Some(subject))?;
        let client = Client::new(Limits::default(), self.config.ca_file.as_deref())?;
        Ok(keys.pusher(client, Clock::system()))
    }
}
