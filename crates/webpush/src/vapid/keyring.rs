//! Several VAPID keys. A new key can then take over, while older keys still reach the subscriptions that were made with
//! them.

use super::key::{KeyId, VapidKey};
use super::subject::Subject;
use super::token::Vapid;

/// The current VAPID key, and older ones.
#[derive(Debug)]
pub struct Keyring {
    current: Vapid,
    older: Vec<Vapid>,
}

impl Keyring {
    /// Keys in this process: `current` for new subscriptions, `older` for those that were made with these keys.
    pub fn new(current: VapidKey, older: Vec<VapidKey>, subject: Option<&Subject>) -> Self {
        let vapid = |key| Vapid::new(key, subject.cloned());
        Self::of_all(vapid(current), older.into_iter().map(vapid).collect())
    }

    /// Keys that may be elsewhere ([`Vapid::elsewhere`]), or have their own claims ([`Vapid::with_claims`]).
    pub fn of_all(current: Vapid, older: Vec<Vapid>) -> Self {
        Self { current, older }
    }

    /// A single key.
    pub fn of(current: Vapid) -> Self {
        Self {
            current,
            older: Vec::new(),
        }
    }

    /// The key for new subscriptions.
    pub fn current(&self) -> &Vapid {
        &self.current
    }

    /// All keys, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &Vapid> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// The key with this public half (65 octets), if it is in the keyring.
    pub fn find(&self, public: &[u8]) -> Option<&Vapid> {
        self.all().find(|vapid| vapid.public() == public)
    }

    /// All keys, in the order in which to try them for a subscription that was made with `made_with`: that key first.
    pub fn in_order(&self, made_with: Option<&KeyId>) -> impl Iterator<Item = &Vapid> {
        let first = self.all().find(|vapid| Some(vapid.id()) == made_with);
        let others = self
            .all()
            .filter(move |vapid| first.is_none_or(|first| first.id() != vapid.id()));
        first.into_iter().chain(others)
    }
}
