//! Whom a push service may write to about the messages (RFC 8292, section 2.1).

use std::str::FromStr;

use url::{Host, Url};

/// Whom a push service may write to about the messages (`sub`; RFC 8292, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// Why a subject is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Not one of the two forms.
    #[error(
        "must be mailto:you@your.domain or https://your.domain: Apple refuses a bare address, a space and <> with 403 BadJwtToken"
    )]
    Form,
    /// A name that no push service can reach.
    #[error(
        "must name a real domain: Apple refuses localhost, .local, .invalid, example.com and IP addresses with 403 BadJwtToken"
    )]
    Domain,
}

impl Subject {
    /// As it stands in the token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        if text.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',')) {
            return Err(SubjectError::Form);
        }
        let host = if let Some(address) = text.strip_prefix("mailto:") {
            let (user, host) = address.rsplit_once('@').ok_or(SubjectError::Form)?;
            if user.is_empty() || user.contains('@') {
                return Err(SubjectError::Form);
            }
            Host::parse(host).map_err(|_| SubjectError::Form)?
        } else if text.starts_with("https://") {
            let url = Url::parse(text).map_err(|_| SubjectError::Form)?;
            url.host().ok_or(SubjectError::Form)?.to_owned()
        } else {
            return Err(SubjectError::Form);
        };
        match host {
            Host::Domain(domain) if is_public(&domain) => Ok(Self(text.to_owned())),
            Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => Err(SubjectError::Domain),
        }
    }
}

/// Whether a name can belong to anyone (RFC 2606, RFC 6761, RFC 6762).
fn is_public(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    let (rest, top) = domain.rsplit_once('.').unwrap_or(("", domain));
    let second = rest.rsplit('.').next().unwrap_or_default();
    let reserved = matches!(
        top,
        "localhost" | "local" | "invalid" | "test" | "example" | "internal"
    );
    let documentation = second == "example" && matches!(top, "com" | "net" | "org");
    !second.is_empty() && !reserved && !documentation
}
