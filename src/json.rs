//! JSON that others wrote, read member by member, so that an error names the member that is wrong.

use http::StatusCode;

use crate::problem::Problem;
use serde_json::{Map, Value};

/// Which member is wrong, and why: `keys.auth`, `must be 16 bytes`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct Invalid {
    /// Path of the member.
    pub field: String,
    /// What it must be.
    pub reason: String,
}

impl Invalid {
    /// `field` must be otherwise, for `reason`.
    pub fn new(field: impl Into<String>, reason: impl ToString) -> Self {
        Self {
            field: field.into(),
            reason: reason.to_string(),
        }
    }
}

/// A member that may be left out (keep what is there), `null` (clear it) or given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// Left out.
    #[default]
    Keep,
    /// `null`.
    Clear,
    /// Given.
    Set(T),
}

impl<T> Change<T> {
    /// What was given, if it was.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// Checks what was given.
    ///
    /// # Errors
    /// Those of `check`.
    pub fn check<U, E>(self, check: impl FnOnce(T) -> Result<U, E>) -> Result<Change<U>, E> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(check(value)?),
        })
    }

    /// What was left out is taken from `inherited`.
    pub fn or(self, inherited: Option<T>) -> Self {
        match (self, inherited) {
            (Self::Keep, Some(value)) => Self::Set(value),
            (change, _) => change,
        }
    }
}

/// The members of an object, and where it stands.
#[derive(Clone, Copy)]
pub struct Members<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Members<'a> {
    /// The body itself.
    ///
    /// # Errors
    /// When it is not an object.
    pub fn of(body: &'a Value) -> Result<Self, Invalid> {
        body.as_object()
            .map(|map| Self { map, path: "" })
            .ok_or_else(|| Invalid::new("body", "must be a JSON object"))
    }

    /// The members of an object that is at hand.
    pub fn at_top(map: &'a Map<String, Value>) -> Self {
        Self { map, path: "" }
    }

    /// The object under `name`, which must be there; its members' paths begin with `path`.
    ///
    /// # Errors
    /// When it is missing or not an object.
    pub fn object(&self, name: &str, path: &'a str) -> Result<Self, Invalid> {
        match self.get(name) {
            Some(Value::Object(map)) => Ok(Self { map, path }),
            Some(_) => Err(self.invalid(name, "must be an object")),
            None => Err(self.invalid(name, "is required")),
        }
    }

    /// The member, unless it is missing or `null`.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// When it is missing or not a string.
    pub fn string(&self, name: &str) -> Result<&'a str, Invalid> {
        self.optional_string(name)?
            .ok_or_else(|| self.invalid(name, "is required"))
    }

    /// A string that may be missing or `null`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn optional_string(&self, name: &str) -> Result<Option<&'a str>, Invalid> {
        Ok(self
            .change(name, |value| value.as_str(), "must be a string")?
            .set()
            .copied())
    }

    /// A string that can be kept, cleared or set.
    ///
    /// # Errors
    /// When it is something else than a string.
    pub fn string_change(&self, name: &str) -> Result<Change<&'a str>, Invalid> {
        self.change(name, |value| value.as_str(), "must be a string or null")
    }

    /// A value that can be kept, cleared or set, of the type that `read` takes.
    ///
    /// # Errors
    /// `wrong`, when it is of another type.
    pub fn change<T>(
        &self,
        name: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
        wrong: &str,
    ) -> Result<Change<T>, Invalid> {
        match self.map.get(name) {
            None => Ok(Change::Keep),
            Some(Value::Null) => Ok(Change::Clear),
            Some(value) => read(value)
                .map(Change::Set)
                .ok_or_else(|| self.invalid(name, wrong)),
        }
    }

    /// An error that names a member of this object.
    pub fn invalid(&self, name: &str, reason: impl ToString) -> Invalid {
        Invalid::new(format!("{}{name}", self.path), reason)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let detail = invalid.to_string();
        Problem::new(
            StatusCode::BAD_REQUEST,
            "urn:pushcast:invalid",
            "A member of the request is wrong",
            detail,
        )
        .with_field(invalid.field)
    }
}
