//! SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use tokio::time::sleep;

use super::{MAX_DELAY, Queue, QueueError};
use crate::campaign::Job;

/// Jobs in one call, at most.
const BATCH: usize = 10;
/// How often jobs that SQS refuses one by one are sent.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// A queue of SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    /// The queue at `url`.
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Sends up to ten, and says which of them SQS did not take, and why.
    async fn send_batch(
        &self,
        jobs: &[&(Job, Duration)],
    ) -> Result<Vec<(usize, String)>, QueueError> {
        let entry = |(i, (job, delay)): (usize, &&(Job, Duration))| {
            // A job that comes before its time only goes round again.
            let delay = delay.min(&MAX_DELAY).as_millis().div_ceil(1_000);
            let delay = i32::try_from(delay).expect("900 at most");
            SendMessageBatchRequestEntry::builder()
                .id(i.to_string())
                .message_body(serde_json::to_string(job).expect("text"))
                .delay_seconds(delay)
                .build()
                .expect("id and body are given")
        };
        let sent = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(jobs.iter().enumerate().map(entry).collect()))
            .send()
            .await
            .map_err(|error| QueueError::Send(error.into()))?;
        let failed = sent.failed().iter().map(|entry| {
            let words = entry.message().unwrap_or_else(|| entry.code());
            (entry.id().parse().unwrap_or(usize::MAX), words.to_owned())
        });
        Ok(failed.collect())
    }
}

impl Queue for SqsQueue {
    async fn send(&self, jobs: &[(Job, Duration)]) -> Result<(), QueueError> {
        for some in jobs.chunks(BATCH) {
            let mut left: Vec<_> = some.iter().collect();
            let mut attempt = 0;
            while !left.is_empty() {
                let failed = self.send_batch(&left).await?;
                attempt += 1;
                if let Some((_, reason)) = failed.first().filter(|_| attempt == ATTEMPTS) {
                    return Err(QueueError::Partly {
                        failed: failed.len(),
                        reason: reason.clone(),
                    });
                }
                left = failed
                    .iter()
                    .filter_map(|(i, _)| left.get(*i).copied())
                    .collect();
                if !left.is_empty() {
                    sleep(FIRST_WAIT * 2_u32.pow(attempt)).await;
                }
            }
        }
        Ok(())
    }
}
