//! The environment, read once: this file is the one list of what may be configured. A value that is wrong is an error
//! at start that names the variable. The names are the same in AWS, locally and in tests.
//!
//! Two steps: [`Config::from_env`] reads and checks, without waiting for anything; [`Config::resolve`] fetches what the
//! environment only refers to (`secretsmanager:`, `ssm:`, `kms:`).

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};

use crate::auth::{ApiToken, UserSecret};
use crate::aws::kms::{KmsKey, KmsSigner};
use crate::aws::{Aws, kept};
use crate::cors::CorsOrigins;
use crate::dynamo::Tables;
use crate::schedule::SchedulerTarget;
use webpush::vapid::VapidKeyError;
use webpush::{
    AllowList, Client, Clock, Keyring, Origin, Pusher, Signer, Subject, Vapid, VapidKey, base64url,
};

/// Name of the table of subscriptions.
pub const SUBSCRIPTIONS_TABLE: &str = "PUSHCAST_SUBSCRIPTIONS_TABLE";
/// Name of the ledger table.
pub const LEDGER_TABLE: &str = "PUSHCAST_LEDGER_TABLE";
/// URL of the queue of jobs.
pub const QUEUE_URL: &str = "PUSHCAST_QUEUE_URL";
/// VAPID keys, comma-separated, the first is current: `kms:<id or alias>`, `ssm:<parameter>`, files, or the keys
/// themselves.
pub const VAPID_KEYS: &str = "PUSHCAST_VAPID_KEYS";
/// Whom push services may write to: `mailto:` or `https:`.
pub const VAPID_SUBJECT: &str = "PUSHCAST_VAPID_SUBJECT";
/// Where the client commands find the API.
pub const URL: &str = "PUSHCAST_URL";
/// The API token, or `secretsmanager:<arn>#<member>`.
pub const TOKEN: &str = "PUSHCAST_TOKEN";
/// The secret under which user ids are signed, or `secretsmanager:<arn>#<member>`.
pub const USER_SECRET: &str = "PUSHCAST_USER_SECRET";
/// Origins added to the allow-list, comma-separated.
pub const PUSH_ORIGINS: &str = "PUSHCAST_PUSH_ORIGINS";
/// Extra roots for the push client, PEM.
pub const CA_FILE: &str = "PUSHCAST_CA_FILE";
/// EventBridge Scheduler's group of schedules.
pub const SCHEDULE_GROUP: &str = "PUSHCAST_SCHEDULE_GROUP";
/// ARN of the role that EventBridge Scheduler calls `broadcast` as.
pub const SCHEDULE_ROLE: &str = "PUSHCAST_SCHEDULE_ROLE";
/// ARN of the function `broadcast`.
pub const BROADCAST_ARN: &str = "PUSHCAST_BROADCAST_ARN";
/// ARN of the queue that keeps a firing which EventBridge Scheduler could not deliver.
pub const FAILED_EVENTS_ARN: &str = "PUSHCAST_FAILED_EVENTS_ARN";
/// What schedules in AWS need: all of it or nothing.
const SCHEDULER: [&str; 4] = [
    SCHEDULE_GROUP,
    SCHEDULE_ROLE,
    BROADCAST_ARN,
    FAILED_EVENTS_ARN,
];
/// Pages that may subscribe, comma-separated origins.
pub const CORS_ORIGINS: &str = "PUSHCAST_CORS_ORIGINS";
/// Namespace of the metrics that are written to the log; none are without it.
pub const METRICS_NAMESPACE: &str = "PUSHCAST_METRICS_NAMESPACE";

/// What begins a reference to a secret.
const SECRETS_MANAGER: &str = "secretsmanager:";

/// A variable that is missing or wrong. Never holds a secret's value.
#[derive(thiserror::Error)]
#[error("{variable} {reason}")]
pub struct ConfigError {
    variable: &'static str,
    reason: String,
}

