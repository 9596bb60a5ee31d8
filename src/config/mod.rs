//! Reads the environment once, at start. A wrong value is an error that names its variable. The variables have the same
//! names in AWS, locally and in tests.
//!
//! Reading takes two steps, each with its own type. [`Config::from_env`] reads and checks the variables, without I/O to
//! AWS. [`SecretSources::fetch`] fetches the values that the environment only refers to (`secretsmanager:`, `kms:`) and
//! returns [`Secrets`].
//!
//! | file | owns |
//! |---|---|
//! | this one | [`Config`]: the checked environment |
//! | `variables` | the names of the variables |
//! | `secrets` | [`Secrets`]: keys, token and user secret, from the environment or from AWS |
//! | `keys` | VAPID keys: read from files or text, and ready to sign |
//! | `error` | [`ConfigError`]: which variable is wrong, and why |

mod error;
mod keys;
mod secrets;
mod variables;

use std::path::PathBuf;

pub use error::ConfigError;
pub use keys::{Keys, ReadKeyError, SigningKey, read_key};
pub use secrets::{SecretSources, Secrets, Source, VapidSource};
pub use variables::*;

use crate::cors::CorsOrigins;
use crate::dynamo::Tables;
use webpush::{AllowList, Origin, Subject};

/// The variables of [`SchedulerTarget`].
const SCHEDULER: [&str; 4] = [
    SCHEDULE_GROUP,
    SCHEDULE_ROLE,
    BROADCAST_ARN,
    FAILED_EVENTS_ARN,
];

/// The group that holds the schedules in AWS, and the function that they call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerTarget {
    /// Name of the schedule group.
    pub group: String,
    /// ARN of the role that may call `broadcast`.
    pub role: String,
    /// ARN of `broadcast`.
    pub broadcast: String,
    /// ARN of the queue that keeps firings which EventBridge Scheduler could not deliver to `broadcast`.
    pub failed_events: String,
}

/// The checked environment.
#[derive(Debug, Default)]
pub struct Config {
    /// Both tables, or neither.
    pub tables: Option<Tables>,
    /// URL of the job queue.
    pub queue_url: Option<String>,
    /// Keys, token and user secret, or references to them.
    pub secrets: SecretSources,
    /// VAPID subject. Apple refuses a push without one.
    pub vapid_subject: Option<Subject>,
    /// Push services that messages may be sent to.
    pub allowed: AllowList,
    /// File with extra root certificates for the push client.
    pub ca_file: Option<PathBuf>,
    /// Origins of the pages that may subscribe.
    pub cors: CorsOrigins,
    /// Present when all four of its variables are set.
    pub scheduler: Option<SchedulerTarget>,
    /// Namespace of the metrics in the log.
    pub metrics_namespace: Option<String>,
}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// The first variable that is wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_fn(|name| std::env::var(name).ok())
    }

    /// Reads variables from `get`. An empty one counts as missing.
    ///
    /// # Errors
    /// The first variable that is wrong.
    pub fn from_fn(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| {
            get(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let tables = match (get(SUBSCRIPTIONS_TABLE), get(LEDGER_TABLE)) {
            (Some(subscriptions), Some(ledger)) => Some(Tables {
                subscriptions,
                ledger,
            }),
            (None, None) => None,
            (None, Some(_)) => return Err(ConfigError::missing(SUBSCRIPTIONS_TABLE)),
            (Some(_), None) => return Err(ConfigError::missing(LEDGER_TABLE)),
        };
        let needed = |variable| get(variable).ok_or(ConfigError::missing(variable));
        let any_is_set = SCHEDULER.iter().any(|variable| get(variable).is_some());
        let scheduler = any_is_set.then(|| {
            Ok(SchedulerTarget {
                group: needed(SCHEDULE_GROUP)?,
                role: needed(SCHEDULE_ROLE)?,
                broadcast: needed(BROADCAST_ARN)?,
                failed_events: needed(FAILED_EVENTS_ARN)?,
            })
        });
        let subject = |text: String| {
            text.parse()
                .map_err(|error| ConfigError::new(VAPID_SUBJECT, error))
        };
        Ok(Self {
            tables,
            queue_url: get(QUEUE_URL),
            secrets: SecretSources::read(get)?,
            vapid_subject: get(VAPID_SUBJECT).map(subject).transpose()?,
            allowed: AllowList::new(origins(&get(PUSH_ORIGINS).unwrap_or_default())?),
            ca_file: get(CA_FILE).map(PathBuf::from),
            cors: CorsOrigins::parse(list(&get(CORS_ORIGINS).unwrap_or_default()))
                .map_err(|error| ConfigError::new(CORS_ORIGINS, error))?,
            scheduler: scheduler.transpose()?,
            metrics_namespace: get(METRICS_NAMESPACE),
        })
    }

    /// The tables, which must be configured.
    ///
    /// # Errors
    /// When they are not.
    pub fn require_tables(&self) -> Result<Tables, ConfigError> {
        self.tables
            .clone()
            .ok_or_else(|| ConfigError::missing(SUBSCRIPTIONS_TABLE))
    }

    /// The schedule group and its target, which must be configured.
    ///
    /// # Errors
    /// When it is not.
    pub fn require_scheduler(&self) -> Result<SchedulerTarget, ConfigError> {
        self.scheduler
            .clone()
            .ok_or_else(|| ConfigError::missing(SCHEDULE_GROUP))
    }

    /// The queue's URL, which must be configured.
    ///
    /// # Errors
    /// When it is not.
    pub fn require_queue(&self) -> Result<String, ConfigError> {
        self.queue_url
            .clone()
            .ok_or_else(|| ConfigError::missing(QUEUE_URL))
    }

    /// The subject, which functions must be given: Apple refuses pushes without it.
    ///
    /// # Errors
    /// When it is missing.
    pub fn require_subject(&self) -> Result<&Subject, ConfigError> {
        self.vapid_subject
            .as_ref()
            .ok_or_else(|| ConfigError::missing(VAPID_SUBJECT))
    }
}

/// Splits a comma-separated value.
fn list(value: &str) -> impl Iterator<Item = &str> {
    let values = value.split(',').map(str::trim);
    values.filter(|value| !value.is_empty())
}

fn origins(value: &str) -> Result<Vec<Origin>, ConfigError> {
    let read = |text| Origin::parse(text).map_err(|error| ConfigError::new(PUSH_ORIGINS, error));
    list(value).map(read).collect()
}
