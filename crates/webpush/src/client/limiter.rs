//! Who may send to one push service now, and who waits: in order of arrival, for as many limiter as its
//! [`concurrency`](super::concurrency) allows.
//!
//! Limiter and turns are never lost: whoever is dropped while waiting leaves the queue, and whoever is dropped while
//! holding a place gives it back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::concurrency::{ConcurrencyLimit, Epoch, Signal};

/// How things stand with one push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Congestion {
    /// Requests that may be under way. Right after it was halved, more still are.
    pub limit: usize,
    /// Requests under way, those that wait for a connection included.
    pub in_flight: usize,
    /// Pushes that wait for a place.
    pub waiting: usize,
    /// Until when the service last asked to wait; perhaps in the past. Forgotten when it serves a request that began
    /// after it had asked. Nothing in here waits for it: whoever has other work to do puts this off.
    pub not_before: Option<Timestamp>,
}

/// The limiter at one push service.
#[derive(Debug)]
pub struct Limiter(Mutex<State>);

#[derive(Debug)]
struct State {
    concurrency: ConcurrencyLimit,
    in_flight: usize,
    /// By ticket: the first is next. Nobody is in here while a place is free.
    queue: BTreeMap<u64, oneshot::Sender<Epoch>>,
    tickets: u64,
}

/// A place that is already counted as taken, on its way to who waited for it.
type Grant = (oneshot::Sender<Epoch>, Epoch);

impl Limiter {
    /// Never more than `most`, and never fewer than one.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            concurrency: ConcurrencyLimit::new(most),
            in_flight: 0,
            queue: BTreeMap::new(),
            tickets: 0,
        })))
    }

    /// A place, when all who asked before have theirs.
    pub async fn acquire(self: &Arc<Self>) -> Permit {
        let epoch = match self.ask() {
            Ok(epoch) => epoch,
            Err(waiter) => waiter.turn().await,
        };
        Permit {
            limiter: Arc::clone(self),
            epoch,
            taken: true,
            left: false,
        }
    }

    /// How things stand.
    pub fn congestion(&self) -> Congestion {
        let state = self.lock();
        Congestion {
            limit: state.concurrency.limit(),
            in_flight: state.in_flight,
            waiting: state.queue.len(),
            not_before: state.concurrency.not_before(),
        }
    }

    fn ask(self: &Arc<Self>) -> Result<Epoch, Waiter> {
        let mut state = self.lock();
        if state.has_room() {
            state.in_flight += 1;
            return Ok(state.concurrency.epoch());
        }
        let (grant, granted) = oneshot::channel();
        let ticket = state.tickets;
        state.tickets += 1;
        state.queue.insert(ticket, grant);
        drop(state);
        Err(Waiter {
            limiter: Arc::clone(self),
            ticket,
            granted,
        })
    }

    fn leave(&self, epoch: Epoch, taken: bool, signal: Signal) -> bool {
        let mut state = self.lock();
        let full = state.in_flight >= state.concurrency.limit();
        let lowered = match signal {
            Signal::Served => {
                state.concurrency.served(epoch, full);
                false
            }
            Signal::Unclear => false,
            Signal::Busy(not_before) => state.concurrency.busy(epoch, not_before),
        };
        state.in_flight -= usize::from(taken);
        let next = state.next();
        drop(state);
        self.hand_out(next);
        lowered
    }

    /// Wakes those whose turn it is. Not under the lock: waking runs what others wrote.
    fn hand_out(&self, mut next: Option<Grant>) {
        while let Some((waiter, epoch)) = next {
            let given_up = waiter.send(epoch).is_err();
            let mut state = self.lock();
            if given_up {
                state.in_flight -= 1;
            }
            next = state.next();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.in_flight < self.concurrency.limit()
    }

    /// Takes a place for the first in the queue.
    fn next(&mut self) -> Option<Grant> {
        if !self.has_room() {
            return None;
        }
        let (_, waiter) = self.queue.pop_first()?;
        self.in_flight += 1;
        Some((waiter, self.concurrency.epoch()))
    }
}

/// A place at a push service, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<Limiter>,
    epoch: Epoch,
    taken: bool,
    left: bool,
}

impl Permit {
    /// Lets somebody else have the place; what is learned can still be said.
    pub fn release(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.limiter.leave(self.epoch, true, Signal::Unclear);
        }
    }

    /// Gives it back with what was learned. Whether the limit is lower now.
    pub fn report(mut self, signal: Signal) -> bool {
        self.left = true;
        self.limiter.leave(self.epoch, self.taken, signal)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.left {
            self.limiter.leave(self.epoch, self.taken, Signal::Unclear);
        }
    }
}

/// In the queue until its turn, or until it is dropped.
struct Waiter {
    limiter: Arc<Limiter>,
    ticket: u64,
    granted: oneshot::Receiver<Epoch>,
}

impl Waiter {
    async fn turn(mut self) -> Epoch {
        let granted = (&mut self.granted).await;
        granted.expect("a grant that leaves the queue is sent")
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.limiter.lock().queue.remove(&self.ticket);
        // A grant that was not sent yet finds it closed and goes to the next.
        self.granted.close();
        if let Ok(epoch) = self.granted.try_recv() {
            self.limiter.leave(epoch, true, Signal::Unclear);
        }
    }
}
