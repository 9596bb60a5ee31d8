//! Schedules: a message that is sent to an audience at a time to come, or again and again.
//!
//! | file | owns |
//! |---|---|
//! | this one | a [`Schedule`], checked, and the room they are kept in |
//! | [`expression`] | when: `at(..)`, `rate(..)`, `cron(..)`, as EventBridge Scheduler reads them |
//! | `cron` | the fields of `cron(..)` |
//! | [`http`] | `/push/schedules` |
//! | [`event_bridge`] | in AWS: EventBridge Scheduler keeps them, and fires |
//! | [`local`] | on one machine: the ledger keeps them, and the server fires |

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

/// Characters of a name: what EventBridge Scheduler takes.
pub const MAX_NAME_LEN: usize = 64;

/// A schedule, checked.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// One of each in a room.
    pub name: String,
    /// When.
    pub expression: Expression,
    /// Whose clocks the expression is read by.
    pub timezone: TimeZone,
    /// What `POST /push/send` takes with `to.audience`.
    pub message: Value,
}

/// A schedule as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub expression: String,
    /// By whose clocks.
    pub timezone: String,
    /// What is sent.
    pub message: Value,
    /// When it fires next, if ever: one that is disabled does not.
    pub next: Option<Timestamp>,
}

/// Whether there was one of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// There was none.
    New,
    /// It took its place.
    Replaced,
}

/// Why the room did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SchedulesError {
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// EventBridge Scheduler takes no such schedule, in its own words.
    #[error("EventBridge Scheduler refuses it: {0}")]
    Refused(String),
    /// EventBridge Scheduler failed, or could not be reached.
    #[error("EventBridge Scheduler {operation} failed")]
    Scheduler {
        /// What was asked.
        operation: &'static str,
        /// Whether it may go well in a moment.
        transient: bool,
        /// The SDK's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Where schedules are kept: EventBridge Scheduler, or the ledger of the local server.
pub trait Schedules: Send + Sync + 'static {
    /// All of them, by name.
    fn list(
        &self,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Listed>, SchedulesError>> + Send;

    /// Keeps it, in the place of the one of its name.
    fn create(
        &self,
        schedule: &Schedule,
        now: Timestamp,
    ) -> impl Future<Output = Result<Stored, SchedulesError>> + Send;

    /// Removes it; false when there is none of this name.
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

    /// The first firing after `after`, of a schedule that was created at `anchor`.
    pub fn next_after(&self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        self.expression.next_after(after, &self.timezone, anchor)
    }

    /// The zone's name.
    pub fn zone_name(&self) -> &str {
        self.timezone.iana_name().unwrap_or("UTC")
    }
}

/// What each firing will send: told now what would be told then, when nobody listens.
fn check_message(message: Members<'_>) -> Result<(), Invalid> {
    let to = message.object("to", "message.to.")?;
    if to.get("endpoint").is_some() || to.get("user").is_some() {
        return Err(message.invalid("to", "must hold an audience, and nobody beside it"));
    }
    // A member of a member is named from the message on.
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

/// A zone of the IANA's list.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
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
                Problem::new(status, kind, title, detail.to_owned())
            }
        }
    }
}
