//! Region and credentials, and what is asked of AWS with them.

use std::convert::Infallible;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client as DynamoDb;
use tokio::sync::OnceCell;

use super::http::Http;
use super::kms::{KmsError, KmsKey};
use super::lambda;
use super::remote_key::RemoteKey;
use super::secrets::{self, SecretError};
#[cfg(feature = "local")]
use super::settings::{behavior_version, retries, timeouts};

/// Region and credentials, looked for once, and not before something needs them.
#[derive(Debug)]
pub struct Aws {
    source: CredentialSource,
    found: OnceCell<SdkConfig>,
}

#[derive(Debug)]
enum CredentialSource {
    /// The environment that Lambda gives to a function.
    Lambda(Http),
    /// The SDK's default chain: environment, profiles, SSO, a command, the machine itself.
    #[cfg(feature = "local")]
    DefaultChain,
}

impl Aws {
    /// Region and credentials of a Lambda function. Lambda puts both into its environment; nothing else is looked at.
    pub fn of_function() -> Self {
        Self {
            source: CredentialSource::Lambda(Http::new()),
            found: OnceCell::new(),
        }
    }

    /// Region and credentials of whoever runs the program, wherever the SDK finds them.
    #[cfg(feature = "local")]
    pub fn of_user() -> Self {
        Self {
            source: CredentialSource::DefaultChain,
            found: OnceCell::new(),
        }
    }

    /// The settings that every client is made of.
    pub async fn config(&self) -> &SdkConfig {
        let find = async || match &self.source {
            CredentialSource::Lambda(http) => lambda::config(http.clone()),
            #[cfg(feature = "local")]
            CredentialSource::DefaultChain => Box::pin(default_chain()).await,
        };
        self.found.get_or_init(find).await
    }

    /// A client of DynamoDB.
    ///
    /// # Errors
    /// None in this build; one without the feature `aws` has no client.
    pub async fn dynamodb(&self) -> Result<DynamoDb, Infallible> {
        Ok(DynamoDb::new(self.config().await))
    }

    /// The value of `<ARN or name>#<member>` in Secrets Manager, or the whole secret without a member.
    ///
    /// # Errors
    /// `SecretError`, without the secret.
    pub async fn secret(&self, reference: &str) -> Result<String, SecretError> {
        secrets::get(self.config().await, reference).await
    }

    /// The key of KMS with this id, ARN or alias. Asks KMS for its public half.
    ///
    /// # Errors
    /// When KMS refuses, or the key is of another kind.
    pub async fn kms_key(&self, id: &str) -> Result<RemoteKey, KmsError> {
        let client = aws_sdk_kms::Client::new(self.config().await);
        let key = KmsKey::new(client, id.to_owned());
        let public = key.public().await?;
        let signer = Arc::new(key);
        Ok(RemoteKey { public, signer })
    }

    /// Begins to connect a function to DynamoDB, and does not wait for it.
    ///
    /// Every function asks DynamoDB first, and Lambda starts a function with a whole processor but runs it with a seventh
    /// to a third of one. The TLS handshake takes a millisecond of a whole processor, while secrets and keys are fetched.
    /// For SQS and EventBridge this does not pay: they are called at the end of the work. Nor for push services: which of
    /// them a campaign needs is not known yet.
    pub async fn connect(&self) {
        let http = match &self.source {
            CredentialSource::Lambda(http) => http.clone(),
            #[cfg(feature = "local")]
            CredentialSource::DefaultChain => return,
        };
        if let Some(dynamodb) = lambda::dynamodb(self.config().await).await {
            tokio::spawn(http.open(dynamodb));
        }
    }
}

#[cfg(feature = "local")]
async fn default_chain() -> SdkConfig {
    aws_config::defaults(behavior_version())
        .retry_config(retries())
        .timeout_config(timeouts())
        .load()
        .await
}
