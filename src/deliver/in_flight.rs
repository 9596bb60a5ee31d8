//! Decides how long the worker waits for the pushes of a batch: a state machine without I/O and without a clock. All
//! times count from the beginning of the wait.
//!
//! A push in flight is either *dispatched*, so that its service may have seen it, or waits for a free slot. The worker
//! waits until all pushes have ended, or until the rest may stay in flight as *stragglers* beside the next batch. The
//! worker may *defer* pushes that were not dispatched: it takes them back, and pushes them later.

use std::time::Duration;

/// Once half of a batch has ended, the other half gets at least this time.
const MIN_PATIENCE: Duration = Duration::from_millis(300);
/// The slower half of a batch gets the time that the faster half took, times this.
const PATIENCE_FACTOR: u32 = 2;
/// When less than half of a batch has ended by then, the worker first checks which pushes hold up the others.
const FIRST_CHECK: Duration = Duration::from_secs(2);
/// Time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// When no service has answered any push by then, the worker defers the pushes that were not dispatched.
const MAX_SILENCE: Duration = Duration::from_secs(5);
/// The worker defers pushes that were not dispatched by then, since its lease must not expire.
const MAX_DISPATCH: Duration = Duration::from_secs(20);
/// Services that have answered all their pushes are held up if these are at least 1/10 of the batch.
const HELD_UP_DIVISOR: usize = 10;

/// How many pushes may stay in flight when the worker leaves the batch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// Maximum when they hold up no other service.
    pub(super) stragglers: usize,
    /// Maximum when they hold up other services of the batch.
    pub(super) max_stragglers: usize,
    /// Time over which the pushes start, to keep to a sending rate.
    pub(super) spread: Duration,
}

/// An event that the worker reports.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    /// A push to a service has ended.
    Ended {
        /// The service's number in the batch.
        service: usize,
        /// Whether the service has answered. False when the push failed.
        is_answer: bool,
    },
    /// The worker has taken back pushes to these services, one number for each push.
    Deferred(&'a [usize]),
    /// The worker must stop.
    StopRequested {
        /// The worker waits for answers until then.
        last_answer: Duration,
    },
    /// The time of [`Action::WaitUntil`] has come.
    Timer,
}

/// The worker's next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Wait for an event until then, and for [`Event::Timer`] after that.
    WaitUntil(Duration),
    /// Take back the pushes that were not dispatched, and report [`Event::Deferred`].
    Defer,
    /// Leave the rest in flight, and settle the batch.
    Leave,
}

/// The number of pushes in flight by service, and the timers.
#[derive(Debug)]
pub(super) struct InFlight {
    bounds: Bounds,
    services: Vec<Service>,
    total: usize,
    in_flight: usize,
    half_is_answered: bool,
    next_check: Duration,
    /// None once a service has answered or [`MAX_SILENCE`] has passed.
    silence_ends: Option<Duration>,
    dispatch_ends: Duration,
    last_answer: Option<Duration>,
    /// The worker leaves after the next deferral if no more than so many pushes are in flight.
    leave_if: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Service {
    total: usize,
    in_flight: usize,
}

impl InFlight {
    /// The wait begins now. `services` has one service number for each push.
    pub(super) fn new(bounds: Bounds, services: impl IntoIterator<Item = usize>) -> Self {
        let mut state = Self {
            bounds,
            services: Vec::new(),
            total: 0,
            in_flight: 0,
            half_is_answered: false,
            next_check: bounds.spread + FIRST_CHECK,
            silence_ends: Some(bounds.spread + MAX_SILENCE),
            dispatch_ends: bounds.spread + MAX_DISPATCH,
            last_answer: None,
            leave_if: None,
        };
        for number in services {
            if number >= state.services.len() {
                state.services.resize(number + 1, Service::default());
            }
            state.services[number].total += 1;
            state.services[number].in_flight += 1;
            state.total += 1;
        }
        state.in_flight = state.total;
        state
    }

    /// Whether the worker was told to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.last_answer.is_some()
    }

    /// The worker's first action.
    pub(super) fn begin(&self) -> Action {
        self.wait()
    }

    /// The worker's action after `event`, at `now`.
    pub(super) fn step(&mut self, event: Event<'_>, now: Duration) -> Action {
        match event {
            Event::Ended { service, is_answer } => {
                self.ended(service, now);
                if is_answer {
                    self.silence_ends = None;
                }
                self.wait()
            }
            Event::Deferred(services) => {
                for service in services {
                    self.ended(*service, now);
                }
                let leave_if = self.leave_if.take();
                if leave_if.is_some_and(|most| self.in_flight <= most) {
                    return Action::Leave;
                }
                self.wait()
            }
            Event::StopRequested { last_answer } => {
                self.last_answer = Some(last_answer);
                Action::Defer
            }
            Event::Timer => self.timer(now),
        }
    }

    fn ended(&mut self, service: usize, now: Duration) {
        self.services[service].in_flight -= 1;
        self.in_flight -= 1;
        if !self.half_is_answered && self.in_flight <= self.total / 2 {
            self.half_is_answered = true;
            let taken = now.saturating_sub(self.bounds.spread);
            let patience = (taken * PATIENCE_FACTOR).clamp(MIN_PATIENCE, MAX_DISPATCH);
            // Waits until all pushes have started: a push may start late only because of the sending rate.
            let all_started = self.bounds.spread + MIN_PATIENCE;
            self.next_check = self.next_check.min((now + patience).max(all_started));
        }
    }

    fn timer(&mut self, now: Duration) -> Action {
        if self.last_answer.is_some_and(|last| now >= last) {
            return Action::Leave;
        }
        if now >= self.dispatch_ends {
            self.dispatch_ends += MAX_DISPATCH;
            return Action::Defer;
        }
        if self.is_stopping() {
            return self.wait();
        }
        if self.silence_ends.is_some_and(|end| now >= end) {
            self.silence_ends = None;
            self.leave_if = Some(self.bounds.max_stragglers);
            return Action::Defer;
        }
        if now >= self.next_check {
            return self.check(now);
        }
        self.wait()
    }

    fn check(&mut self, now: Duration) -> Action {
        self.next_check = now + CHECK_INTERVAL;
        if self.holds_up_others() {
            self.leave_if = Some(self.bounds.max_stragglers);
            Action::Defer
        } else if self.in_flight <= self.bounds.stragglers {
            Action::Leave
        } else {
            self.wait()
        }
    }

    /// Whether a good part of the batch is at services that have answered all their pushes: they wait for the rest.
    fn holds_up_others(&self) -> bool {
        let done = self.services.iter().filter(|it| it.in_flight == 0);
        let waiting: usize = done.map(|service| service.total).sum();
        waiting * HELD_UP_DIVISOR >= self.total
    }

    fn wait(&self) -> Action {
        if self.in_flight == 0 {
            return Action::Leave;
        }
        Action::WaitUntil(match self.last_answer {
            Some(last_answer) => last_answer.min(self.dispatch_ends),
            None => {
                let next = self.next_check.min(self.dispatch_ends);
                self.silence_ends.map_or(next, |end| next.min(end))
            }
        })
    }
}

#[cfg(test)]
mod tests;
