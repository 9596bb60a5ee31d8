//! Schedules: the service sends a message to an audience at a later time, once or repeatedly.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`Schedule`], a checked request, and [`Schedules`], the store |
//! | [`expression`] | the times: `at(..)`, `rate(..)`, `cron(..)`, read as EventBridge Scheduler reads them |
//! | `cron` | the fields of `cron(..)` |
//! | `expression_error` | why a text is not an expression |
//! | [`event_bridge`] | in AWS: EventBridge Scheduler stores and fires schedules |
//! | [`local`] | on one machine: the ledger stores schedules, and the server fires them |

mod cron;
#[cfg(feature = "aws")]
pub mod event_bridge;
pub mod expression;
mod expression_error;
pub mod local;

use crate::problem::Problem;
use http::StatusCode;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

#[cfg(feature = "aws")]
pub use event_bridge::EventBridgeSchedules;
pub use expression::Expression;
pub use expression_error::ExpressionError;
pub use local::LocalSchedules;

use crate::campaign::request::CampaignRequest;
use crate::dynamo::StoreError;
use crate::json::{Invalid, Members};

/// Maximum characters of a name (EventBridge Scheduler's limit).
pub const MAX_NAME_LEN: usize = 64;

/// A schedule that was checked.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name, unique within the store.
    pub name: String,
    /// When it fires.
    pub expression: Expression,
    /// Time zone of the expression.
    pub timezone: TimeZone,
    /// The message, as the body of `POST /push/send` with `to.audience`.
    pub message: Value,
}

/// A schedule as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub expression: String,
    /// Time zone of the expression.
    pub timezone: String,
    /// The message, as in [`Schedule::message`].
    pub message: Value,
    /// When it fires next. None when it is over or disabled.
    pub next: Option<Timestamp>,
}

/// Whether a schedule was created or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// No schedule had the name.
    New,
    /// It has replaced the schedule of the same name.
    Replaced,
}

/// Why schedules could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SchedulesError {
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// EventBridge Scheduler refuses the schedule. The text is its own.
    #[error("EventBridge Scheduler refuses the schedule: {0}")]
    Refused(String),
    /// EventBridge Scheduler failed, or could not be reached.
    #[error("EventBridge Scheduler {operation} failed")]
    Scheduler {
        /// The API operation, such as `CreateSchedule`.
        operation: &'static str,
        /// Whether a repeated request may succeed.
        transient: bool,
        /// The SDK's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The store of schedules: EventBridge Scheduler, or the ledger of the local server.
pub trait Schedules: Send + Sync + 'static {
    /// All schedules, sorted by name.
    fn list(
        &self,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Listed>, SchedulesError>> + Send;

    /// Stores a schedule, and replaces the one of the same name.
    fn create(
        &self,
        schedule: &Schedule,
        now: Timestamp,
    ) -> impl Future<Output = Result<Stored, SchedulesError>> + Send;

    /// Removes a schedule. False when none has this name.
    fn delete(&self, name: &str) -> impl Future<Output = Result<bool, SchedulesError>> + Send;
}

impl Schedule {
    /// Reads the body of `POST /push/schedules`.
    ///
    /// # Errors
    /// [`Invalid`] names the first member that is wrong.
    pub fn read(members: Members<'_>) -> Result<Self, Invalid> {
        let name = members.string("name")?;
        if !is_name(name) {
            let reason =
                format!("must be 1 to {MAX_NAME_LEN} characters of A-Z, a-z, 0-9, _ . and -");
            return Err(members.invalid("name", reason));
        }
        let expression = members.string("expression")?.parse();
        let expression = expression.map_err(|error| members.invalid("expression", error))?;
        let timezone = members.optional_string("timezone")?.unwrap_or("UTC");
        let timezone = zone(timezone).ok_or_else(|| {
            members.invalid(
                "timezone",
                "must be an IANA time zone such as Europe/Berlin",
            )
        })?;
        check_message(members.object("message", "message.")?)?;
        let message = members.get("message").cloned().unwrap_or_default();
        Ok(Self {
            name: name.to_owned(),
            expression,
            timezone,
            message,
        })
    }

    /// The first firing after `after`. `anchor` is when the schedule was created.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        self.expression.next_after(after, &self.timezone, anchor)
    }

    /// IANA name of the time zone.
    pub fn zone_name(&self) -> &str {
        self.timezone.iana_name().unwrap_or("UTC")
    }
}

/// Checks the message of a schedule now: at a firing, nobody would read the error.
fn check_message(message: Members<'_>) -> Result<(), Invalid> {
    let to = message.object("to", "message.to.")?;
    if to.get("endpoint").is_some() || to.get("user").is_some() {
        return Err(message.invalid("to", "must hold an audience, and no endpoint or user"));
    }
    // Some errors name their member without the leading `message.`.
    let request = CampaignRequest::read(message).map_err(|mut invalid| {
        if !invalid.field.starts_with("message.") {
            invalid.field = format!("message.{}", invalid.field);
        }
        invalid
    })?;
    if request.id.is_some() {
        let reason = "must be left out: each firing is a campaign of its own";
        return Err(message.invalid("id", reason));
    }
    Ok(())
}

pub(crate) fn is_name(name: &str) -> bool {
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=MAX_NAME_LEN).contains(&name.len()) && name.bytes().all(alphabet)
}

/// The time zone with this IANA name.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
}

impl From<SchedulesError> for Problem {
    /// The cause goes to the log only: it may name IAM roles and functions.
    fn from(error: SchedulesError) -> Self {
        match error {
            SchedulesError::Store(error) => error.into(),
            SchedulesError::Refused(why) => {
                let reason = format!("is refused by EventBridge Scheduler: {why}");
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
                Problem::new(status, kind, title, detail.to_owned())
            }
        }
    }
}
