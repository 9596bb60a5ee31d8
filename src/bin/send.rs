//! The Lambda function `send`: API Gateway -> [`pushcast::send`], [`campaigns`], [`schedule`], [`stats`].

use pushcast::clock::Clock;
use pushcast::function::Function;
use pushcast::{campaigns, edge, pages, schedule, send, stats};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let mut function = Function::start().await?;
    let pusher = function.pusher()?;
    let token = &function.config.require_token()?;
    let (broadcast, schedules) = (function.broadcast().await?, function.schedules().await?);
    let state = send::Send {
        broadcast: broadcast.clone(),
        pusher,
        allowed: function.config.allowed,
    };
    let store = broadcast.store.clone();
    let router = send::router(state, token)
        .merge(stats::router(store, Clock::system(), token))
        .merge(campaigns::router(broadcast, token))
        .merge(schedule::http::router(schedules, Clock::system(), token))
        .merge(pages::console());
    lambda_http::run(edge::finish(router, &function.config.cors)).await
}
