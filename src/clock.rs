//! Time and randomness, passed as arguments. Only this file asks the machine for either.

use std::fmt;
use std::sync::Arc;

pub use webpush::Clock;

/// A source of random numbers, for jitter and for tokens that must not repeat. Not for keys.
#[derive(Clone)]
pub struct Chance(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Chance {
    /// The operating system's randomness.
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let mut bytes = [0; 8];
            aws_lc_rs::rand::fill(&mut bytes).expect("the operating system gives randomness");
            u64::from_ne_bytes(bytes)
        }))
    }

    /// Calls `draw` for every number. Tests use it to choose the numbers.
    pub fn from_fn(draw: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(draw))
    }

    /// 64 random bits.
    pub fn draw(&self) -> u64 {
        (self.0)()
    }

    /// A number from 0 to `limit`, both included.
    pub fn up_to(&self, limit: u64) -> u64 {
        limit
            .checked_add(1)
            .map_or_else(|| self.draw(), |n| self.draw() % n)
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}
