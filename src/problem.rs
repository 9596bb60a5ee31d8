//! Errors as HTTP answers: `application/problem+json` (RFC 9457). Each error type converts itself to a [`Problem`].

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Why a request failed. Holds no key, no token and no endpoint of another subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Problem {
    /// `kind` is a URN for programs; `detail` is for people.
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: String,
    ) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail,
            field: None,
        }
    }

    /// 400: the body is not JSON.
    pub fn not_json(error: &serde_json::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "urn:pushcast:not-json",
            "The body is not JSON",
            error.to_string(),
        )
    }

    /// 401: the API token is missing or wrong.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "urn:pushcast:unauthorized",
            "The API token is missing or wrong",
            "Send the header Authorization: Bearer <API token>.".to_owned(),
        )
    }

    /// 403: the signature of the user id is missing or wrong.
    pub fn user_not_proven() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "urn:pushcast:user-not-proven",
            "The user is not proven",
            "userSignature must be the hex HMAC-SHA256 of user under the user secret.".to_owned(),
        )
        .with_field("userSignature")
    }

    /// 404: unknown path.
    pub fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-path",
            "There is no such path",
            "See openapi.yaml for the paths.".to_owned(),
        )
    }

    /// 404: no subscription has this endpoint.
    pub fn no_such_subscription() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-subscription",
            "There is no subscription with this endpoint",
            "It was never subscribed here, or has been unsubscribed or pruned.".to_owned(),
        )
        .with_field("to.endpoint")
    }

    /// 404: no schedule has this name.
    pub fn no_such_schedule() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-schedule",
            "There is no schedule with this name",
            "It was never created here, has been deleted, or was to fire once and has fired."
                .to_owned(),
        )
    }

    /// 404: no campaign has this id.
    pub fn no_such_campaign() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-campaign",
            "There is no campaign with this id",
            "GET /push/campaigns lists the campaigns.".to_owned(),
        )
    }

    /// 405: the path does not take the method.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "urn:pushcast:method-not-allowed",
            "This path does not take this method",
            "See openapi.yaml for the methods that it takes.".to_owned(),
        )
    }

    /// 413: the body has more than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "urn:pushcast:body-too-large",
            "The body is too large",
            format!("At most {limit} bytes are read."),
        )
    }

    /// Adds the name of the member that is wrong.
    pub(crate) fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
