//! SQS's batches of jobs, record by record: a record that cannot be read, fails or panics is redelivered alone.

use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use jiff::Timestamp;
use tracing::Instrument as _;

use super::work::Deliver;
use crate::campaign::Job;
use crate::queue::{Queue, Stop};
use crate::time::until;
use webpush::Limits;

/// Time that a worker needs before its deadline to write its checkpoints and to hand over.
const MARGIN: Duration = Duration::from_millis(2_500);

/// The attribute that says how often SQS has delivered a record.
const RECEIVED: &str = "ApproximateReceiveCount";

impl<Q: Queue> Deliver<Q> {
    /// Does the jobs of one SQS event at once, until `deadline`, and says which are to be redelivered
    /// (`ReportBatchItemFailures`).
    pub async fn batch(&self, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
        let time = until(deadline, self.now()).saturating_sub(MARGIN);
        // Pushes in flight are waited for: nobody is pushed to twice because a worker's time is up.
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

    /// Whether the record is done with.
    async fn record(&self, record: &SqsMessage, stop: Stop) -> bool {
        let body = record.body.as_deref().unwrap_or_default();
        let job: Job = match serde_json::from_str(body) {
            Ok(job) => job,
            Err(error) => {
                tracing::error!(message_id = record.message_id, %error, "a record is no job");
                return false;
            }
        };
        let received = record.attributes.get(RECEIVED);
        let is_redelivered = received.is_some_and(|count| count != "1");
        self.handle(&job, is_redelivered, stop).await.is_ok()
    }
}
