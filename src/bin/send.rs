//! The Lambda function `send`: API Gateway -> [`pushcast::send`].

use std::sync::Arc;

use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_sqs::Client as Sqs;
use pushcast::announce::Announcer;
use pushcast::broadcast::Broadcast;
use pushcast::clock::{Chance, Clock};
use pushcast::config::Config;
use pushcast::push::{Client, Limits, Pusher};
use pushcast::queue::SqsQueue;
use pushcast::{campaigns, edge, pages, send, store, store::Store, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init_json()?;
    let mut config = Config::from_env()?;
    config.require_subject()?;
    let token = config.require_token()?;
    let aws = store::aws().await;
    let broadcast = Broadcast {
        store: Store::connect(config.require_tables()?, Chance::system()).await,
        queue: SqsQueue::new(Sqs::new(&aws), config.require_queue()?),
        announcer: Arc::new(Announcer::EventBridge {
            client: EventBridge::new(&aws),
            bus: None,
        }),
        clock: Clock::system(),
        chance: Chance::system(),
        most_segments: u32::MAX,
    };
    let client = Client::new(Limits::default(), config.ca_file.as_deref())?;
    let state = send::Send {
        broadcast: broadcast.clone(),
        pusher: Pusher::new(client, config.take_keyring()?.into(), Clock::system()),
        allowed: config.allowed,
    };
    let router = send::router(state, &token)
        .merge(campaigns::router(broadcast, &token))
        .merge(pages::console());
    lambda_http::run(edge::finish(router, &config.cors)).await
}
