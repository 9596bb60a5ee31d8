//! Where a message may be sent. The subscriber chooses the endpoint, and may be an attacker. So it is parsed once, into
//! an [`Endpoint`], and only an address on the [`AllowList`] becomes one (RFC 8030, section 8.3).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Uri;

use crate::base64url;
use crate::host::Authority;
use crate::origin::Origin;
use crate::push_service::{KNOWN_HOSTS, PushService};

/// Longest endpoint that is accepted, in bytes. (A partition key of DynamoDB holds as much.)
pub const MAX_ENDPOINT_LEN: usize = 2048;

/// Chromium's host for a subscription that was removed for good.
const PERMANENTLY_REMOVED: &str = "permanently-removed.invalid";

/// The push services that messages may be posted to: those of the browsers, and the origins that were added.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    added: Vec<Origin>,
}

impl AllowList {
    /// The browsers' services and `added`, which may name `http`, an IP address or a port.
    pub fn new(added: impl IntoIterator<Item = Origin>) -> Self {
        Self {
            added: added.into_iter().collect(),
        }
    }

    /// The origins that were added.
    pub fn added(&self) -> &[Origin] {
        &self.added
    }

    /// Hosts of the browsers' services. A host that begins with a dot stands for every name under it.
    pub fn known_hosts() -> impl Iterator<Item = &'static str> {
        KNOWN_HOSTS.iter().map(|(host, _)| *host)
    }

    /// The service at an origin, if the origin is on the list.
    fn admit(
        &self,
        origin: &Origin,
        scheme: &str,
        authority: Authority<'_>,
    ) -> Result<PushService, EndpointError> {
        let known = PushService::at_host(authority.host);
        if self.added.contains(origin) {
            // The origin of a browser's service may be added too: its answers are still read in its own words.
            return Ok(known.unwrap_or(PushService::Other));
        }
        if scheme != "https" {
            return Err(EndpointError::NotHttps);
        }
        if authority.is_address() {
            return Err(EndpointError::IpAddress);
        }
        if authority.host == PERMANENTLY_REMOVED {
            return Err(EndpointError::PermanentlyRemoved);
        }
        match known {
            Some(_) if authority.port.is_some() => Err(EndpointError::Port),
            Some(service) => Ok(service),
            None => Err(EndpointError::NotAllowed),
        }
    }
}

/// The rule that an address breaks. Never holds the address: whoever knows it can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Longer than [`MAX_ENDPOINT_LEN`].
    #[error("is longer than {MAX_ENDPOINT_LEN} bytes")]
    TooLong,
    /// Not an absolute URL in the normal form in which browsers write it.
    #[error("is not an absolute URL as a browser writes it")]
    NotUrl,
    /// Plain http, or another scheme.
    #[error("must begin with https://")]
    NotHttps,
    /// `user:password@host`.
    #[error("must not carry a user name or password")]
    UserInfo,
    /// `#..`.
    #[error("must not carry a fragment")]
    Fragment,
    /// A port on a browser's service.
    #[error("must not name a port")]
    Port,
    /// An IP address that was not added to the allow-list.
    #[error("must name a host, not an IP address")]
    IpAddress,
    /// Only an origin.
    #[error("has no path: it names a service, not a subscription")]
    NoPath,
    /// Chromium's placeholder for a removed subscription.
    #[error("stands for a subscription that was removed for good")]
    PermanentlyRemoved,
    /// Any other host.
    #[error("is not at a known push service, and its origin was not added to the allow-list")]
    NotAllowed,
}

/// An address that messages may be posted to, byte for byte as the browser gave it.
///
/// The value that was checked is the value that is posted to: a request takes [`Endpoint::uri`] as it is, and no second
/// parser reads the text. A clone shares the text.
///
/// An endpoint is a capability: whoever knows it can send. `Debug` and `Display` show its origin and a short hash;
/// [`Endpoint::as_str`] is the whole address.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `uri` is made of slices of this.
    text: Bytes,
    uri: Uri,
    origin: Origin,
    service: PushService,
}

