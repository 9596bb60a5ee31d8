//! The Lambda function `send`: API Gateway -> [`pushcast::send`], [`pushcast::campaigns`].

use pushcast::function::Function;
use pushcast::{campaigns, edge, send};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let mut function = Function::start().await?;
    let pusher = function.pusher()?;
    let token = function.config.require_token()?;
    let broadcast = function.broadcast().await?;
    let state = send::Send {
        broadcast: broadcast.clone(),
        pusher,
        allowed: function.config.allowed,
    };
    let router = send::router(state, &token).merge(campaigns::router(broadcast, &token));
    lambda_http::run(edge::finish(router, &function.config.cors)).await
}
