//! Where a message may be sent. The endpoint is the attacker's to choose, so it is parsed once into an
//! [`Endpoint`], which only exists for an address on the allow-list (RFC 8030, section 8.3).
//!
//! Hosts are matched by whole labels, never strings by pattern: `https://169.254.169.254/x.google.com/` is off the list.

use std::fmt;

use url::{Host, Url};

/// A DynamoDB partition key holds no more.
pub const MAX_ENDPOINT_LEN: usize = 2048;

/// The host that stands for a subscription which is dead for good.
const PERMANENTLY_REMOVED: &str = "permanently-removed.invalid";

/// The push services that browsers use. A host that begins with a dot stands for every name under it.
const KNOWN_HOSTS: [(&str, PushService); 5] = [
    ("fcm.googleapis.com", PushService::Fcm),
    ("jmt17.google.com", PushService::Fcm),
    (".push.services.mozilla.com", PushService::Mozilla),
    (".push.apple.com", PushService::Apple),
    (".notify.windows.com", PushService::Wns),
];

/// Who runs a push service, since each has its own words for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushService {
    /// Chrome, Opera, Samsung Internet, Edge on Android: Firebase Cloud Messaging.
    Fcm,
    /// Firefox: autopush.
    Mozilla,
    /// Safari.
    Apple,
    /// Edge on Windows: Windows Notification Service.
    Wns,
    /// A service that the operator has added.
    Other,
}

impl PushService {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Fcm,
        Self::Mozilla,
        Self::Apple,
        Self::Wns,
        Self::Other,
    ];

    /// Whose service an endpoint is at, for counting, whether or not it may be posted to.
    pub fn of_url(endpoint: &str) -> Self {
        let url = Url::parse(endpoint).ok();
        url.and_then(|url| known(url.domain()?))
            .unwrap_or(Self::Other)
    }

    /// A short lower-case name, for logs and figures.
    pub fn label(self) -> &'static str {
        match self {
            Self::Fcm => "fcm",
            Self::Mozilla => "mozilla",
            Self::Apple => "apple",
            Self::Wns => "wns",
            Self::Other => "other",
        }
    }
}

/// Scheme, host and port of an endpoint, as RFC 6454, section 6.2 writes them: the port only where it
/// is not the default one. This is what a VAPID token's `aud` holds.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(String);

impl Origin {
    /// Reads `https://host`, `http://host:port` and the like.
    ///
    /// # Errors
    /// For anything that has more than scheme, host and port, or another scheme.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let error = || NotAnOrigin(text.to_owned());
        let url = Url::parse(text).map_err(|_| error())?;
        let origin = url.origin().ascii_serialization();
        let bare = text.strip_suffix('/').unwrap_or(text) == origin;
        if !bare || !matches!(url.scheme(), "http" | "https") {
            return Err(error());
        }
        Ok(Self(origin))
    }

    /// As it stands in `aud`.
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

/// Which push services may be posted to: those of the browsers, and the operator's additions.
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

    /// The operator's additions.
    pub fn added(&self) -> &[Origin] {
        &self.added
    }

    /// The hosts of the browsers' services; one that begins with a dot stands for every name under it.
    pub fn known_hosts() -> impl Iterator<Item = &'static str> {
        KNOWN_HOSTS.iter().map(|(host, _)| *host)
    }

    /// Whose service `url` is, if it is on the list.
    fn admit(&self, url: &Url, origin: &Origin) -> Result<PushService, EndpointError> {
        if self.added.contains(origin) {
            // An operator may spell out a browser's service: its answers are read in its own words all the same.
            return Ok(url.domain().and_then(known).unwrap_or(PushService::Other));
        }
        if url.scheme() != "https" {
            return Err(EndpointError::NotHttps);
        }
        let Some(Host::Domain(host)) = url.host() else {
            return Err(EndpointError::IpAddress);
        };
        if host == PERMANENTLY_REMOVED {
            return Err(EndpointError::PermanentlyRemoved);
        }
        match known(host) {
            Some(_) if url.port().is_some() => Err(EndpointError::Port),
            Some(service) => Ok(service),
            None => Err(EndpointError::NotAllowed),
        }
    }
}

/// Whose service a host is, by whole labels: `a.push.apple.com`, and neither `apush.apple.com` nor `..push.apple.com`.
fn known(host: &str) -> Option<PushService> {
    let is = |known: &str| match known.strip_prefix('.') {
        Some(_) => host
            .strip_suffix(known)
            .is_some_and(|labels| labels.split('.').all(|label| !label.is_empty())),
        None => host == known,
    };
    KNOWN_HOSTS
        .iter()
        .find(|(known, _)| is(known))
        .map(|(_, service)| *service)
}

/// Why an address is not one to post to. Never holds the address: whoever has it can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Over [`MAX_ENDPOINT_LEN`].
    #[error("is longer than {MAX_ENDPOINT_LEN} bytes")]
    TooLong,
    /// Not an absolute URL in the form that browsers give it.
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
    /// An IP address that is not an addition of the operator's.
    #[error("must name a host, not an IP address")]
    IpAddress,
    /// Only an origin.
    #[error("has no path: it names a service, not a subscription")]
    NoPath,
    /// The sentinel for a dead subscription.
    #[error("stands for a subscription that was removed for good")]
    PermanentlyRemoved,
    /// Some other host.
    #[error(
        "is not at a known push service; an operator can add its origin with PUSHCAST_PUSH_ORIGINS"
    )]
    NotAllowed,
}

/// An address that may be posted to, exactly as the browser gave it.
///
/// It is a capability: whoever holds it can send. `Debug` and `Display` show the origin only;
/// [`Endpoint::as_str`] is the whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    origin: Origin,
    service: PushService,
}

impl Endpoint {
    /// Checks an address against the rules and the list.
    ///
    /// # Errors
    /// [`EndpointError`] says which rule.
    pub fn parse(text: &str, allowed: &AllowList) -> Result<Self, EndpointError> {
        if text.len() > MAX_ENDPOINT_LEN {
            return Err(EndpointError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| EndpointError::NotUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let origin = Origin(url.origin().ascii_serialization());
        let service = allowed.admit(&url, &origin)?;
        // The client that posts must see the host that was checked here, and one subscription must have one
        // spelling: so the text is the URL's own normal form (no tabs, no `:443`, no upper-case host).
        let path = text
            .strip_prefix(origin.as_str())
            .ok_or(EndpointError::NotUrl)?;
        let as_sent = text
            .parse::<http::Uri>()
            .map_err(|_| EndpointError::NotUrl)?;
        if url.as_str() != text && !(path.is_empty() && url.path() == "/") {
            return Err(EndpointError::NotUrl);
        }
        if as_sent.host() != url.host_str() || as_sent.port_u16() != url.port() {
            return Err(EndpointError::NotUrl);
        }
        if matches!(path, "" | "/") {
            return Err(EndpointError::NoPath);
        }
        Ok(Self {
            url: text.to_owned(),
            origin,
            service,
        })
    }

    /// The whole address. Never log it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whose service it is.
    pub fn service(&self) -> PushService {
        self.service
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.url.as_bytes());
        let hash = super::base64url::encode(&digest.as_ref()[..6]);
        write!(f, "{}/~{hash}", self.origin)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