impl fmt::Debug for ConfigError {
    /// What a function prints that does not start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ConfigError {
    fn new(variable: &'static str, reason: impl ToString) -> Self {
        Self {
            variable,
            reason: reason.to_string(),
        }
    }

    fn missing(variable: &'static str) -> Self {
        Self::new(variable, "is required")
    }
}

/// What the environment says, checked.
#[derive(Debug, Default)]
pub struct Config {
    /// Both tables, or neither.
    pub tables: Option<Tables>,
    /// The queue of jobs.
    pub queue_url: Option<String>,
    /// The first is current; empty when none is configured.
    pub vapid_keys: Vec<ConfiguredKey>,
    /// Apple refuses a push without one.
    pub vapid_subject: Option<Subject>,
    /// The API token.
    pub token: Option<ApiToken>,
    /// The user secret.
    pub user_secret: Option<UserSecret>,
    /// Where messages may be sent.
    pub allowed: AllowList,
    /// Extra roots for the push client.
    pub ca_file: Option<PathBuf>,
    /// Pages that may subscribe.
    pub cors: CorsOrigins,
    /// All of it, or nothing.
    pub scheduler: Option<SchedulerTarget>,
    /// Namespace of the metrics in the log.
    pub metrics_namespace: Option<String>,
    /// Secrets that are to be fetched: variable and reference.
    secrets: Vec<(&'static str, String)>,
}

/// A VAPID key, or where it is.
#[derive(Debug)]
pub enum ConfiguredKey {
    /// It is here.
    Here(VapidKey),
    /// In KMS, with its public half.
    InKms(KmsKey, [u8; 65]),
    /// In KMS, to be asked for.
    Kms(String),
    /// In SSM, to be fetched.
    Ssm(String),
}

impl ConfiguredKey {
    /// Its public half as unpadded base64url, once it is known.
    pub fn public_base64url(&self) -> Option<String> {
        match self {
            Self::Here(key) => Some(key.public_base64url()),
            Self::InKms(_, public) => Some(base64url::encode(public)),
            Self::Kms(_) | Self::Ssm(_) => None,
        }
    }

