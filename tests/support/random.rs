//! Random numbers that are the same in every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pushcast::clock::Chance;

/// Random numbers that are the same in every run (splitmix64).
#[derive(Clone)]
pub(crate) struct Random(Arc<AtomicU64>);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0, less than `n`.
    pub(crate) fn below(&self, n: usize) -> usize {
        let n = u64::try_from(n).expect("a usize has 64 bits at most");
        usize::try_from(self.next() % n).expect("below a usize")
    }

    pub(crate) fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Counts up instead of drawing: tokens differ, and random delays stay short.
pub(crate) fn impatient() -> Chance {
    let drawn = AtomicU64::new(0);
    Chance::from_fn(move || drawn.fetch_add(1, Ordering::Relaxed))
}
