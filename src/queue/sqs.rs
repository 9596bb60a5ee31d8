//! The queue in AWS: SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use tokio::time::sleep;

use super::{MAX_DELAY, Queue, QueueError};
use crate::campaign::Job;

/// Maximum messages of one `SendMessageBatch` call.
const MAX_BATCH: usize = 10;
/// Maximum calls for one batch. Each sends the jobs again that SQS refused in the call before.
const MAX_ATTEMPTS: u32 = 5;
/// Half the delay before the second call. The delay doubles with each call.
const BASE_DELAY: Duration = Duration::from_millis(50);

/// An SQS queue.
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

    /// Sends up to [`MAX_BATCH`] jobs. Returns the index of each job that SQS refused, with the reason.
    async fn send_batch(
        &self,
        jobs: &[&(Job, Duration)],
    ) -> Result<Vec<(usize, String)>, QueueError> {
        let entry = |(i, (job, delay)): (usize, &&(Job, Duration))| {
            // Rounds up: a worker would only queue a job again that is delivered before its time.
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
            let reason = entry.message().unwrap_or_else(|| entry.code());
            (entry.id().parse().unwrap_or(usize::MAX), reason.to_owned())
        });
        Ok(failed.collect())
    }
}

impl Queue for SqsQueue {
    async fn send(&self, jobs: &[(Job, Duration)]) -> Result<(), QueueError> {
        for batch in jobs.chunks(MAX_BATCH) {
            let mut left: Vec<_> = batch.iter().collect();
            let mut attempt = 0;
            while !left.is_empty() {
                let failed = self.send_batch(&left).await?;
                attempt += 1;
                if let Some((_, reason)) = failed.first().filter(|_| attempt == MAX_ATTEMPTS) {
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
                    sleep(BASE_DELAY * 2_u32.pow(attempt)).await;
                }
            }
        }
        Ok(())
    }
}