    async fn fetch(self, aws: &Aws) -> Result<Self, ConfigError> {
        let wrong = |error: &dyn fmt::Display| ConfigError::new(VAPID_KEYS, error);
        match self {
            Self::Here(_) | Self::InKms(..) => Ok(self),
            Self::Kms(id) => {
                let client = aws_sdk_kms::Client::new(aws.config().await);
                let kms = KmsKey::new(client, id);
                let public = kms.public().await.map_err(|error| wrong(&error))?;
                Ok(Self::InKms(kms, public))
            }
            Self::Ssm(name) => {
                let text = kept::parameter(aws.config().await, &name).await;
                let text = text.map_err(|error| wrong(&error))?;
                let key = VapidKey::parse(text.as_bytes());
                let key = key.map_err(|error| {
                    wrong(&format!("names SSM parameter {name}, which {error}"))
                })?;
                Ok(Self::Here(key))
            }
        }
    }
}

/// The VAPID keys, and what signs with those that are in KMS.
#[derive(Debug, Clone)]
pub struct Keys {
    /// All keys, the current one first.
    pub keyring: Arc<Keyring>,
    /// Signs with keys of KMS.
    pub signer: Arc<KmsSigner>,
}

impl Keys {
    /// Pushes signed with these keys, through `client`.
    pub fn pusher(&self, client: Client, clock: Clock) -> Pusher {
        Pusher::new(client, Arc::clone(&self.keyring), clock)
            .with_signer(Arc::clone(&self.signer) as Arc<dyn Signer>)
    }
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
        let get = |name| {
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
        let mut secrets = Vec::new();
        let mut secret = |name| match get(name) {
            Some(value) => match value.strip_prefix(SECRETS_MANAGER) {
                Some(reference) => {
                    secrets.push((name, reference.to_owned()));
                    Ok(None)
                }
                None => long_enough(name, value).map(Some),
            },
            None => Ok(None),
        };
        let token = secret(TOKEN)?.map(ApiToken::new);
        let user_secret = secret(USER_SECRET)?.map(|secret| UserSecret::new(&secret));
        let origin =
            |text: &str| Origin::parse(text).map_err(|error| ConfigError::new(PUSH_ORIGINS, error));
        let added = list(get(PUSH_ORIGINS))
            .iter()
            .map(|text| origin(text))
            .collect::<Result<Vec<_>, _>>()?;
        let cors = list(get(CORS_ORIGINS));
        let needed = |variable| get(variable).ok_or(ConfigError::missing(variable));
        let any = SCHEDULER.iter().any(|variable| get(variable).is_some());
        let scheduler = any.then(|| {
            Ok(SchedulerTarget {
                group: needed(SCHEDULE_GROUP)?,
                role: needed(SCHEDULE_ROLE)?,
                broadcast: needed(BROADCAST_ARN)?,
                failed_events: needed(FAILED_EVENTS_ARN)?,
            })
        });
        let scheduler = scheduler.transpose()?;
        Ok(Self {
            tables,
            queue_url: get(QUEUE_URL),
            vapid_keys: keys(get(VAPID_KEYS))
                .iter()
                .map(|text| configured_key(text))
                .collect::<Result<_, _>>()?,
            vapid_subject: get(VAPID_SUBJECT)
                .map(|text| {
                    text.parse()
                        .map_err(|error| ConfigError::new(VAPID_SUBJECT, error))
                })
                .transpose()?,
            token,
            user_secret,
            allowed: AllowList::new(added),
            ca_file: get(CA_FILE).map(PathBuf::from),
            cors: CorsOrigins::parse(cors.iter().map(String::as_str))
                .map_err(|error| ConfigError::new(CORS_ORIGINS, error))?,
            scheduler,
            metrics_namespace: get(METRICS_NAMESPACE),
            secrets,
        })
    }

