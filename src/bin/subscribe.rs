//! The Lambda function `subscribe`: API Gateway -> [`pushcast::subscribe`].

use std::sync::Arc;

use pushcast::clock::Clock;
use pushcast::function::Function;
use pushcast::{edge, subscribe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let mut function = Function::start().await?;
    let state = subscribe::Subscribe {
        store: function.store().await?,
        keyring: Arc::clone(function.config.take_signer()?.keyring()),
        user_secret: function.config.require_user_secret()?,
        allowed: function.config.allowed,
        clock: Clock::system(),
    };
    lambda_http::run(edge::finish(
        subscribe::router(state),
        &function.config.cors,
    ))
    .await
}
