//! The Lambda function `deliver`: SQS -> [`pushcast::deliver`].

use aws_lambda_events::event::sqs::SqsEvent;
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use pushcast::functions::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let deliver = &Function::start().await?.deliver().await?;
    run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let deadline = Timestamp::from_millisecond(event.context.deadline.try_into()?)?;
        Ok::<_, Error>(deliver.batch(event.payload, deadline).await)
    }))
    .await
}
