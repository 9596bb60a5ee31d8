//! The Lambda function `subscribe`: API Gateway -> [`pushcast::subscribe`].

use std::sync::Arc;

use pushcast::clock::{Chance, Clock};
use pushcast::config::Config;
use pushcast::{edge, store::Store, subscribe, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init_json()?;
    let mut config = Config::from_env()?;
    let state = subscribe::Subscribe {
        store: Store::connect(config.require_tables()?, Chance::system()).await,
        keyring: Arc::new(config.take_keyring()?),
        user_secret: config.require_user_secret()?,
        allowed: config.allowed,
        clock: Clock::system(),
    };
    lambda_http::run(edge::finish(subscribe::router(state), &config.cors)).await
}
