//! What the demo page asks of its own server, beside the API. It has no API token, and needs none: all that it may do is to
//! send to a subscription of the demo's own user whose endpoint it knows. Served by `pushcast serve` alone.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Body as RequestBody;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};
use pushcast::auth::{ApiToken, UserSecret};
use pushcast::config;
use pushcast::http::middleware::Body;
use pushcast::json::Members;
use pushcast::problem::Problem;
use pushcast::store::Store;
use pushcast::subscribers::registration::endpoint_text;
use serde_json::json;
use tower_service::Service as _;

/// The user that visitors of the demo page subscribe as, so that one line of curl reaches them.
pub(crate) const USER: &str = "demo";

/// What it sends through.
pub(crate) struct Demo {
    store: Store,
    /// `POST /push/send`, as every backend has it.
    send: Router,
    authorization: HeaderValue,
}

impl Demo {
    pub(crate) fn new(store: Store, send: Router, token: &ApiToken) -> Result<Self> {
        let authorization = token.authorization();
        let authorization =
            authorization.with_context(|| format!("{} cannot be sent", config::TOKEN))?;
        Ok(Self {
            store,
            send,
            authorization,
        })
    }
}

/// `GET /demo-visitor` and `POST /demo/send`. With `has_subject` the page can say why Apple refuses.
pub(crate) fn router(demo: Demo, secret: &UserSecret, has_subject: bool) -> Router {
    let signature = secret.sign(USER);
    let visitor = json!({"user": USER, "userSignature": signature, "hasSubject": has_subject});
    Router::new()
        .route("/demo-visitor", get(async move || Json(visitor.clone())))
        .route("/demo/send", post(send))
        .with_state(Arc::new(demo))
}

/// `{"endpoint", "notification"}`: sent as the API would, and answered so.
async fn send(State(demo): State<Arc<Demo>>, Body(body): Body) -> Result<Response, Problem> {
    let members = Members::of(&body)?;
    let endpoint = endpoint_text(members, "endpoint")?;
    let endpoint = endpoint.ok_or_else(|| members.invalid("endpoint", "is required"))?;
    let row = demo.store.subscribers.get(endpoint).await?;
    // Another user's is as good as none: nobody learns which endpoints are subscribed.
    row.filter(|row| row.user.as_deref() == Some(USER))
        .ok_or_else(Problem::no_such_subscription)?;
    let message = json!({
        "to": {"endpoint": endpoint},
        "notification": members.get("notification"),
        // So that the worker hears of it in Safari too, and can tell the page.
        "mutable": true,
        "ttl": 60,
        "urgency": "high",
    });
    let request = Request::builder()
        .method(Method::POST)
        .uri("/push/send")
        .header(AUTHORIZATION, &demo.authorization)
        .body(RequestBody::from(message.to_string()))
        .expect("all of it is ours");
    let sent = demo.send.clone().call(request).await;
    Ok(sent.into_response())
}
