//! The error that names a wrong variable and the reason.

use std::fmt;

/// A variable that is missing or wrong. Never holds a secret's value.
#[derive(thiserror::Error)]
#[error("{variable} {reason}")]
pub struct ConfigError {
    variable: &'static str,
    reason: String,
}

impl fmt::Debug for ConfigError {
    /// A function that cannot start prints its error with `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ConfigError {
    pub(super) fn new(variable: &'static str, reason: impl ToString) -> Self {
        Self {
            variable,
            reason: reason.to_string(),
        }
    }

    pub(super) fn missing(variable: &'static str) -> Self {
        Self::new(variable, "is required")
    }
}
