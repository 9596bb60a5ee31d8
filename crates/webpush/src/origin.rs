//! An origin: scheme, host and port (RFC 6454).

use std::fmt;
use std::sync::Arc;

use crate::host::Authority;

/// Scheme, host and port of an endpoint, as RFC 6454, section 6.2 writes them: the port only where it
/// is not the scheme's default one. A VAPID token holds this in `aud` (RFC 8292, section 2).
///
/// A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(Arc<str>);

impl Origin {
    /// Reads `https://host`, `http://host:port` and the like. A single `/` may follow.
    ///
    /// ```
    /// use webpush::Origin;
    ///
    /// let origin = Origin::parse("https://push.example.org:8443")?;
    /// assert_eq!(origin.as_str(), "https://push.example.org:8443");
    /// assert!(Origin::parse("https://push.example.org:443").is_err(), "the default port is left out");
    /// # Ok::<(), webpush::NotAnOrigin>(())
    /// ```
    ///
    /// # Errors
    /// [`NotAnOrigin`] for a text with more than scheme, host and port, another scheme than `http` and `https`, or
    /// another spelling of the host than the canonical one (lower case, no default port, no trailing dot).
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let origin = text.strip_suffix('/').unwrap_or(text);
        let authority = match origin.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => Authority::parse(rest, scheme),
            Some(_) | None => None,
        };
        match authority {
            Some(authority) if authority.is_canonical() => Ok(Self::new(origin)),
            Some(_) | None => Err(NotAnOrigin(text.to_owned())),
        }
    }

    /// Takes a text that was checked.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, as `aud` holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin: write scheme, host and, if need be, port, such as https://push.example.org:8443"
)]
pub struct NotAnOrigin(String);
