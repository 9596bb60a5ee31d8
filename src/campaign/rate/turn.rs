//! Turns: how workers share a rate without exceeding it.
//!
//! This is virtual scheduling, as in the generic cell rate algorithm: one number, the end of the last turn, is all that
//! workers share. A turn holds at most a second's posts, so a lane costs about one write a second, however many wait.
//!
//! A message's `rate` is a ceiling of the same kind: the campaign has a [`Turns`] of its own. A worker first takes a
//! turn there, at the rate that the message asks for, and then asks its lane for as many posts.

use super::span::Millis;

/// A turn holds at most the posts of so many milliseconds.
const LONGEST: f64 = 1000.0;
/// A worker that comes late for its next turn has not lost the time before it, up to so much.
const CREDIT: Millis = 100;
/// Posts may be made so long after their turn has ended; then they lapse.
const GRACE: Millis = 1000;

/// The end of the last turn that was taken. It belongs to a rate: a lane's, or the ceiling that a message asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Turns {
    /// Every turn up to here is taken, in milliseconds.
    pub until: f64,
}

/// A worker's leave to make some posts, spread over some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// How many.
    pub posts: u32,
    /// The first of them is due now.
    pub from: Millis,
    /// The last is due about now.
    pub to: Millis,
}

impl Turns {
    /// Takes the next turn for up to `want` posts, at `rate` posts a second. Where others have taken the present one:
    /// when to ask again.
    pub fn take(&mut self, rate: f64, want: u32, now: Millis) -> Result<Turn, Millis> {
        let time = now as f64;
        if self.until > time {
            return Err(self.until.ceil() as Millis);
        }
        let gap = gap(rate);
        let most = (LONGEST / gap).max(1.0) as u32;
        let posts = want.clamp(1, most);
        let start = self.until.max(time - CREDIT as f64);
        self.until = start + gap * f64::from(posts);
        Ok(Turn {
            posts,
            from: now,
            to: now.max(self.until as Millis),
        })
    }

    /// What is left of the turns that were taken is free again: the pace has changed, or a worker has stopped.
    pub fn give_back(&mut self, now: Millis) {
        self.until = self.until.min(now as f64);
    }

    /// Posts come faster from now on: the next turn begins at most one post's time from now.
    pub fn hasten(&mut self, rate: f64, now: Millis) {
        self.until = self.until.min(now as f64 + gap(rate));
    }
}

/// Milliseconds between two posts.
fn gap(rate: f64) -> f64 {
    1000.0 / rate.max(0.001)
}

impl Turn {
    /// How many of its posts may have been made by `now`.
    pub fn due(&self, now: Millis) -> u32 {
        if self.has_lapsed(now) {
            return 0;
        }
        let length = self.to.saturating_sub(self.from).max(1);
        let passed = now.saturating_sub(self.from).min(length);
        let due = u64::from(self.posts) * passed / length;
        u32::try_from(due + 1).unwrap_or(u32::MAX).min(self.posts)
    }

    /// Whether what was not posted by `now` is lost.
    pub fn has_lapsed(&self, now: Millis) -> bool {
        now >= self.to + GRACE
    }
}
