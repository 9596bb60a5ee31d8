//! One subscription as it is stored.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::dynamo::item::{Item, bytes};

use webpush::EndpointError;
use webpush::KeysError;
use webpush::{AllowList, Endpoint, KeyId, Keys, Subscription};

/// A row as it is stored. Rows can be older than the rules: [`Row::subscription`] checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// As the browser gave it. Never log it.
    pub endpoint: String,
    p256dh: Vec<u8>,
    auth: Vec<u8>,
    /// What the subscriber wants to hear of.
    pub tags: BTreeSet<String>,
    /// Who it is.
    pub user: Option<String>,
    /// An IANA time zone.
    pub timezone: Option<String>,
    /// The key it was made with.
    pub vapid: Option<KeyId>,
    /// When the browser says it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was first stored.
    pub created_at: Option<Timestamp>,
    /// When it was last written by its browser, in microseconds: with the keys, what a prune is conditional on.
    updated_at: i64,
}

/// Why a stored row cannot be sent to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Its endpoint breaks a rule of today.
    #[error("endpoint {0}")]
    Endpoint(#[from] EndpointError),
    /// Its keys are no keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl Row {
    /// The row as a subscription, checked.
    ///
    /// # Errors
    /// When it breaks a rule of today.
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

    /// Holds while the browser has not written its row since it was read. `auth` is a word that DynamoDB reserves:
    /// the expression wants `#auth` to stand for it.
    pub(crate) const UNCHANGED: &str =
        "updated_at = :updated_at AND p256dh = :p256dh AND #auth = :auth";

    /// The values that [`Row::UNCHANGED`] compares with.
    pub(crate) fn unchanged(&self) -> Item {
        let updated_at = AttributeValue::N(self.updated_at.to_string());
        Item::from([
            (":updated_at".to_owned(), updated_at),
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

/// Rows, and where to go on reading.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; nothing after the last.
    pub next: Option<Cursor>,
}

/// Where a page begins.
#[derive(Debug, Clone)]
pub struct Cursor(pub(crate) Item);
