//! What went wrong, as HTTP: `application/problem+json` (RFC 9457). Made once, at the edge.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::broadcast::BroadcastError;
use crate::dynamo::StoreError;
use crate::json::Invalid;
use crate::schedule::SchedulesError;

/// Why a request was not done. Holds no key, no token and nobody else's endpoint.
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
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
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

    /// 401: no token, or another one.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "urn:pushcast:unauthorized",
            "The API token is missing or wrong",
            "Send the header Authorization: Bearer <API token>.".to_owned(),
        )
    }

    /// 403: a user id without proof.
    pub fn user_not_proven() -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            "urn:pushcast:user-not-proven",
            "The user is not proven",
            "userSignature must be the hex HMAC-SHA256 of user under the user secret.".to_owned(),
        );
        problem.field = Some("userSignature".to_owned());
        problem
    }

    /// 404: no such path.
    pub fn no_such_path() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-path",
            "There is nothing here",
            "See openapi.yaml for the paths there are.".to_owned(),
        )
    }

    /// 404: the endpoint named is not subscribed.
    pub fn no_such_subscription() -> Self {
        let mut problem = Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-subscription",
            "There is no subscription with this endpoint",
            "It was never subscribed here, or has been unsubscribed or pruned.".to_owned(),
        );
        problem.field = Some("to.endpoint".to_owned());
        problem
    }

    /// 404: no schedule of the name.
    pub fn no_such_schedule() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-schedule",
            "There is no schedule of this name",
            "It was never created here, has been deleted, or has fired for the only time."
                .to_owned(),
        )
    }

    /// 404: no campaign has this id.
    pub fn no_such_campaign() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "urn:pushcast:no-such-campaign",
            "There is no campaign with this id",
            "GET /push/campaigns lists those there are.".to_owned(),
        )
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "urn:pushcast:method-not-allowed",
            "This path does not take this method",
            "See openapi.yaml for the methods it takes.".to_owned(),
        )
    }

    /// 413.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "urn:pushcast:body-too-large",
            "The body is too large",
            format!("At most {limit} bytes are read."),
        )
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let detail = invalid.to_string();
        let mut problem = Self::new(
            StatusCode::BAD_REQUEST,
            "urn:pushcast:invalid",
            "A member of the request is wrong",
            detail,
        );
        problem.field = Some(invalid.field);
        problem
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::body_too_large(crate::http::middleware::MAX_BODY)
            }
            status => Self::new(
                status,
                "urn:pushcast:body-cut-off",
                "The body could not be read",
                rejection.body_text(),
            ),
        }
    }
}

impl From<StoreError> for Problem {
    /// The cause goes to the log: it may name tables and roles.
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        if error.is_transient() {
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "urn:pushcast:store-busy",
                "The database is busy",
                "Nothing was changed in part. Try again in a moment.".to_owned(),
            );
        }
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "urn:pushcast:store-failed",
            "The database failed",
            "The cause is in the server's log.".to_owned(),
        )
    }
}

impl From<SchedulesError> for Problem {
    /// The cause goes to the log: it may name roles and functions.
    fn from(error: SchedulesError) -> Self {
        match error {
            SchedulesError::Store(error) => error.into(),
            SchedulesError::Refused(why) => {
                let reason = format!("is not taken by EventBridge Scheduler: {why}");
                Invalid::new("body", reason).into()
            }
            SchedulesError::Scheduler { transient, .. } => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "EventBridge Scheduler failed");
                let (status, kind, title, detail) = if transient {
                    (
                        StatusCode::SERVICE_UNAVAILABLE,
                        "urn:pushcast:scheduler-busy",
                        "The scheduler is busy",
                        "Try again in a moment.",
                    )
                } else {
                    (
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "urn:pushcast:scheduler-failed",
                        "The scheduler failed",
                        "The cause is in the server's log.",
                    )
                };
                Self::new(status, kind, title, detail.to_owned())
            }
        }
    }
}

impl From<BroadcastError> for Problem {
    fn from(error: BroadcastError) -> Self {
        match error {
            BroadcastError::Invalid(invalid) => invalid.into(),
            BroadcastError::Store(error) => error.into(),
            BroadcastError::Unknown => Self::no_such_campaign(),
            BroadcastError::TooLate { .. } => Self::new(
                StatusCode::CONFLICT,
                "urn:pushcast:too-late",
                "The campaign is over",
                format!("{error}."),
            ),
            BroadcastError::Queue(_) | BroadcastError::Announce(_) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a campaign is held up"
                );
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "urn:pushcast:queue-failed",
                    "The queue or the event bus failed",
                    "The campaign is written down. The same request again goes on with it."
                        .to_owned(),
                )
            }
        }
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
