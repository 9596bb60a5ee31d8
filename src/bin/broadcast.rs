//! The Lambda function `broadcast`: EventBridge rule and EventBridge Scheduler -> [`pushcast::broadcast`].

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use pushcast::functions::Function;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let broadcast = &Function::start().await?.broadcast().await?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        let campaign = broadcast.handle(&event.payload, &event.context.request_id);
        Ok::<_, Error>(json!({"campaign": campaign.await?.id}))
    }))
    .await
}