impl Endpoint {
    /// Checks an address against the rules and the allow-list.
    ///
    /// ```
    /// use webpush::{AllowList, Endpoint, EndpointError, PushService};
    ///
    /// let endpoint = Endpoint::parse("https://web.push.apple.com/QGuQ", &AllowList::default())?;
    /// assert_eq!(endpoint.service(), PushService::Apple);
    ///
    /// let refused = Endpoint::parse("https://169.254.169.254/latest", &AllowList::default());
    /// assert_eq!(refused, Err(EndpointError::IpAddress));
    /// # Ok::<(), EndpointError>(())
    /// ```
    ///
    /// # Errors
    /// [`EndpointError`] names the rule that is broken.
    pub fn parse(text: &str, allowed: &AllowList) -> Result<Self, EndpointError> {
        if text.len() > MAX_ENDPOINT_LEN {
            return Err(EndpointError::TooLong);
        }
        let scheme = parse_scheme(text)?;
        // `Uri` would drop a fragment without a word.
        if text.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let uri = Uri::from_maybe_shared(bytes.clone()).map_err(|_| EndpointError::NotUrl)?;
        let authority = uri.authority().ok_or(EndpointError::NotUrl)?.as_str();
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (origin, path) = text.split_at(scheme.len() + "://".len() + authority.len());
        let origin = Origin::new(origin);
        let authority = Authority::parse(authority, scheme).ok_or(EndpointError::NotUrl)?;
        let service = allowed.admit(&origin, scheme, authority)?;
        if matches!(path, "" | "/") {
            return Err(EndpointError::NoPath);
        }
        let is_posted = uri.path_and_query().is_some_and(|posted| posted == path);
        if !path.starts_with('/') || !is_posted || !is_normal_path(&uri) {
            return Err(EndpointError::NotUrl);
        }
        Ok(Self {
            text: bytes,
            uri,
            origin,
            service,
        })
    }

    /// The whole address. Never log it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("an endpoint is made of a str")
    }

    /// The whole address, as a request takes it. Never log it.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The service at this address.
    pub fn service(&self) -> PushService {
        self.service
    }
}

/// The scheme of an absolute URL, if messages may be posted to it.
fn parse_scheme(text: &str) -> Result<&'static str, EndpointError> {
    for scheme in ["https", "http"] {
        let rest = text.strip_prefix(scheme);
        if rest.is_some_and(|rest| rest.starts_with("://")) {
            return Ok(scheme);
        }
    }
    let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    match text.split_once(':') {
        Some((scheme, _))
            if ["http", "https"]
                .iter()
                .any(|s| s.eq_ignore_ascii_case(scheme)) =>
        {
            Err(EndpointError::NotUrl)
        }
        // RFC 3986, section 3.1.
        Some((scheme, _))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(is_scheme_byte) =>
        {
            Err(EndpointError::NotHttps)
        }
        Some(_) | None => Err(EndpointError::NotUrl),
    }
}

/// Whether a browser would write path and query in this way: with nothing left to percent-encode (WHATWG URL, section
/// 1.3) and without `.` and `..`, in any spelling (section 4.4).
fn is_normal_path(uri: &Uri) -> bool {
    let is_path_byte = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>?`{}\\".contains(&byte);
    let is_query_byte = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>'".contains(&byte);
    let is_dots = |segment: &str| {
        let dots = segment.to_ascii_lowercase().replace("%2e", ".");
        dots == "." || dots == ".."
    };
    uri.path().bytes().all(is_path_byte)
        && uri.query().unwrap_or_default().bytes().all(is_query_byte)
        && !uri.path().split('/').any(is_dots)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = base64url::encode(&digest(&SHA256, &self.text).as_ref()[..6]);
        write!(f, "{}/~{hash}", self.origin)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
