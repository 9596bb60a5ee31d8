//! Contact address of the sender (RFC 8292, section 2.1).

use std::str::FromStr;

use crate::host::ends_in_a_number;

/// Contact address of the sender, for the operators of push services: the claim `sub` (RFC 8292, section 2.1).
///
/// ```
/// use webpush::Subject;
/// use webpush::vapid::SubjectError;
///
/// let subject: Subject = "mailto:push@pushcast.dev".parse()?;
/// assert_eq!(subject.as_str(), "mailto:push@pushcast.dev");
/// assert_eq!("mailto:push@localhost".parse::<Subject>(), Err(SubjectError::Domain));
/// # Ok::<(), SubjectError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// The text is not a subject that every push service accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Neither a `mailto:` nor an `https:` URI.
    #[error(
        "must be mailto:you@your.domain or https://your.domain: Apple refuses a bare address, a space and <> with 403 BadJwtToken"
    )]
    Form,
    /// A host that is not in the public DNS.
    #[error(
        "must name a real domain: Apple refuses localhost, .local, .invalid, example.com and IP addresses with 403 BadJwtToken"
    )]
    Domain,
}

impl Subject {
    /// The text, as the token holds it.
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
        let host = host_of(text).ok_or(SubjectError::Form)?;
        if host.starts_with('[') && host.ends_with(']') {
            return Err(SubjectError::Domain);
        }
        // Internationalized domains too.
        let is_host_char = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if host.is_empty() || !host.chars().all(is_host_char) {
            return Err(SubjectError::Form);
        }
        if is_public(&host.to_lowercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SubjectError::Domain)
        }
    }
}

/// The host of `mailto:user@host` or `https://host:port/path`.
fn host_of(text: &str) -> Option<&str> {
    if let Some(address) = text.strip_prefix("mailto:") {
        let (user, host) = address.rsplit_once('@')?;
        return (!user.is_empty() && !user.contains('@')).then_some(host);
    }
    let rest = text.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        Some(_) | None => Some(authority),
    }
}

/// Whether a domain may be in the public DNS (RFC 2606, RFC 6761, RFC 6762).
fn is_public(domain: &str) -> bool {
    if ends_in_a_number(domain) {
        return false;
    }
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
