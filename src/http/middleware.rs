//! The outermost layer of every HTTP router: body limit, CORS, problem documents for 404 and 405, request log.

use axum::extract::rejection::BytesRejection;
use http::StatusCode;
use std::time::Instant;

use crate::cors::CorsOrigins;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::auth::ApiToken;
use crate::problem::Problem;

/// Maximum bytes of a request's body. The largest message is below 4 kB.
pub const MAX_BODY: usize = 16 * 1024;

/// Adds the outermost layer. Merge all routers before: the fallbacks are set on the merged router.
pub fn finish(router: Router, cors: &CorsOrigins) -> Router {
    router
        .fallback(async || Problem::no_such_path())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(cors.layer())
        .layer(from_fn(log))
}

/// Refuses requests without the API token, before the body is read.
pub fn require_token(router: Router, token: &ApiToken) -> Router {
    router.route_layer(from_fn_with_state(token.clone(), admit))
}

async fn admit(State(token): State<ApiToken>, request: Request, next: Next) -> Response {
    if token.admits(request.headers()) {
        return next.run(request).await;
    }
    Problem::unauthorized().into_response()
}

async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%method, path, status, ms, "request");
    response
}

/// A JSON body with any Content-Type: `navigator.sendBeacon` sends a string as `text/plain`.
pub struct Body(pub Value);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let read = async {
            let bytes = Bytes::from_request(request, state).await?;
            serde_json::from_slice(&bytes).map_err(|error| Problem::not_json(&error))
        };
        read.await.map(Self).map_err(IntoResponse::into_response)
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(MAX_BODY),
            status => Problem::new(
                status,
                "urn:pushcast:body-cut-off",
                "The body could not be read",
                rejection.body_text(),
            ),
        }
    }
}
