//! Retry parts: endpoints that are pushed to again, as the ledger holds them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::PartKey;
use super::retry::RetryState;

/// Maximum bytes of the endpoints in one retry part: an item of DynamoDB holds 400 kB.
const MAX_PART_BYTES: usize = 256 * 1024;

/// What a retry part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Whom to push to.
    pub endpoints: BTreeSet<String>,
    /// How often it was tried, and when it is due.
    pub state: RetryState,
}

/// A retry part that a checkpoint opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPart {
    /// Its key.
    pub key: PartKey,
    /// What it holds.
    pub retry: Retry,
}

/// A new retry part of stragglers: the worker that opens it still waits for their answers, and holds its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPart {
    /// The part.
    pub part: NewPart,
    /// Who holds its lease.
    pub owner: String,
    /// When the lease ends.
    pub until: Timestamp,
}

/// Retry parts for `endpoints`: as few as items of the ledger allow.
pub fn parts(
    endpoints: BTreeSet<String>,
    state: RetryState,
    mut new_key: impl FnMut() -> PartKey,
) -> Vec<NewPart> {
    let (mut lists, mut list, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
    for endpoint in endpoints {
        bytes += endpoint.len();
        if bytes > MAX_PART_BYTES {
            bytes = endpoint.len();
            lists.push(std::mem::take(&mut list));
        }
        list.insert(endpoint);
    }
    if !list.is_empty() {
        lists.push(list);
    }
    let part = |endpoints| NewPart {
        key: new_key(),
        retry: Retry { endpoints, state },
    };
    lists.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_larger_than_an_item_and_never_empty() {
        let state = RetryState::new(Timestamp::UNIX_EPOCH);
        let mut serial = 0;
        let mut new_key = || {
            serial += 1;
            PartKey::Retry { segment: 0, serial }
        };
        assert_eq!(parts(BTreeSet::new(), state, &mut new_key), []);
        let endpoint = |n: usize| format!("{n:02048}");
        let all: BTreeSet<String> = (0..300).map(endpoint).collect();
        let parts = parts(all.clone(), state, &mut new_key);
        let bytes = |part: &NewPart| part.retry.endpoints.iter().map(String::len).sum::<usize>();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| bytes(part) <= MAX_PART_BYTES));
        let together = parts.into_iter().flat_map(|part| part.retry.endpoints);
        assert_eq!(together.collect::<BTreeSet<_>>(), all);
    }
}
