//! Retries a call after a transient failure: exponential backoff with full jitter.
//!
//! The wait before each attempt is random, between zero and a limit that doubles, so that callers that collided once do
//! not collide again. The caller gives up after a number of attempts, or when too much time has passed since the first.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Chance;

/// Limits on the attempts of one call, and on the waits between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Maximum number of attempts, the first included.
    pub attempts: u32,
    /// Time after the start of the first attempt in which a new attempt may start.
    pub patience: Duration,
    /// Upper limit of the wait before the second attempt. It doubles with each attempt.
    pub first: Duration,
    /// Upper limit of every wait.
    pub longest: Duration,
}

impl Backoff {
    /// The wait before the next attempt, after `failed` attempts failed and `elapsed` time has passed. `None` when the
    /// caller should give up.
    pub fn wait(&self, failed: u32, elapsed: Duration, chance: &Chance) -> Option<Duration> {
        if failed >= self.attempts || elapsed >= self.patience {
            return None;
        }
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        let limit = self.first.saturating_mul(doubled).min(self.longest);
        let limit = limit.min(self.patience.saturating_sub(elapsed));
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        Some(Duration::from_micros(chance.up_to(micros)))
    }
}

/// The attempts of one call.
#[derive(Debug)]
pub struct Attempts {
    backoff: Backoff,
    started: Instant,
    failed: u32,
}

impl Attempts {
    /// Starts the clock: the first attempt begins now.
    pub fn begin(backoff: Backoff) -> Self {
        Self {
            backoff,
            started: Instant::now(),
            failed: 0,
        }
    }

    /// Records a failed attempt and waits before the next one. False when the caller should give up.
    pub async fn wait_for_next(&mut self, chance: &Chance) -> bool {
        self.failed += 1;
        let wait = self
            .backoff
            .wait(self.failed, self.started.elapsed(), chance);
        let Some(wait) = wait else {
            return false;
        };
        sleep(wait).await;
        true
    }

    /// Number of failed attempts.
    pub fn failed(&self) -> u32 {
        self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        attempts: 12,
        patience: Duration::from_secs(5),
        first: Duration::from_millis(10),
        longest: Duration::from_secs(1),
    };

    const fn millis(n: u64) -> Option<Duration> {
        Some(Duration::from_millis(n))
    }

    /// Draws a very large number every time.
    fn large_draws() -> Chance {
        Chance::from_fn(|| u64::MAX - 1)
    }

    /// The longest possible wait. [`Chance::up_to`] returns a drawn number up to its limit unchanged, so one of these
    /// draws returns the limit.
    fn limit(failed: u32, elapsed: Duration) -> Option<Duration> {
        let wait = |drawn: u64| BACKOFF.wait(failed, elapsed, &Chance::from_fn(move || drawn));
        let micros = (0..=1_000_000_u64).rev().step_by(1_000);
        micros.filter_map(wait).max()
    }

    #[test]
    fn the_limit_of_the_wait_doubles_up_to_the_longest() {
        let limits = [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000];
        for (failed, expected) in (1..).zip(limits) {
            assert_eq!(limit(failed, Duration::ZERO), millis(expected), "{failed}");
        }
    }

    #[test]
    fn the_wait_is_drawn_between_zero_and_its_limit() {
        let at_once = Chance::from_fn(|| 0);
        assert_eq!(BACKOFF.wait(5, Duration::ZERO, &at_once), millis(0));
        let wait = BACKOFF.wait(5, Duration::ZERO, &large_draws());
        assert!(wait <= millis(160), "{wait:?}");
    }

    #[test]
    fn the_last_attempt_and_the_end_of_patience_end_it() {
        let now = Duration::ZERO;
        assert!(BACKOFF.wait(11, now, &large_draws()).is_some());
        assert_eq!(BACKOFF.wait(12, now, &large_draws()), None);
        assert_eq!(BACKOFF.wait(1, BACKOFF.patience, &large_draws()), None);
        // A wait does not outlast patience.
        let late = Duration::from_millis(4_900);
        assert_eq!(limit(11, late), millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn all_waits_together_stay_within_patience() {
        for seed in 0..50 {
            let started = Instant::now();
            let drawn = std::sync::atomic::AtomicU64::new(seed);
            let chance = Chance::from_fn(move || {
                drawn.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed)
            });
            let mut attempts = Attempts::begin(BACKOFF);
            while attempts.wait_for_next(&chance).await {}
            assert!(attempts.failed() <= BACKOFF.attempts);
            assert!(started.elapsed() <= BACKOFF.patience + Duration::from_millis(20));
        }
    }
}
