//! The Lambda function `send`: API Gateway -> [`send`], [`campaigns`], [`schedules`], [`stats`] and the console.

use pushcast::clock::Clock;
use pushcast::functions::Function;
use pushcast::http::{assets, campaigns, middleware, schedules, send, stats};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let mut function = Function::start().await?;
    let pusher = function.pusher()?;
    let token = &function.secrets.require_token()?;
    let (broadcast, store) = (function.broadcast().await?, function.schedules().await?);
    let (subscribers, allowed) = (broadcast.store.clone(), function.config.allowed);
    let state = send::Send {
        broadcast: broadcast.clone(),
        pusher,
        allowed,
    };
    let router = send::router(state, token)
        .merge(stats::router(subscribers, Clock::system(), token))
        .merge(campaigns::router(broadcast, token))
        .merge(schedules::router(store, Clock::system(), token))
        .merge(assets::console());
    lambda_http::run(middleware::finish(router, &function.config.cors)).await
}
