//! The limiter of one push service: it hands out as many permits as the [concurrency limit](super::concurrency) allows,
//! first come, first served.
//!
//! No permit is ever lost. A task that is dropped while it waits leaves the queue, and one that is dropped while it holds
//! a permit gives the permit back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::concurrency::{ConcurrencyLimit, Epoch, Signal};

/// How busy one push service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Congestion {
    /// The concurrency limit, in requests. Right after it was halved, more requests may be in flight.
    pub limit: usize,
    /// Requests in flight, those that wait for a connection included.
    pub in_flight: usize,
    /// Pushes that wait for a permit.
    pub waiting: usize,
    /// Time until which the service last asked to wait; it may have passed. It is forgotten when the service serves a
    /// request that began after it had asked. The limiter does not wait for it: a caller that has other work to do may.
    pub not_before: Option<Timestamp>,
}

/// Limits how many requests one push service gets at once, and learns from its answers how many it can take.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use webpush::client::{Limiter, Signal};
///
/// let limiter = Limiter::new(500);
/// assert_eq!(limiter.congestion().limit, 100, "it starts with the streams of one connection");
///
/// let permit = limiter.acquire().await;
/// assert_eq!(limiter.congestion().in_flight, 1);
/// permit.report(Signal::Served);
/// assert_eq!(limiter.congestion().in_flight, 0);
/// # }
/// ```
#[derive(Debug)]
pub struct Limiter(Mutex<State>);

#[derive(Debug)]
struct State {
    concurrency: ConcurrencyLimit,
    in_flight: usize,
    /// Tasks that wait, by ticket: the lowest one is next. Empty while a permit is free.
    queue: BTreeMap<u64, oneshot::Sender<Epoch>>,
    tickets: u64,
}

/// A permit that is already counted as in flight, on its way to the task that waited for it.
type Grant = (oneshot::Sender<Epoch>, Epoch);

impl Limiter {
    /// A limiter whose limit stays between 1 and `max`.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            concurrency: ConcurrencyLimit::new(max),
            in_flight: 0,
            queue: BTreeMap::new(),
            tickets: 0,
        })))
    }

    /// Waits for a permit. Permits are granted in order of arrival.
    pub async fn acquire(self: &Arc<Self>) -> Permit {
        let epoch = match self.ask() {
            Ok(epoch) => epoch,
            Err(waiter) => waiter.turn().await,
        };
        Permit {
            limiter: Arc::clone(self),
            epoch,
            held: true,
            reported: false,
        }
    }

    /// How busy the service is now.
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
        if state.has_free_permit() {
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

    fn leave(&self, epoch: Epoch, held: bool, signal: Signal) -> bool {
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
        state.in_flight -= usize::from(held);
        let next = state.next();
        drop(state);
        self.hand_out(next);
        lowered
    }

    /// Wakes the tasks whose turn it is. Without the lock, since waking a task runs code of its executor.
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
    fn has_free_permit(&self) -> bool {
        self.in_flight < self.concurrency.limit()
    }

    /// Takes a permit for the first task in the queue.
    fn next(&mut self) -> Option<Grant> {
        if !self.has_free_permit() {
            return None;
        }
        let (_, waiter) = self.queue.pop_first()?;
        self.in_flight += 1;
        Some((waiter, self.concurrency.epoch()))
    }
}

/// Permission for one request to a push service. Dropped, it is given back.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<Limiter>,
    epoch: Epoch,
    /// Counted as in flight.
    held: bool,
    reported: bool,
}

impl Permit {
    /// Gives the permit to the next task, while the request is still in flight. Its outcome can still be reported.
    pub fn release(&mut self) {
        if std::mem::take(&mut self.held) {
            self.limiter.leave(self.epoch, true, Signal::Unclear);
        }
    }

    /// Gives the permit back with what the exchange says about the service. Returns whether the limit was lowered.
    pub fn report(mut self, signal: Signal) -> bool {
        self.reported = true;
        self.limiter.leave(self.epoch, self.held, signal)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.reported {
            self.limiter.leave(self.epoch, self.held, Signal::Unclear);
        }
    }
}

/// A place in the queue, left when its turn comes or when it is dropped.
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
        // A permit that is not sent yet finds the channel closed, and goes to the next task.
        self.granted.close();
        if let Ok(epoch) = self.granted.try_recv() {
            self.limiter.leave(epoch, true, Signal::Unclear);
        }
    }
}
