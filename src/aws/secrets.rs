//! Reads secrets from Secrets Manager, once, at start. `<ARN or name>#<member>` refers to a member of a JSON secret;
//! `<ARN or name>` refers to a secret that is the value itself.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use serde_json::Value;

use super::kms::describe;

/// Why a secret cannot be read. Never holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// AWS refused, or could not be reached.
    #[error(
        "secret {id} cannot be read: {reason}. Does it exist in this region, and may this role read it?"
    )]
    Refused {
        /// ARN or name of the secret.
        id: String,
        /// Error code and message from AWS.
        reason: String,
    },
    /// The secret is not a JSON object with that member as text.
    #[error(
        "secret {id} holds no text in the member {member}: it must be JSON such as {{\"{member}\": \"..\"}}"
    )]
    Member {
        /// ARN or name of the secret.
        id: String,
        /// Name of the member.
        member: String,
    },
    /// The reference lacks the name or the member.
    #[error(
        "must be secretsmanager:<ARN or name>#<member>, or secretsmanager:<ARN or name> for a secret that is the value itself"
    )]
    Form,
}

/// Reads one secret, or one member of it (`GetSecretValue`).
///
/// # Errors
/// [`SecretError`], without the secret.
pub(super) async fn get(aws: &SdkConfig, reference: &str) -> Result<String, SecretError> {
    let (id, member) = match reference.split_once('#') {
        Some((id, member)) if !id.is_empty() && !member.is_empty() => (id, Some(member)),
        None if !reference.is_empty() => (reference, None),
        Some(_) | None => return Err(SecretError::Form),
    };
    let answer = Client::new(aws).get_secret_value().secret_id(id).send();
    let answer = answer.await.map_err(|error| refused(id, &error))?;
    let text = answer.secret_string().unwrap_or_default();
    let Some(member) = member else {
        return Ok(text.to_owned());
    };
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let value = json[member].as_str().map(str::to_owned);
    value.ok_or_else(|| SecretError::Member {
        id: id.to_owned(),
        member: member.to_owned(),
    })
}

fn refused<E: ProvideErrorMetadata, R>(id: &str, error: &SdkError<E, R>) -> SecretError {
    let reason = error.as_service_error();
    let reason = reason.map_or_else(|| "no answer".to_owned(), describe);
    SecretError::Refused {
        id: id.to_owned(),
        reason,
    }
}
