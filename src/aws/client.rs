//! Finds region and credentials, and calls AWS with them.

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

/// Region and credentials. The first call that needs them looks for them; later calls reuse them.
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
    /// Region and credentials of a Lambda function, from the environment that Lambda sets and from nowhere else.
    pub fn of_function() -> Self {
        Self {
            source: CredentialSource::Lambda(Http::new()),
            found: OnceCell::new(),
        }
    }

    /// Region and credentials of the user who runs the program, from the SDK's default chain.
    #[cfg(feature = "local")]
    pub fn of_user() -> Self {
        Self {
            source: CredentialSource::DefaultChain,
            found: OnceCell::new(),
        }
    }

    /// The configuration for every AWS client.
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

    /// The KMS key with this id, ARN or alias. Fetches its public half from KMS.
    ///
    /// # Errors
    /// When KMS refuses, or the key does not fit VAPID.
    pub async fn kms_key(&self, id: &str) -> Result<RemoteKey, KmsError> {
        let client = aws_sdk_kms::Client::new(self.config().await);
        let key = KmsKey::new(client, id.to_owned());
        let public = key.public().await?;
        let signer = Arc::new(key);
        Ok(RemoteKey { public, signer })
    }

    /// Starts opening a connection from the function to DynamoDB, in the background.
    ///
    /// Every function calls DynamoDB first. Lambda gives a function a whole processor while it starts, and a seventh to
    /// a third of one afterwards. During the start the TLS handshake costs one millisecond, and it runs while secrets
    /// and keys are fetched. Early connections to SQS and EventBridge would gain nothing, because functions call them
    /// at the end of their work. Neither would connections to push services: nobody knows yet which ones a campaign
    /// needs.
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
