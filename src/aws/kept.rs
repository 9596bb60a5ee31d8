//! What the configuration only refers to: a secret in Secrets Manager (`secretsmanager:<arn>#<member>`), a key in an
//! SSM parameter (`ssm:<name>`). Read once, at start.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::error::SdkError;
use serde_json::Value;

use super::kms::words;

/// Why it cannot be read. Never holds what was read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// AWS refused, or could not be reached.
    #[error(
        "{what} cannot be read: {reason}. Does it exist in this region, and may this role read it?"
    )]
    Refused {
        /// Which secret or parameter.
        what: String,
        /// AWS's own words.
        reason: String,
    },
    /// The secret is no JSON object with that member.
    #[error(
        "secret {what} holds no text in the member {member}: it must be JSON such as {{\"{member}\": \"..\"}}"
    )]
    Member {
        /// Which secret.
        what: String,
        /// The member named.
        member: String,
    },
    /// The reference is not complete.
    #[error(
        "must be secretsmanager:<ARN or name>#<member>, or secretsmanager:<ARN or name> for a secret that is the value itself"
    )]
    Form,
}

/// Reads `<ARN or name>#<member>`, or a whole secret without a member.
///
/// # Errors
/// [`KeptError`], without the secret.
pub async fn secret(aws: &SdkConfig, reference: &str) -> Result<String, KeptError> {
    let (id, member) = match reference.split_once('#') {
        Some((id, member)) if !id.is_empty() && !member.is_empty() => (id, Some(member)),
        None if !reference.is_empty() => (reference, None),
        Some(_) | None => return Err(KeptError::Form),
    };
    let client = aws_sdk_secretsmanager::Client::new(aws);
    let answer = client.get_secret_value().secret_id(id).send().await;
    let answer = answer.map_err(|error| refused(format!("secret {id}"), &error))?;
    let text = answer.secret_string().unwrap_or_default();
    let Some(member) = member else {
        return Ok(text.to_owned());
    };
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let value = json[member].as_str().map(str::to_owned);
    value.ok_or_else(|| KeptError::Member {
        what: id.to_owned(),
        member: member.to_owned(),
    })
}

/// Reads a parameter, decrypted.
///
/// # Errors
/// [`KeptError`], without the value.
pub async fn parameter(aws: &SdkConfig, name: &str) -> Result<String, KeptError> {
    let client = aws_sdk_ssm::Client::new(aws);
    let request = client.get_parameter().name(name).with_decryption(true);
    let answer = request.send().await;
    let answer = answer.map_err(|error| refused(format!("SSM parameter {name}"), &error))?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    Ok(value.unwrap_or_default())
}

fn refused<E, R>(what: String, error: &SdkError<E, R>) -> KeptError
where
    E: aws_sdk_secretsmanager::error::ProvideErrorMetadata,
{
    let reason = error
        .as_service_error()
        .map_or_else(|| "no answer".to_owned(), words);
    KeptError::Refused { what, reason }
}
