//! Why a text is not an expression.

/// Maximum characters of an expression.
pub(super) const MAX_LEN: usize = 256;

/// Why a text is not an expression. The error text follows the member's name: "expression must be ..".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Neither `at(..)`, `rate(..)` nor `cron(..)`.
    #[error(
        "must be at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(minutes hours day-of-month month day-of-week year)"
    )]
    Form,
    /// `at(..)` without a date and a time.
    #[error("holds `{0}` in at(..): must be a date and a time, such as at(2026-12-24T09:00:00)")]
    At(String),
    /// `rate(..)` without a number and a unit.
    #[error(
        "holds `{0}` in rate(..): must be a whole number from 1 and minutes, hours or days (after 1: minute, hour or day)"
    )]
    Rate(String),
    /// `cron(..)` without six fields.
    #[error(
        "has {0} fields in cron(..): must be six, minutes hours day-of-month month day-of-week year"
    )]
    Fields(usize),
    /// A field of `cron(..)` is wrong.
    #[error("has `{text}` in its {field}: {must}")]
    Field {
        /// `minutes`, `hours`, `day-of-month`, `month`, `day-of-week`, `year`.
        field: &'static str,
        /// Text of the field.
        text: String,
        /// The rule that it breaks.
        must: String,
    },
    /// Not exactly one of the fields `day-of-month` and `day-of-week` is `?`.
    #[error("must have ? in its day-of-month or in its day-of-week, and not in both")]
    Days,
    /// The expression is too long.
    #[error("has more than {MAX_LEN} characters")]
    Long,
}
