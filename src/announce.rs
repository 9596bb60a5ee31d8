//! Announces that a campaign has ended: an event `pushcast.campaign` on EventBridge, or a line in the log.

#[cfg(feature = "aws")]
use aws_sdk_eventbridge::Client;
#[cfg(feature = "aws")]
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::Value;

/// `detail-type` of the event.
const KIND: &str = "pushcast.campaign";
/// `source` of the event.
#[cfg(feature = "aws")]
const SOURCE: &str = "pushcast";

/// Announces each campaign's end at least once.
#[derive(Debug, Clone)]
pub enum Announcer {
    /// In the log.
    Log,
    /// On an event bus.
    #[cfg(feature = "aws")]
    EventBridge {
        /// The SDK's client.
        client: Client,
        /// Name or ARN of the bus. `None` is the account's default bus.
        bus: Option<String>,
    },
}

/// Why the end of a campaign could not be announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// EventBridge could not be reached, or refused the request.
    #[error("the end of the campaign could not be put on EventBridge")]
    Put(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// EventBridge answered, but refused the event.
    #[error("EventBridge did not take the end of the campaign: {0}")]
    Refused(String),
}

impl Announcer {
    /// Announces the end of a campaign. `campaign` is the campaign as the API shows it.
    ///
    /// # Errors
    /// When EventBridge does not take the event. The caller must then announce the end again.
    pub async fn ended(&self, campaign: &Value) -> Result<(), AnnounceError> {
        match self {
            Self::Log => {
                tracing::info!(
                    campaign = campaign["id"].as_str(),
                    status = campaign["status"].as_str(),
                    reason = campaign["reason"].as_str(),
                    counts = %campaign["counts"],
                    "{KIND}"
                );
                Ok(())
            }
            #[cfg(feature = "aws")]
            Self::EventBridge { client, bus } => {
                let event = PutEventsRequestEntry::builder()
                    .source(SOURCE)
                    .detail_type(KIND)
                    .detail(campaign.to_string())
                    .set_event_bus_name(bus.clone())
                    .build();
                let put = client.put_events().entries(event).send().await;
                let put = put.map_err(|error| AnnounceError::Put(error.into()))?;
                let refused = put
                    .entries()
                    .iter()
                    .find_map(|entry| entry.error_message().or(entry.error_code()));
                refused.map_or(Ok(()), |why| Err(AnnounceError::Refused(why.to_owned())))
            }
        }
    }
}
