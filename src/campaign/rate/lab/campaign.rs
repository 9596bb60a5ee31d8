//! A simulated campaign: workers with a window, a service that answers after a round trip, and one shared rate.

use std::collections::VecDeque;

use super::super::{Answer, Leave, Meter, Millis, Rate};
use super::services::{Dice, Service};

/// Time runs in steps of so many milliseconds.
const STEP: Millis = 10;
/// Posts that one worker has in flight at most.
const WINDOW: usize = 1000;

#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) seconds: u64,
    pub(super) workers: usize,
    /// Posts a second that one worker can make.
    pub(super) capacity: f64,
    pub(super) round_trip: Millis,
    /// The workers begin within so many milliseconds.
    pub(super) spread: Millis,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) passed: u64,
    pub(super) refused: u64,
    /// Posts that passed, and that were refused, in each second.
    pub(super) by_second: Vec<(u64, u64)>,
}

struct Worker {
    meter: Meter,
    leave: Leave,
    epoch: u32,
    /// Posts of the turn that were made.
    posted: u32,
    /// When it looks at the shared rate again.
    look: Millis,
    /// When the answer comes, the answer, and the epoch of the post.
    in_flight: VecDeque<(Millis, Answer, u32)>,
    window: usize,
    /// Posts that its processor has time for.
    budget: f64,
}

/// Runs a campaign without end for some seconds, `from` a time on.
pub(super) fn run(service: &mut Service, setup: &Setup, rate: &mut Rate, from: Millis) -> Outcome {
    let mut dice = Dice(setup.seed);
    let begin = |dice: &mut Dice| from + (dice.draw() * setup.spread as f64) as Millis;
    let mut workers: Vec<Worker> = (0..setup.workers)
        .map(|_| Worker::new(begin(&mut dice)))
        .collect();
    let mut outcome = Outcome::default();
    for step in 0..setup.seconds * 1000 / STEP {
        let now = from + step * STEP;
        if (step * STEP).is_multiple_of(1000) {
            outcome.by_second.push((0, 0));
        }
        // Whoever comes first wins a turn.
        let first = (dice.draw() * setup.workers as f64) as usize;
        for i in 0..setup.workers {
            let worker = &mut workers[(first + i) % setup.workers];
            worker.step(service, setup, rate, now, &mut outcome);
        }
    }
    outcome
}

impl Worker {
    fn new(begins: Millis) -> Self {
        Self {
            meter: Meter::default(),
            leave: Leave::Wait(begins),
            epoch: 0,
            posted: 0,
            look: begins,
            in_flight: VecDeque::new(),
            window: 0,
            budget: 0.0,
        }
    }

    fn step(
        &mut self,
        service: &mut Service,
        setup: &Setup,
        rate: &mut Rate,
        now: Millis,
        outcome: &mut Outcome,
    ) {
        let wall = self.receive(now, outcome);
        let is_over = match self.leave {
            Leave::Turn(turn) => self.posted >= turn.posts || turn.has_lapsed(now),
            Leave::Unpaced | Leave::Wait(_) => false,
        };
        if wall || is_over || now >= self.look {
            self.look_at(rate, setup, now);
        }
        let step = setup.capacity * STEP as f64 / 1000.0;
        self.budget = (self.budget + step).min(step + 1.0);
        for _ in 0..self.may_post(now) {
            let half = setup.round_trip / 2;
            let answer = service.answer((now + half) as f64 / 1000.0);
            let at = now + setup.round_trip;
            self.in_flight.push_back((at, answer, self.epoch));
            self.budget -= 1.0;
            self.posted += 1;
        }
    }

    /// Takes the answers that have come. True when the worker must report at once.
    fn receive(&mut self, now: Millis, outcome: &mut Outcome) -> bool {
        let mut wall = false;
        while let Some(&(at, answer, epoch)) = self.in_flight.front()
            && at <= now
        {
            self.in_flight.pop_front();
            wall |= self.meter.answered(epoch, answer, now);
            let passed = u64::from(answer == Answer::Passed);
            outcome.passed += passed;
            outcome.refused += 1 - passed;
            if let Some(second) = outcome.by_second.last_mut() {
                second.0 += passed;
                second.1 += 1 - passed;
            }
            if passed == 1 && self.leave == Leave::Unpaced {
                self.window = (self.window + 1).min(WINDOW);
            }
        }
        wall
    }

    /// One look at the shared rate.
    fn look_at(&mut self, rate: &mut Rate, setup: &Setup, now: Millis) {
        if self.window == 0 {
            self.window = rate.first_flight() as usize;
        }
        let round_trips = 1000.0 / setup.round_trip as f64;
        let want = setup.capacity.min(WINDOW as f64 * round_trips) as u32;
        self.leave = rate.exchange(&self.meter.report(now), want, now);
        self.meter.follow(rate.epoch, rate.base);
        self.epoch = rate.epoch;
        self.posted = 0;
        self.look = match self.leave {
            Leave::Unpaced => now + 1000,
            Leave::Turn(_) => Millis::MAX,
            Leave::Wait(until) => until.clamp(now + 1, now + 1000),
        };
    }

    fn may_post(&self, now: Millis) -> usize {
        let (allowed, window) = match self.leave {
            Leave::Unpaced => (usize::MAX, self.window),
            Leave::Wait(_) => (0, 0),
            Leave::Turn(turn) => {
                let due = turn.due(now).saturating_sub(self.posted);
                (due as usize, WINDOW)
            }
        };
        allowed
            .min(window.saturating_sub(self.in_flight.len()))
            .min(self.budget.max(0.0) as usize)
    }
}
