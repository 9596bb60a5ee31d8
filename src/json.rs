//! Reads JSON from outside member by member, so that an error names the member that is wrong.

use http::StatusCode;

use crate::problem::Problem;
use serde_json::{Map, Value};

/// Names the member that is wrong, and says why: `keys.auth`, `must be 16 bytes`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct Invalid {
    /// Path of the member, such as `keys.auth`.
    pub field: String,
    /// The rule that it breaks, such as `must be 16 bytes`. The error text is the path, then this.
    pub reason: String,
}

impl Invalid {
    /// The member `field` breaks the rule `reason`.
    pub fn new(field: impl Into<String>, reason: impl ToString) -> Self {
        Self {
            field: field.into(),
            reason: reason.to_string(),
        }
    }
}

/// A change of a stored value: the client leaves the member out, sends `null`, or sends a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Change<T> {
    /// The member is missing: the stored value stays.
    #[default]
    Keep,
    /// The member is `null`: the stored value is removed.
    Clear,
    /// The member has a value, which replaces the stored one.
    Set(T),
}

impl<T> Change<T> {
    /// The value of [`Change::Set`].
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }

    /// Checks the value of [`Change::Set`].
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

    /// Sets the `inherited` value if the member is missing.
    pub fn or(self, inherited: Option<T>) -> Self {
        match (self, inherited) {
            (Self::Keep, Some(value)) => Self::Set(value),
            (change, _) => change,
        }
    }
}

/// The members of an object, and the path of the object in the body.
#[derive(Clone, Copy)]
pub struct Members<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Members<'a> {
    /// The members of the whole body.
    ///
    /// # Errors
    /// When it is not an object.
    pub fn of(body: &'a Value) -> Result<Self, Invalid> {
        body.as_object()
            .map(|map| Self { map, path: "" })
            .ok_or_else(|| Invalid::new("body", "must be a JSON object"))
    }

    /// The members of `map`, which is the whole body.
    pub fn at_top(map: &'a Map<String, Value>) -> Self {
        Self { map, path: "" }
    }

    /// The required object `name`. The paths of its members begin with `path`.
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

    /// The member `name`. None when it is missing or `null`.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A required string.
    ///
    /// # Errors
    /// When it is missing, `null` or not a string.
    pub fn string(&self, name: &str) -> Result<&'a str, Invalid> {
        self.optional_string(name)?
            .ok_or_else(|| self.invalid(name, "is required"))
    }

    /// A string that may be missing or `null`.
    ///
    /// # Errors
    /// When it is not a string.
    pub fn optional_string(&self, name: &str) -> Result<Option<&'a str>, Invalid> {
        Ok(self
            .change(name, |value| value.as_str(), "must be a string")?
            .set()
            .copied())
    }

    /// A string to keep, clear or set.
    ///
    /// # Errors
    /// When it is neither a string nor `null`.
    pub fn string_change(&self, name: &str) -> Result<Change<&'a str>, Invalid> {
        self.change(name, |value| value.as_str(), "must be a string or null")
    }

    /// A value to keep, clear or set. `read` returns None when the value has the wrong type.
    ///
    /// # Errors
    /// The reason `wrong` when the value has the wrong type.
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
