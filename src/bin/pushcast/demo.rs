//! The two paths that the demo page calls beside the API. The page has no API token and needs none: it may only send to
//! a subscription of the demo user whose endpoint it knows. Only `pushcast serve` has these paths.

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

/// Visitors of the demo page subscribe as this user, so that one line of curl reaches them.
pub(crate) const USER: &str = "demo";

/// The state of the demo's paths.
pub(crate) struct Demo {
    store: Store,
    /// The router of `POST /push/send`.
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

/// `GET /demo-visitor` and `POST /demo/send`. `has_subject` lets the page explain why Apple refuses a push.
pub(crate) fn router(demo: Demo, secret: &UserSecret, has_subject: bool) -> Router {
    let signature = secret.sign(USER);
    let visitor = json!({"user": USER, "userSignature": signature, "hasSubject": has_subject});
    Router::new()
        .route("/demo-visitor", get(async move || Json(visitor.clone())))
        .route("/demo/send", post(send))
        .with_state(Arc::new(demo))
}

/// Takes `{"endpoint", "notification"}`, sends it through the API, and returns the API's answer.
async fn send(State(demo): State<Arc<Demo>>, Body(body): Body) -> Result<Response, Problem> {
    let members = Members::of(&body)?;
    let endpoint = endpoint_text(members, "endpoint")?;
    let endpoint = endpoint.ok_or_else(|| members.invalid("endpoint", "is required"))?;
    let row = demo.store.subscribers.get(endpoint).await?;
    // Another user's subscription gets the same answer as none, so that the page cannot find out subscribed endpoints.
    row.filter(|row| row.user.as_deref() == Some(USER))
        .ok_or_else(Problem::no_such_subscription)?;
    let message = json!({
        "to": {"endpoint": endpoint},
        "notification": members.get("notification"),
        // In Safari too, the service worker then receives the push and can tell the page.
        "mutable": true,
        "ttl": 60,
        "urgency": "high",
    });
    let request = Request::builder()
        .method(Method::POST)
        .uri("/push/send")
        .header(AUTHORIZATION, &demo.authorization)
        .body(RequestBody::from(message.to_string()))
        .expect("every part of the request is valid");
    let sent = demo.send.clone().call(request).await;
    Ok(sent.into_response())
}
