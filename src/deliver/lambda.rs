//! Does the jobs of one SQS event. SQS redelivers only the records that cannot be read, fail or panic.

use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use jiff::Timestamp;
use tracing::Instrument as _;

use super::work::Deliver;
use crate::campaign::Job;
use crate::queue::{Queue, Stop};
use crate::time::until;
use webpush::Limits;

/// Time before its deadline in which a worker writes its checkpoints and hands over.
const MARGIN: Duration = Duration::from_millis(2_500);

/// Attribute of a record: how often SQS has delivered it.
const RECEIVE_COUNT: &str = "ApproximateReceiveCount";

impl<Q: Queue> Deliver<Q> {
    /// Does the jobs of one SQS event at the same time, until `deadline`. Returns the records that SQS must redeliver
    /// (`ReportBatchItemFailures`).
    pub async fn batch(&self, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        let time = until(deadline, self.now()).saturating_sub(MARGIN);
        // The worker waits for pushes in flight: without the answers it would have to push them again.
        let grace = Limits::default().total.min(time / 2);
        let stop = Stop::after(time - grace, grace);
        let mut deliver = self.clone();
        deliver.at_once = event.records.len();
        let tasks: Vec<_> = event
            .records
            .into_iter()
            .map(|record| {
                let (id, deliver) = (record.message_id.clone(), deliver.clone());
                let stop = stop.clone();
                let work = async move { deliver.record(&record, stop).await };
                (id, tokio::spawn(work.in_current_span()))
            })
            .collect();
        let mut answer = SqsBatchResponse::default();
        for (id, task) in tasks {
            // A panic has been logged where it happened.
            if !task.await.unwrap_or(false) {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = id.unwrap_or_default();
                answer.batch_item_failures.push(failure);
            }
        }
        answer
    }

    /// Does the job of one record. False when SQS must redeliver it.
    async fn record(&self, record: &SqsMessage, stop: Stop) -> bool {
        let body = record.body.as_deref().unwrap_or_default();
        let job: Job = match serde_json::from_str(body) {
            Ok(job) => job,
            Err(error) => {
                tracing::error!(message_id = record.message_id, %error, "record is not a job, it will be redelivered");
                return false;
            }
        };
        let received = record.attributes.get(RECEIVE_COUNT);
        let is_redelivered = received.is_some_and(|count| count != "1");
        self.handle(&job, is_redelivered, stop).await.is_ok()
    }
}
