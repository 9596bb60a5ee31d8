//! The learned rate: how fast a lane's push service takes posts, found from its answers alone.
//!
//! Push services limit senders without saying how much they allow. Chrome lets some sites send 1000 messages a minute
//! and answers 429 to the rest, with or without `Retry-After`. A limit on concurrency does not help there, because
//! refusals come back in milliseconds. [`Rate`] is a pure value: reports of answers and the time go in, leave to post
//! comes out. Workers share it as one item of the ledger, and it outlives the campaign.
//!
//! A lane starts **unpaced**: its workers post as fast as their windows allow. It becomes **paced** when its service
//! refuses too much; the workers then share one rate by taking [`Turn`]s. The pace follows the answers: multiplicative
//! decrease and cautious increase, as in AIMD and CUBIC, with five additions.
//!
//! 1. **A wall stops a worker at once.** When 27 of its last 32 answers, or all of its first 8, are refusals, it posts
//!    nothing more and reports. The lane gathers the other workers' reports for 0.3 s and then decides. Meeting a limit
//!    for the first time costs one worker about 100 refusals and ten about 1000 (what they have in flight), not a
//!    second at full speed, which is 7000 posts of each.
//! 2. **Refusals may be about devices, not about rate.** More than 15 % beyond the known *base refusal share*, and
//!    beyond two standard deviations of the sample, start a [`Probe`]: post at 0.8 of what passed, then at half of
//!    that. A limit stops refusing, or refuses 1 - 2 (1 - f) where it refused f; chance refuses f again. Chance becomes
//!    the base, and the old rate returns. A limit that lets all pass leaves only refusals by chance, so a quiet first
//!    step measures the base too.
//! 3. **A limit is approached gently and left quickly.** After a probe the pace is 0.95 of what passed. While nothing
//!    is refused beyond the base it grows by 0.5 % a second, plus 0.15 % times the square of the seconds that this has
//!    lasted: 5 % in 4 s, double in 11 s, 50 times in 20 s. A wall, or 5 % beyond the base, is suspect: five such
//!    periods in a row, or 15 % over all of them, are probed. Near a steady limit this refuses 4 to 13 % of the posts.
//! 4. **An outage does not erase what is known.** While nothing passes, the pace is divided by eight, down to 1 a
//!    second, and to 0.2 after 90 s. `known`, the best rate of a minute, stays. The first post that passes starts a
//!    ramp: three times as fast in each period, up to `known`. When something passes up to a wall (the quota of a
//!    minute), `known` falls to the geometric mean of itself and the last minute. So a window of 1000 a minute is used
//!    up in each minute, and after five of them nearly evenly.
//! 5. **Answers to posts that were allowed before the last slow-down say nothing about it.** Each slow-down begins an
//!    *epoch*. Turns, posts and reports carry its number, so that the workers' clocks need not agree.
//!
//! `Retry-After`, where most refusals carry it, is waited for when a wall or an outage says it, up to ten minutes. Then
//! the lane goes on at `known` if something had passed before, otherwise with single posts. Where a part still passes,
//! a probe decides instead: one device's `Retry-After` must not stop a lane. A lane whose pace reaches 16 times its
//! last limit is unpaced again; one that met no limit is so when its ramp ends. The pace grows only while workers use
//! at least half of it: small campaigns neither raise nor erase what a large one learned.
//!
//! The laboratory beside this file plays it against 54 simulated services (`cargo test rate -- --nocapture` prints the
//! table). Of the 19 limited ones that it was first tried on, with 1, 10 and 50 workers, each passes 97 to 100 % of the
//! possible, the start included, and refuses 1 to 20 % of the posts beyond those by chance. Others pass more than 91 %,
//! except a limit that rises a hundredfold in the middle (87 %), a minute of which 80 % is refused, and 5 s of outage
//! in each 30 s (75 %). A limit of 100 a minute refuses 27 %: two answers a second are a small sample. After an hour's
//! outage full speed is back within 20 s.
//!
//! | file | owns |
//! |---|---|
//! | this one | the shared value: reports in, leave to post out |
//! | `meter` | what one worker counts, and the wall |
//! | `turn` | how workers share a rate; a message's `rate` is a ceiling of the same kind |
//! | `decide` | the end of a period: read its answers |
//! | `pace` | how the pace grows, retreats and waits |
//! | `probe` | whether it is a limit or chance |
//! | `minute` | what passed over the last minute |
//! | `span` | milliseconds, and seconds between them |

mod decide;
mod meter;
mod minute;
mod pace;
mod probe;
mod span;
mod turn;

#[cfg(test)]
mod lab;

pub use meter::{Answer, Counts, Meter, Report};
pub use minute::{Minute, Slot};
pub use probe::Probe;
pub use span::Millis;
pub use turn::{Turn, Turns};