    /// Fetches what the environment only refers to, all of it at once: a function that starts waits for one answer, not for
    /// one after the other. Asks AWS for nothing else, and for nothing at all where all values are given.
    ///
    /// # Errors
    /// The first reference that leads nowhere, with its variable, and what to do.
    pub async fn resolve(mut self, aws: &Aws) -> Result<Self, ConfigError> {
        let secrets = std::mem::take(&mut self.secrets).into_iter();
        let secrets = try_join_all(secrets.map(|(variable, reference)| async move {
            let value = kept::secret(aws.config().await, &reference).await;
            let value = value.map_err(|error| ConfigError::new(variable, error))?;
            Ok((variable, long_enough(variable, value.trim().to_owned())?))
        }));
        let keys = std::mem::take(&mut self.vapid_keys).into_iter();
        let keys = try_join_all(keys.map(|key| key.fetch(aws)));
        let (secrets, keys) = Box::pin(try_join(secrets, keys)).await?;
        for (variable, value) in secrets {
            match variable {
                TOKEN => self.token = Some(ApiToken::new(value)),
                _ => self.user_secret = Some(UserSecret::new(&value)),
            }
        }
        self.vapid_keys = keys;
        Ok(self)
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

    /// Where schedules are kept, which must be configured.
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

    /// The API token, which must be configured.
    ///
    /// # Errors
    /// When it is not.
    pub fn require_token(&self) -> Result<ApiToken, ConfigError> {
        self.token
            .clone()
            .ok_or_else(|| ConfigError::missing(TOKEN))
    }

    /// The user secret, which must be configured.
    ///
    /// # Errors
    /// When it is not.
    pub fn require_user_secret(&self) -> Result<UserSecret, ConfigError> {
        self.user_secret
            .clone()
            .ok_or_else(|| ConfigError::missing(USER_SECRET))
    }

    /// Takes the keys out, of which there must be one, and gives each the subject. Only after [`Config::resolve`].
    ///
    /// # Errors
    /// When there is none, or it was not fetched.
    pub fn take_keys(&mut self) -> Result<Keys, ConfigError> {
        let mut elsewhere = HashMap::new();
        let mut keys = Vec::new();
        for key in std::mem::take(&mut self.vapid_keys) {
            let subject = self.vapid_subject.clone();
            keys.push(match key {
                ConfiguredKey::Here(key) => Vapid::new(key, subject),
                ConfiguredKey::InKms(kms, public) => {
                    let vapid = Vapid::elsewhere(public, subject);
                    elsewhere.insert(vapid.id().clone(), kms);
                    vapid
                }
                ConfiguredKey::Kms(_) | ConfiguredKey::Ssm(_) => {
                    let reason = "refers to AWS, and was not fetched from there";
                    return Err(ConfigError::new(VAPID_KEYS, reason));
                }
            });
        }
        let mut keys = keys.into_iter();
        let current = keys
            .next()
            .ok_or_else(|| ConfigError::missing(VAPID_KEYS))?;
        let keyring = Keyring::of_all(current, keys.collect());
        Ok(Keys {
            keyring: Arc::new(keyring),
            signer: Arc::new(KmsSigner(elsewhere)),
        })
    }

    /// The subject, which AWS must be told.
    ///
    /// # Errors
    /// When it is missing.
    pub fn require_subject(&self) -> Result<(), ConfigError> {
        self.vapid_subject
            .as_ref()
            .map(|_| ())
            .ok_or_else(|| ConfigError::missing(VAPID_SUBJECT))
    }
}

fn list(value: Option<String>) -> Vec<String> {
    let value = value.unwrap_or_default();
    value
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A key that is written as JSON has commas of its own.
fn keys(value: Option<String>) -> Vec<String> {
    match value {
        Some(json) if json.starts_with('{') => vec![json],
        value => list(value),
    }
}

fn configured_key(text: &str) -> Result<ConfiguredKey, ConfigError> {
    if let Some(id) = text.strip_prefix("kms:") {
        return Ok(ConfiguredKey::Kms(id.to_owned()));
    }
    if let Some(name) = text.strip_prefix("ssm:") {
        return Ok(ConfiguredKey::Ssm(name.to_owned()));
    }
    let key = read_key(text).map_err(|error| ConfigError::new(VAPID_KEYS, error))?;
    Ok(ConfiguredKey::Here(key))
}

/// A secret of a few characters could be guessed.
fn long_enough(variable: &'static str, value: String) -> Result<String, ConfigError> {
    if value.len() < 16 {
        let reason = "is too short: at least 16 characters, as `openssl rand -hex 32` makes";
        return Err(ConfigError::new(variable, reason));
    }
    Ok(value)
}

/// Why there is no key. Never holds the text: it may be a key.
#[derive(Debug, thiserror::Error)]
pub enum ReadKeyError {
    /// The file cannot be read.
    #[error("names a file that cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// What was given, or what the file holds, is no private key.
    #[error("{0}")]
    Key(#[from] VapidKeyError),
    /// Neither.
    #[error(
        "is neither a file that exists nor a key: give the path of a PEM or DER file, or the key itself"
    )]
    Neither,
}

/// Reads a private key from a file, or from the text itself.
///
/// # Errors
/// [`ReadKeyError`], without the text.
pub fn read_key(text: &str) -> Result<VapidKey, ReadKeyError> {
    let path = Path::new(text);
    if !text.contains("-----BEGIN") && path.is_file() {
        return Ok(VapidKey::parse(&std::fs::read(path)?)?);
    }
    VapidKey::parse(text.as_bytes()).map_err(|error| {
        if error == VapidKeyError::Form {
            ReadKeyError::Neither
        } else {
            ReadKeyError::Key(error)
        }
    })
}
