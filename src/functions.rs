//! Builds the parts of the Lambda functions from the environment, once, at start. An AWS client is made only for a part
//! that needs it.
//!
//! Functions run on one thread. Their memory size buys them a seventh to a third of a processor, so a second thread
//! would add cost and no speed. Lambda gives more than one processor only above 1769 MB.

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
    /// The checked environment.
    pub config: Config,
    /// The secrets that the environment holds or refers to.
    pub secrets: Secrets,
    aws: Aws,
}

/// Why a function does not start.
#[derive(thiserror::Error)]
pub enum StartError {
    /// A variable is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `RUST_LOG` is wrong.
    #[error(transparent)]
    Filter(#[from] BadFilter),
    /// The TLS settings of the push client are wrong.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl fmt::Debug for StartError {
    /// A function that cannot start prints its error with `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Function {
    /// Starts logging, reads the environment, and fetches the secrets and public keys that it refers to.
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

    /// The store on the two tables.
    ///
    /// # Errors
    /// When they are not configured.
    pub async fn store(&self) -> Result<Store, ConfigError> {
        let tables = self.config.require_tables()?;
        let Ok(client) = self.aws.dynamodb().await;
        Ok(Store::new(client, tables, Chance::system()))
    }

    /// Starts, controls and ends campaigns.
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

    /// The schedules in EventBridge Scheduler.
    ///
    /// # Errors
    /// When group, role, `broadcast` or the queue of failed events is not configured.
    pub async fn schedules(&self) -> Result<EventBridgeSchedules, ConfigError> {
        let target = self.config.require_scheduler()?;
        let client = Scheduler::new(self.aws.config().await);
        Ok(EventBridgeSchedules::new(client, target))
    }

    /// The worker that handles jobs.
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

    /// The pusher, with the keys. Takes the keys out of the secrets.
    ///
    /// # Errors
    /// When the key or the subject is missing, or the file of extra root certificates is wrong.
    pub fn pusher(&mut self) -> Result<Pusher, StartError> {
        let subject = self.config.require_subject()?;
        let keys = self.secrets.take_keys(Some(subject))?;
        let client = Client::new(Limits::default(), self.config.ca_file.as_deref())?;
        Ok(keys.pusher(client, Clock::system()))
    }
}
