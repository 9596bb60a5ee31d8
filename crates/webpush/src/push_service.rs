//! The browsers' push services, known by their host names.
//!
//! A new one needs its hosts here, its errors in `answer.rs`, and headers of its own, if it wants any, in `request.rs`.

use http::Uri;

use crate::host::is_label;

/// Hosts of the browsers' push services. A host that begins with a dot stands for every name under it.
pub(crate) const KNOWN_HOSTS: [(&str, PushService); 5] = [
    ("fcm.googleapis.com", PushService::Fcm),
    ("jmt17.google.com", PushService::Fcm),
    (".push.services.mozilla.com", PushService::Mozilla),
    (".push.apple.com", PushService::Apple),
    (".notify.windows.com", PushService::Wns),
];

/// The operator of a push service. Each of them reports errors in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PushService {
    /// Firebase Cloud Messaging: Chrome, Opera, Samsung Internet, Edge on Android.
    Fcm,
    /// Autopush: Firefox.
    Mozilla,
    /// Apple: Safari.
    Apple,
    /// Windows Notification Service: Edge on Windows.
    Wns,
    /// A service that was added to the [`AllowList`](crate::AllowList).
    Other,
}

impl PushService {
    /// All variants.
    pub const ALL: [Self; 5] = [
        Self::Fcm,
        Self::Mozilla,
        Self::Apple,
        Self::Wns,
        Self::Other,
    ];

    /// The service at a URL, whether or not messages may be posted there. For statistics; use
    /// [`Endpoint::service`](crate::Endpoint::service) where an endpoint was parsed.
    pub fn of_url(url: &str) -> Self {
        let uri = url.parse::<Uri>().ok();
        uri.and_then(|uri| Self::at_host(uri.host()?))
            .unwrap_or(Self::Other)
    }

    /// A short lower-case name, for logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Fcm => "fcm",
            Self::Mozilla => "mozilla",
            Self::Apple => "apple",
            Self::Wns => "wns",
            Self::Other => "other",
        }
    }

    /// The browsers' service at `host`, by whole labels: `a.push.apple.com`, but neither `apush.apple.com` nor
    /// `..push.apple.com`.
    pub(crate) fn at_host(host: &str) -> Option<Self> {
        let matches = |known: &str| match known.strip_prefix('.') {
            Some(_) => host
                .strip_suffix(known)
                .is_some_and(|labels| labels.split('.').all(is_service_label)),
            None => host == known,
        };
        KNOWN_HOSTS
            .iter()
            .find(|(known, _)| matches(known))
            .map(|(_, service)| *service)
    }
}

/// No push service has internationalized names, whose validity takes tables to decide (RFC 5891).
fn is_service_label(label: &str) -> bool {
    is_label(label) && !label.starts_with("xn--")
}
