//! Why a text is not an expression.

/// Characters of an expression.
pub(super) const MAX_LEN: usize = 256;

/// Why a text is not an expression. Reads on from its name: "expression must be ..".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// None of the three.
    #[error(
        "must be at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(minutes hours day-of-month month day-of-week year)"
    )]
    Form,
    /// Not a date and a time.
    #[error("holds `{0}` in at(..): must be a date and a time, such as at(2026-12-24T09:00:00)")]
    At(String),
    /// Not a number and a unit.
    #[error(
        "holds `{0}` in rate(..): must be a whole number from 1, and minutes, hours or days (of 1: minute, hour or day)"
    )]
    Rate(String),
    /// Not six fields.
    #[error(
        "has {0} fields in cron(..): must be six, minutes hours day-of-month month day-of-week year"
    )]
    Fields(usize),
    /// A field is wrong.
    #[error("has `{text}` in its {field}: {must}")]
    Field {
        /// `minutes`, `hours`, `day-of-month`, `month`, `day-of-week`, `year`.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What must stand there.
        must: String,
    },
    /// Neither of the fields for days is `?`, or both are.
    #[error("must have ? in its day-of-month or in its day-of-week, and not in both")]
    Days,
    /// Too long.
    #[error("has more than {MAX_LEN} characters")]
    Long,
}
