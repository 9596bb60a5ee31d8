//! The results of a campaign, counted by push service. The counts add up to all subscribers that workers have read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use webpush::PushService;

/// The result that one subscriber is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tally {
    /// The push service accepted the message.
    Accepted,
    /// The subscription has ended.
    Gone,
    /// The subscription was made with a key that is not among ours.
    Mismatched,
    /// The push service accepts no message of this size.
    TooLarge,
    /// The push service refuses the message, or the stored row is not valid.
    Refused,
    /// The worker gave up after the last attempt, or because the TTL had expired.
    Failed,
    /// A retry part holds the subscriber's endpoint.
    Retrying,
}

impl Tally {
    /// All of them, in the order in which the API shows them.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Gone,
        Self::Mismatched,
        Self::TooLarge,
        Self::Refused,
        Self::Failed,
        Self::Retrying,
    ];

    /// One lower-case word, for the API and the ledger.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Gone => "gone",
            Self::Mismatched => "mismatched",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Retrying => "retrying",
        }
    }
}

/// Counts, or changes of counts, by push service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<(&'static str, Tally), i64>);

impl Figures {
    /// Counts `n` more.
    pub fn add(&mut self, service: PushService, tally: Tally, n: i64) {
        *self.0.entry((service.label(), tally)).or_default() += n;
    }

    /// Subtracts `other`.
    pub fn subtract(&mut self, other: &Self) {
        for (key, n) in &other.0 {
            *self.0.entry(*key).or_default() -= n;
        }
    }

    /// The count of `tally`, over all push services.
    pub fn of(&self, tally: Tally) -> i64 {
        let counted = self.0.iter().filter(|((_, other), _)| *other == tally);
        counted.map(|(_, n)| n).sum()
    }

    /// The sum of all counts.
    pub fn total(&self) -> i64 {
        self.0.values().sum()
    }

    /// The nonzero counts as attributes of a ledger item, named `<service>.<tally>`.
    pub fn entries(&self) -> impl Iterator<Item = (String, i64)> {
        let changed = self.0.iter().filter(|(_, n)| **n != 0);
        changed.map(|((service, tally), n)| (format!("{service}.{}", tally.label()), *n))
    }

    /// Adds an attribute that [`Figures::entries`] wrote. Ignores other names.
    pub fn read(&mut self, name: &str, n: i64) {
        let Some((service, tally)) = name.split_once('.') else {
            return;
        };
        let service = PushService::ALL.into_iter().find(|s| s.label() == service);
        let tally = Tally::ALL.into_iter().find(|t| t.label() == tally);
        if let (Some(service), Some(tally)) = (service, tally) {
            self.add(service, tally, n);
        }
    }

    /// `{"accepted": n, ..}`, over all push services.
    pub fn counts(&self) -> Value {
        let count = |tally: Tally| (tally.label().to_owned(), json!(self.of(tally)));
        Value::Object(Tally::ALL.into_iter().map(count).collect())
    }

    /// `{"fcm": {"accepted": n, ..}, ..}`, without push services whose counts are all zero.
    pub fn by_service(&self) -> Value {
        let mut services = Map::new();
        for service in PushService::ALL {
            let mut one = Self::default();
            for ((label, tally), n) in &self.0 {
                if *label == service.label() {
                    one.add(service, *tally, *n);
                }
            }
            if one.0.values().any(|n| *n != 0) {
                services.insert(service.label().to_owned(), one.counts());
            }
        }
        Value::Object(services)
    }
}
