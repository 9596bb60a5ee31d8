//! Several VAPID keys, so that one can be rotated without losing anybody: the first is current, the
//! others still reach the subscriptions that were made with them.

use super::key::{KeyId, VapidKey};
use super::subject::Subject;
use super::token::Vapid;

/// At least one key; the first is current.
#[derive(Debug)]
pub struct Keyring {
    current: Vapid,
    older: Vec<Vapid>,
}

impl Keyring {
    /// `current` signs for whoever subscribes from now on, `older` for those who did before.
    pub fn new(current: VapidKey, older: Vec<VapidKey>, subject: Option<&Subject>) -> Self {
        let vapid = |key| Vapid::new(key, subject.cloned());
        Self::of_all(vapid(current), older.into_iter().map(vapid).collect())
    }

    /// The same of keys that may be elsewhere.
    pub fn of_all(current: Vapid, older: Vec<Vapid>) -> Self {
        Self { current, older }
    }

    /// One key, with claims of the sender's own.
    pub fn of(current: Vapid) -> Self {
        Self {
            current,
            older: Vec::new(),
        }
    }

    /// The key that pages subscribe with.
    pub fn current(&self) -> &Vapid {
        &self.current
    }

    /// All of them, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &Vapid> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// The key with this public point, if it is one of ours.
    pub fn find(&self, public: &[u8]) -> Option<&Vapid> {
        self.all().find(|vapid| vapid.public() == public)
    }

    /// In which order to try them for a subscription made with `made_with`: that one, then the others.
    pub fn in_order(&self, made_with: Option<&KeyId>) -> Vec<&Vapid> {
        let mut keys: Vec<&Vapid> = self.all().collect();
        keys.sort_by_key(|vapid| made_with.is_some_and(|id| vapid.id() != id));
        keys
    }
}
