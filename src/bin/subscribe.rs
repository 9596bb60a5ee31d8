//! The Lambda function `subscribe`: API Gateway -> [`subscribe`].

use pushcast::clock::Clock;
use pushcast::functions::Function;
use pushcast::http::{middleware, subscribe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let mut function = Function::start().await?;
    let subject = function.config.vapid_subject.as_ref();
    let state = subscribe::Subscribe {
        store: function.store().await?,
        keyring: function.secrets.take_keys(subject)?.keyring,
        user_secret: function.secrets.require_user_secret()?,
        allowed: function.config.allowed,
        clock: Clock::system(),
    };
    let router = subscribe::router(state);
    lambda_http::run(middleware::finish(router, &function.config.cors)).await
}
