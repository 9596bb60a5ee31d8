//! Keys, token and user secret. The environment holds them, or refers to AWS, where they are fetched at start.

use futures_util::future::{try_join_all, try_join3};
use webpush::{Subject, VapidKey};

use super::error::ConfigError;
use super::keys::{Keys, SigningKey, read_key};
use super::variables::{TOKEN, USER_SECRET, VAPID_KEYS};
use crate::auth::{ApiToken, UserSecret};
use crate::aws::Aws;

/// Prefix of a reference to a secret in Secrets Manager.
const SECRETS_MANAGER: &str = "secretsmanager:";
/// Prefix of a reference to a KMS key.
const KMS: &str = "kms:";
/// Prefix of a reference to a Systems Manager parameter, which only earlier versions read.
const SSM: &str = "ssm:";

/// Minimum length of a token or user secret, in bytes: a shorter one could be guessed.
const MIN_LEN: usize = 16;

/// A secret, or a reference to it.
#[derive(Debug)]
pub enum Source<T> {
    /// The environment holds it.
    Given(T),
    /// In Secrets Manager: `<ARN or name>#<member>`.
    SecretsManager(String),
}

/// A VAPID key, or a reference to it.
#[derive(Debug)]
pub enum VapidSource {
    /// The environment holds it, or names its file.
    Given(VapidKey),
    /// In Secrets Manager: `<ARN or name>`, or `<ARN or name>#<member>`.
    SecretsManager(String),
    /// In KMS: an id, an ARN or an alias.
    Kms(String),
}

/// The secrets that the environment gives or refers to.
#[derive(Debug, Default)]
pub struct SecretSources {
    /// The first is current; empty when none is configured.
    pub vapid_keys: Vec<VapidSource>,
    /// The API token.
    pub token: Option<Source<ApiToken>>,
    /// The user secret.
    pub user_secret: Option<Source<UserSecret>>,
}

/// The same secrets, fetched.
#[derive(Debug)]
pub struct Secrets {
    /// The first is current; empty when none is configured.
    pub vapid_keys: Vec<SigningKey>,
    /// The API token.
    pub token: Option<ApiToken>,
    /// The user secret.
    pub user_secret: Option<UserSecret>,
}

impl SecretSources {
    /// Reads the three variables from `get`.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let keys = get(VAPID_KEYS).unwrap_or_default();
        // A key in JSON contains commas, so it must be the only key.
        let keys = match keys.starts_with('{') {
            true => vec![keys.as_str()],
            false => keys.split(',').map(str::trim).collect(),
        };
        let keys = keys.into_iter().filter(|text| !text.is_empty());
        Ok(Self {
            vapid_keys: keys.map(VapidSource::read).collect::<Result<_, _>>()?,
            token: Source::read(TOKEN, get(TOKEN))?,
            user_secret: Source::read(USER_SECRET, get(USER_SECRET))?,
        })
    }

    /// Fetches the values that are in AWS, all at the same time, so that a starting function waits for one round trip.
    /// Does not call AWS when the environment holds all values.
    ///
    /// # Errors
    /// The first reference that cannot be resolved, with its variable and a remedy.
    pub async fn fetch(self, aws: &Aws) -> Result<Secrets, ConfigError> {
        let keys = self.vapid_keys.into_iter().map(|key| key.fetch(aws));
        let (vapid_keys, token, user_secret) = Box::pin(try_join3(
            try_join_all(keys),
            fetch(TOKEN, self.token, aws),
            fetch(USER_SECRET, self.user_secret, aws),
        ))
        .await?;
        Ok(Secrets {
            vapid_keys,
            token,
            user_secret,
        })
    }
}

impl Secrets {
    /// The API token, which must be configured.
    ///
    /// # Errors
    /// When it is not.
    pub fn require_token(&self) -> Result<ApiToken, ConfigError> {
        let token = self.token.clone();
        token.ok_or_else(|| ConfigError::missing(TOKEN))
    }

    /// The user secret, which must be configured.
    ///
    /// # Errors
    /// When it is not.
    pub fn require_user_secret(&self) -> Result<UserSecret, ConfigError> {
        let secret = self.user_secret.clone();
        secret.ok_or_else(|| ConfigError::missing(USER_SECRET))
    }

    /// Takes the VAPID keys out and gives each the subject. There must be at least one key.
    ///
    /// # Errors
    /// When there is no key.
    pub fn take_keys(&mut self, subject: Option<&Subject>) -> Result<Keys, ConfigError> {
        let keys = std::mem::take(&mut self.vapid_keys);
        Keys::new(keys, subject).ok_or_else(|| ConfigError::missing(VAPID_KEYS))
    }
}

impl<T: From<String>> Source<T> {
    fn read(variable: &'static str, value: Option<String>) -> Result<Option<Self>, ConfigError> {
        let Some(value) = value else { return Ok(None) };
        Ok(Some(match value.strip_prefix(SECRETS_MANAGER) {
            Some(reference) => Self::SecretsManager(reference.to_owned()),
            None => Self::Given(long_enough(variable, value)?.into()),
        }))
    }
}

async fn fetch<T: From<String>>(
    variable: &'static str,
    source: Option<Source<T>>,
    aws: &Aws,
) -> Result<Option<T>, ConfigError> {
    let reference = match source {
        None => return Ok(None),
        Some(Source::Given(secret)) => return Ok(Some(secret)),
        Some(Source::SecretsManager(reference)) => reference,
    };
    let value = aws.secret(&reference).await;
    let value = value.map_err(|error| ConfigError::new(variable, error))?;
    Ok(Some(long_enough(variable, value.trim().to_owned())?.into()))
}

fn long_enough(variable: &'static str, value: String) -> Result<String, ConfigError> {
    if value.len() < MIN_LEN {
        let reason =
            format!("is too short: at least {MIN_LEN} characters, as `openssl rand -hex 32` makes");
        return Err(ConfigError::new(variable, reason));
    }
    Ok(value)
}

impl VapidSource {
    fn read(text: &str) -> Result<Self, ConfigError> {
        if let Some(id) = text.strip_prefix(KMS) {
            return Ok(Self::Kms(id.to_owned()));
        }
        if let Some(reference) = text.strip_prefix(SECRETS_MANAGER) {
            return Ok(Self::SecretsManager(reference.to_owned()));
        }
        if text.starts_with(SSM) {
            let reason = "names a parameter of Systems Manager (ssm:), which this version does not read: put the key \
                into a secret of Secrets Manager, and name that with secretsmanager:<ARN or name>";
            return Err(ConfigError::new(VAPID_KEYS, reason));
        }
        let key = read_key(text).map_err(|error| ConfigError::new(VAPID_KEYS, error))?;
        Ok(Self::Given(key))
    }

    async fn fetch(self, aws: &Aws) -> Result<SigningKey, ConfigError> {
        match self {
            Self::Given(key) => Ok(SigningKey::Local(key)),
            Self::Kms(id) => {
                let key = aws.kms_key(&id).await;
                let key = key.map_err(|error| ConfigError::new(VAPID_KEYS, error))?;
                Ok(SigningKey::Kms(key))
            }
            Self::SecretsManager(reference) => {
                let text = aws.secret(&reference).await;
                let text = text.map_err(|error| ConfigError::new(VAPID_KEYS, error))?;
                let key = VapidKey::parse(text.as_bytes()).map_err(|error| {
                    let reason = format!("names secret {reference}, which {error}");
                    ConfigError::new(VAPID_KEYS, reason)
                })?;
                Ok(SigningKey::Local(key))
            }
        }
    }
}
