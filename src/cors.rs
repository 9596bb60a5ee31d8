//! The origins whose pages may call the API from a browser (CORS).

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};
use webpush::{NotAnOrigin, Origin};

/// The origins whose pages may call the API from a browser.
#[derive(Debug, Clone, Default)]
pub struct CorsOrigins(Vec<String>);

impl CorsOrigins {
    /// Origins such as `https://www.example.org`, or `*` for every page.
    ///
    /// # Errors
    /// When a text is neither an origin nor `*`.
    pub fn parse<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAnOrigin> {
        let origin = |text: &str| match text {
            "*" => Ok("*".to_owned()),
            text => Origin::parse(text).map(|origin| origin.as_str().to_owned()),
        };
        origins
            .into_iter()
            .map(origin)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Adds the origins of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Answers preflight requests, and adds the CORS headers to answers, for these origins.
    pub(crate) fn layer(&self) -> CorsLayer {
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
