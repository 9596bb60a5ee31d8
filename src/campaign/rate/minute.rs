//! What a service took over the last minute in which it was asked.

/// The minute is kept in so many slots.
const SLOTS: usize = 12;
/// Seconds of each.
const SLOT: f64 = 5.0;

/// Posts that passed, by the time that was spent on them. Time in which nothing was asked does not count, so that a
/// pause between two campaigns lowers nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Minute {
    /// Full slots, the latest first; 0 seconds: not used yet.
    pub slots: [Slot; SLOTS],
}

/// A few seconds of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slot {
    /// Posts that passed.
    pub passed: f64,
    /// Seconds in which posts were made or waited for.
    pub seconds: f64,
}

impl Minute {
    /// Adds what passed in some seconds.
    pub fn add(&mut self, passed: f64, seconds: f64) {
        let mut rest = seconds.min(SLOT * SLOTS as f64);
        let each = passed / rest.max(f64::MIN_POSITIVE);
        while rest > 0.0 {
            if self.slots[0].seconds >= SLOT {
                self.slots.rotate_right(1);
                self.slots[0] = Slot::default();
            }
            let step = rest.min(SLOT - self.slots[0].seconds);
            self.slots[0].passed += each * step;
            self.slots[0].seconds += step;
            rest -= step;
        }
    }

    /// Posts a second; over at least one second.
    pub fn rate(&self) -> f64 {
        let passed: f64 = self.slots.iter().map(|slot| slot.passed).sum();
        passed / self.seconds().max(1.0)
    }

    /// Seconds that it holds.
    pub fn seconds(&self) -> f64 {
        self.slots.iter().map(|slot| slot.seconds).sum()
    }
}
