//! One subscription as it is stored.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use webpush::{
    AllowList, Endpoint, EndpointError, KeyId, Keys, KeysError, PushService, Subscription,
};

use crate::dynamo::item::{Item, bytes, number};

/// A stored row. It can be older than today's rules, so [`Row::subscription`] checks it.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The endpoint, as the browser gave it. Never log it.
    pub endpoint: String,
    p256dh: Vec<u8>,
    auth: Vec<u8>,
    /// Topics that the subscriber asked for.
    pub tags: BTreeSet<String>,
    /// The subscriber's user id.
    pub user: Option<String>,
    /// An IANA time zone.
    pub timezone: Option<String>,
    /// The VAPID key that it was made with.
    pub vapid: Option<KeyId>,
    /// When the subscription ends, according to the browser.
    pub expires_at: Option<Timestamp>,
    /// When it was first stored.
    pub created_at: Option<Timestamp>,
    /// When the browser last wrote it, in microseconds since 1970. Conditional writes compare it and the keys.
    updated_at: i64,
}

/// Hides the endpoint and the keys, with which anyone can push to the browser, and the user id.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("service", &PushService::of_url(&self.endpoint).label())
            .field("tags", &self.tags.len())
            .field("vapid", &self.vapid)
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}

/// Why the service cannot push to a stored row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The endpoint breaks a rule, perhaps one that is newer than the row.
    #[error("endpoint {0}")]
    Endpoint(#[from] EndpointError),
    /// The keys are not valid.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl Row {
    /// Checks the row and returns its subscription.
    ///
    /// # Errors
    /// When the endpoint or the keys break a rule.
    pub fn subscription(&self, allowed: &AllowList) -> Result<Subscription, RowError> {
        Ok(Subscription {
            endpoint: Endpoint::parse(&self.endpoint, allowed)?,
            keys: Keys::new(&self.p256dh, &self.auth)?,
        })
    }

    /// The browser's public key and secret, as stored.
    pub fn raw_keys(&self) -> (&[u8], &[u8]) {
        (&self.p256dh, &self.auth)
    }

    /// Condition of a write: the browser has not written its row since it was read. DynamoDB reserves the word `auth`,
    /// so the expression has `#auth` instead.
    pub(crate) const UNCHANGED: &str =
        "updated_at = :updated_at AND p256dh = :p256dh AND #auth = :auth";

    /// The values that [`Row::UNCHANGED`] compares with.
    pub(crate) fn unchanged(&self) -> Item {
        Item::from([
            (":updated_at".to_owned(), number(self.updated_at)),
            (":p256dh".to_owned(), bytes(&self.p256dh)),
            (":auth".to_owned(), bytes(&self.auth)),
        ])
    }

    pub(crate) fn read(item: &Item) -> Self {
        let text = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).cloned();
        let bytes = |name: &str| {
            let blob = item.get(name).and_then(|v| v.as_b().ok());
            blob.map(|blob| blob.as_ref().to_vec()).unwrap_or_default()
        };
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        let tags = item.get("tags").and_then(|v| v.as_ss().ok());
        Self {
            endpoint: text("endpoint").unwrap_or_default(),
            p256dh: bytes("p256dh"),
            auth: bytes("auth"),
            tags: tags
                .map(|tags| tags.iter().cloned().collect())
                .unwrap_or_default(),
            user: text("user"),
            timezone: text("timezone"),
            vapid: text("vapid").map(KeyId::from),
            expires_at: number("expires_at").and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            created_at: number("created_at").and_then(|us| Timestamp::from_microsecond(us).ok()),
            updated_at: number("updated_at").unwrap_or_default(),
        }
    }
}

/// Some rows, and where the next ones begin.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Cursor>,
}

/// Where a page begins.
#[derive(Clone)]
pub struct Cursor(pub(crate) Item);

/// Hides the endpoint that the cursor holds.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::item::string;
    use crate::subscribers::SegmentPage;

    #[test]
    fn nothing_that_is_secret_is_shown() {
        let endpoint = "https://fcm.googleapis.com/fcm/send/secret-1";
        let row = Row::read(&Item::from([
            ("endpoint".to_owned(), string(endpoint)),
            ("p256dh".to_owned(), bytes(&[251; 65])),
            ("auth".to_owned(), bytes(&[252; 16])),
            ("user".to_owned(), string("ada")),
        ]));
        let page = Page {
            rows: vec![row.clone()],
            next: Some(Cursor(Item::from([(
                "endpoint".to_owned(),
                string(endpoint),
            )]))),
        };
        let segment = SegmentPage {
            rows: vec![row.clone()],
            scanned: 1,
            next: Some(endpoint.to_owned()),
        };
        for shown in [
            format!("{row:?}"),
            format!("{page:?}"),
            format!("{segment:?}"),
        ] {
            for secret in ["secret-1", "251", "252", "ada"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
        assert!(format!("{row:?}").contains("fcm"));
    }
}
