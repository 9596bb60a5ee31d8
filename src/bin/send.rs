//! The Lambda function `send`: API Gateway -> [`pushcast::send`].

use pushcast::clock::{Chance, Clock};
use pushcast::config::Config;
use pushcast::push::{Client, Limits, Pusher};
use pushcast::{edge, send, store::Store, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init_json()?;
    let mut config = Config::from_env()?;
    config.require_subject()?;
    let client = Client::new(Limits::default(), config.ca_file.as_deref())?;
    let state = send::Send {
        store: Store::connect(config.require_tables()?, Chance::system()).await,
        pusher: Pusher::new(client, config.take_keyring()?.into(), Clock::system()),
        token: config.require_token()?,
        allowed: config.allowed,
        clock: Clock::system(),
    };
    lambda_http::run(edge::finish(send::router(state), &config.cors)).await
}
