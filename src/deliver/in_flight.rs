//! How long the worker waits for the pushes of a batch: a value that is stepped with events, without I/O and without a
//! clock. All times count from the beginning of the wait.
//!
//! A push in flight is either *dispatched*, so that its service may have seen it, or still waits for a free slot. The
//! worker waits until everyone is answered, or until those who are left may stay in flight as *stragglers* beside the next
//! batch. Pushes that were not dispatched may be *deferred*: taken back, and pushed another time.

use std::time::Duration;

/// Once half of a batch is answered, the other half has at least this long.
const MIN_PATIENCE: Duration = Duration::from_millis(300);
/// The slower half of a batch has this many times as long as the faster half took.
const PATIENCE_FACTOR: u32 = 2;
/// Where less than half of a batch is answered by then, the worker looks who holds up the others.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How often the worker looks again.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Where no service has answered anybody by then, pushes that were not dispatched are deferred.
const MAX_SILENCE: Duration = Duration::from_secs(5);
/// Pushes that were not dispatched by then are deferred: the lease must not run out.
const MAX_DISPATCH: Duration = Duration::from_secs(20);
/// Services without a push in flight wait for the others if they have at least one in so many of the batch.
const HELD_UP_SHARE: usize = 10;

/// How many pushes may stay in flight when the worker goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// Where they hold up no other service.
    pub(super) stragglers: usize,
    /// Where other services of the batch would wait for them.
    pub(super) max_stragglers: usize,
    /// Time over which the batch is spread to keep to a sending rate.
    pub(super) spread: Duration,
}

/// What has happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    /// A push to a service has ended.
    Ended {
        /// The service's number in the batch.
        service: usize,
        /// Whether the service has answered.
        is_answer: bool,
    },
    /// Pushes were taken back: the services' numbers.
    Deferred(&'a [usize]),
    /// The worker must stop.
    StopRequested {
        /// Answers are waited for until then.
        last_answer: Duration,
    },
    /// The time of [`Action::WaitUntil`] has come.
    Timer,
}

/// What the worker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Waits for an event, until then.
    WaitUntil(Duration),
    /// Takes back the pushes that were not dispatched.
    Defer,
    /// Leaves whatever is in flight, and goes on.
    Leave,
}

/// The pushes of a batch, by service, and the timers.
#[derive(Debug)]
pub(super) struct InFlight {
    bounds: Bounds,
    services: Vec<Service>,
    total: usize,
    in_flight: usize,
    half_is_answered: bool,
    next_look: Duration,
    /// None once a service has answered, or the silence has had its consequence.
    silence_ends: Option<Duration>,
    dispatch_ends: Duration,
    last_answer: Option<Duration>,
    /// After a deferral: the worker leaves if no more than so many are in flight.
    leave_if: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Service {
    total: usize,
    in_flight: usize,
}

impl InFlight {
    /// Pushes that begin now; `services` has the number of each push's service.
    pub(super) fn new(bounds: Bounds, services: impl IntoIterator<Item = usize>) -> Self {
        let mut state = Self {
            bounds,
            services: Vec::new(),
            total: 0,
            in_flight: 0,
            half_is_answered: false,
            next_look: bounds.spread + FIRST_LOOK,
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

    /// What the worker does first.
    pub(super) fn begin(&self) -> Action {
        self.wait()
    }

    /// What the worker does after `event`, at `now`.
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
            // A push whose turn has not come is held up by nobody.
            let all_begun = self.bounds.spread + MIN_PATIENCE;
            self.next_look = self.next_look.min((now + patience).max(all_begun));
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
        if now >= self.next_look {
            return self.look(now);
        }
        self.wait()
    }

    fn look(&mut self, now: Duration) -> Action {
        self.next_look = now + LOOK_INTERVAL;
        if self.holds_up_others() {
            self.leave_if = Some(self.bounds.max_stragglers);
            Action::Defer
        } else if self.in_flight <= self.bounds.stragglers {
            Action::Leave
        } else {
            self.wait()
        }
    }

    /// Whether a good part of the batch, at services that have answered everyone, waits for the others.
    fn holds_up_others(&self) -> bool {
        let done = self.services.iter().filter(|it| it.in_flight == 0);
        let waiting: usize = done.map(|service| service.total).sum();
        waiting * HELD_UP_SHARE >= self.total
    }

    fn wait(&self) -> Action {
        if self.in_flight == 0 {
            return Action::Leave;
        }
        Action::WaitUntil(match self.last_answer {
            Some(last_answer) => last_answer.min(self.dispatch_ends),
            None => {
                let next = self.next_look.min(self.dispatch_ends);
                self.silence_ends.map_or(next, |end| next.min(end))
            }
        })
    }
}

#[cfg(test)]
mod tests;
