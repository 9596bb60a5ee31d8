//! Retry parts: lists of endpoints that a worker must push to again, as the ledger stores them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::PartKey;
use super::retry_state::RetryState;

/// Maximum bytes of the endpoints in one retry part. A DynamoDB item holds 400 kB.
const MAX_PART_BYTES: usize = 256 * 1024;

/// The content of a retry part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Endpoints to push to.
    pub endpoints: BTreeSet<String>,
    /// The number of attempts so far, and when the next one is due.
    pub state: RetryState,
}

/// A retry part that a checkpoint opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPart {
    /// Its key.
    pub key: PartKey,
    /// Its content.
    pub retry: Retry,
}

/// A new retry part for stragglers. The worker that opens it keeps its lease, because it still waits for their answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPart {
    /// The part.
    pub part: NewPart,
    /// The worker's name in the lease.
    pub owner: String,
    /// When the lease ends.
    pub until: Timestamp,
}

/// Divides `endpoints` into as few retry parts as the size of a ledger item allows.
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
