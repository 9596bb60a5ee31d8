//! The outermost layer of every HTTP router: body limit, CORS, problems instead of bare errors, one log line a request.

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::Value;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::ApiToken;
use crate::http::problem::Problem;

/// Bytes of a request's body that are read. The largest message is below 4 kB.
pub const MAX_BODY: usize = 16 * 1024;

/// The pages that may call from a browser.
#[derive(Debug, Clone, Default)]
pub struct CorsOrigins(Vec<String>);

impl CorsOrigins {
    /// Origins such as `https://www.example.org`, or `*` for every page.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse<'a>(
        origins: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, webpush::NotAnOrigin> {
        let origin = |text: &str| match text {
            "*" => Ok("*".to_owned()),
            text => webpush::Origin::parse(text).map(|origin| origin.as_str().to_owned()),
        };
        origins
            .into_iter()
            .map(origin)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// These and those of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn layer(&self) -> CorsLayer {
        let origins = if self.0.iter().any(|origin| origin == "*") {
            AllowOrigin::any()
        } else {
            AllowOrigin::list(
                self.0
                    .iter()
                    .filter_map(|origin| HeaderValue::from_str(origin).ok()),
            )
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([AUTHORIZATION, CONTENT_TYPE])
            .max_age(std::time::Duration::from_secs(24 * 60 * 60))
    }
}

/// Finishes a router. Merge first: fallbacks are its own.
pub fn finish(router: Router, cors: &CorsOrigins) -> Router {
    router
        .fallback(async || Problem::no_such_path())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(cors.layer())
        .layer(from_fn(log))
}

/// Lets through only who carries the token, before anything of the request is read.
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

/// A body of JSON, whatever its Content-Type says: `sendBeacon` cannot name one.
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