/// A lane that met a wall decides so many milliseconds later. Its other workers report until then.
const GATHER: Millis = 300;
/// A period without a report for so long is forgotten: the lane stood still.
const IDLE: Millis = 15_000;
/// Posts that a lane has in flight at first, over all its workers, while nothing is known about it.
const FIRST_FLIGHT: u32 = 64;
/// A worker's least share of them.
const LEAST_FIRST_FLIGHT: u32 = 4;
/// Refusals of one row that cost it no attempt while its lane is paced.
const FREE_REFUSALS: u32 = 9;

/// What is known about the rate of one lane. Workers share it as one item of the ledger, which they read and write
/// under its version; it outlives the campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rate {
    /// Posts a second, over all workers. `None`: the lane is unpaced.
    pub pace: Option<f64>,
    /// Posts a second that passed in the best minute since the last limit.
    pub known: f64,
    /// Posts a second that passed when a limit was met last. 0: none was met.
    pub limit: f64,
    /// The share of posts that is refused at any rate, 0 to 0.6.
    pub base: f64,
    /// The number of slow-downs.
    pub epoch: u32,
    /// Nothing is posted before (`Retry-After`).
    pub hold: Millis,
    /// The turns of the workers that share the pace.
    pub turns: Turns,
    /// The answers of the period under way.
    pub period: Period,
    /// The probe under way.
    pub probe: Option<Probe>,
    /// What passed over the last minute.
    pub minute: Minute,
    /// Seconds for which no more than the base was refused.
    pub clean: f64,
    /// Periods in a row in which a little more than the base was refused.
    pub suspect_periods: u32,
    /// The answers of those periods.
    pub suspect: Counts,
    /// Seconds for which nothing passed.
    pub dry: f64,
    /// Workers that began while nothing was known.
    pub joined: u32,
}

/// The answers of a period: about a second, at low rates up to five, in a probe up to fifteen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Period {
    /// Its answers.
    pub counts: Counts,
    /// When it began. `None`: with the next answer.
    pub began: Option<Millis>,
    /// The last report.
    pub reported: Millis,
    /// When a worker first met a wall in it.
    pub wall: Option<Millis>,
}

/// What a worker may do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Leave {
    /// Post as fast as the window allows. Report in a second.
    Unpaced,
    /// Make these posts, then report. A turn that has lapsed ends too.
    Turn(Turn),
    /// Post nothing. Ask again then, or in a second if there are answers to report.
    Wait(Millis),
}

impl Rate {
    /// Counts a worker's report, decides if it is time to, and says what the worker may do: at most `want` posts, which
    /// is what it can make in a second.
    pub fn exchange(&mut self, report: &Report, want: u32, now: Millis) -> Leave {
        self.hear(report, now);
        self.leave(want, now)
    }

    /// Counts a worker's last report, and decides if it is time to.
    pub fn hear(&mut self, report: &Report, now: Millis) {
        self.count(report, now);
        if self.is_due(now) {
            self.decide(now);
        }
    }

    /// How many posts a worker that begins may have in flight at first. Workers that begin together in a lane about
    /// which nothing is known share one first flight: fifty times 64 posts would be 3200 refusals.
    pub fn first_flight(&mut self) -> u32 {
        if self.known > 0.0 {
            return FIRST_FLIGHT;
        }
        self.joined = self.joined.saturating_add(1);
        (FIRST_FLIGHT / self.joined).max(LEAST_FIRST_FLIGHT)
    }

    /// Whether a refusal for rate costs its row an attempt, after `before` refusals that cost none. A row that is always
    /// refused must not hold a paced lane up for ever.
    pub fn costs_an_attempt(&self, before: u32) -> bool {
        let is_free = self.pace.is_some() || self.period.wall.is_some();
        !is_free || before >= FREE_REFUSALS
    }

    fn count(&mut self, report: &Report, now: Millis) {
        if now.saturating_sub(self.period.reported) > IDLE {
            self.period = Period::default();
        }
        self.period.reported = now;
        if report.epoch != self.epoch {
            return;
        }
        if report.wall {
            self.period.wall.get_or_insert(now);
            self.turns.give_back(now);
        }
        if report.counts.answers() > 0 {
            let first = now.saturating_sub(report.span);
            self.period.began.get_or_insert(first);
            self.period.counts.add(&report.counts);
        }
    }

    fn leave(&mut self, want: u32, now: Millis) -> Leave {
        if now < self.hold {
            return Leave::Wait(self.hold);
        }
        match (self.pace, self.period.wall) {
            (None, None) => Leave::Unpaced,
            (_, Some(wall)) => Leave::Wait(wall + GATHER),
            (Some(pace), None) => match self.turns.take(pace, want, now) {
                Ok(turn) => Leave::Turn(turn),
                Err(until) => Leave::Wait(until),
            },
        }
    }
}
