//! Who may send to one push service now, and who waits: in order of arrival, for as many places as its
//! [`pace`](super::pace) allows.
//!
//! Places and turns are never lost: whoever is dropped while waiting leaves the queue, and whoever is dropped while
//! holding a place gives it back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::pace::{Pace, Round, Verdict};

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

/// The places at one push service.
#[derive(Debug)]
pub struct Places(Mutex<State>);

#[derive(Debug)]
struct State {
    pace: Pace,
    in_flight: usize,
    /// By ticket: the first is next. Nobody is in here while a place is free.
    queue: BTreeMap<u64, oneshot::Sender<Round>>,
    tickets: u64,
}

/// A place that is already counted as taken, on its way to who waited for it.
type Grant = (oneshot::Sender<Round>, Round);

impl Places {
    /// Never more than `most`, and never fewer than one.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            pace: Pace::new(most),
            in_flight: 0,
            queue: BTreeMap::new(),
            tickets: 0,
        })))
    }

    /// A place, when all who asked before have theirs.
    pub async fn take(self: &Arc<Self>) -> Place {
        let round = match self.ask() {
            Ok(round) => round,
            Err(waiter) => waiter.turn().await,
        };
        Place {
            places: Arc::clone(self),
            round,
            taken: true,
            left: false,
        }
    }

    /// How things stand.
    pub fn congestion(&self) -> Congestion {
        let state = self.lock();
        Congestion {
            limit: state.pace.limit(),
            in_flight: state.in_flight,
            waiting: state.queue.len(),
            not_before: state.pace.not_before(),
        }
    }

    fn ask(self: &Arc<Self>) -> Result<Round, Waiter> {
        let mut state = self.lock();
        if state.has_room() {
            state.in_flight += 1;
            return Ok(state.pace.round());
        }
        let (grant, granted) = oneshot::channel();
        let ticket = state.tickets;
        state.tickets += 1;
        state.queue.insert(ticket, grant);
        drop(state);
        Err(Waiter {
            places: Arc::clone(self),
            ticket,
            granted,
        })
    }

    fn leave(&self, round: Round, taken: bool, verdict: Verdict) -> bool {
        let mut state = self.lock();
        let full = state.in_flight >= state.pace.limit();
        let lowered = match verdict {
            Verdict::Served => {
                state.pace.served(round, full);
                false
            }
            Verdict::Unclear => false,
            Verdict::Busy(not_before) => state.pace.busy(round, not_before),
        };
        state.in_flight -= usize::from(taken);
        let next = state.next();
        drop(state);
        self.hand_out(next);
        lowered
    }

    /// Wakes those whose turn it is. Not under the lock: waking runs what others wrote.
    fn hand_out(&self, mut next: Option<Grant>) {
        while let Some((waiter, round)) = next {
            let given_up = waiter.send(round).is_err();
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
        self.in_flight < self.pace.limit()
    }

    /// Takes a place for the first in the queue.
    fn next(&mut self) -> Option<Grant> {
        if !self.has_room() {
            return None;
        }
        let (_, waiter) = self.queue.pop_first()?;
        self.in_flight += 1;
        Some((waiter, self.pace.round()))
    }
}

/// A place at a push service, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    round: Round,
    taken: bool,
    left: bool,
}

impl Place {
    /// Lets somebody else have the place; what is learned can still be said.
    pub fn make_room(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.places.leave(self.round, true, Verdict::Unclear);
        }
    }

    /// Gives it back with what was learned. Whether the limit is lower now.
    pub fn leave(mut self, verdict: Verdict) -> bool {
        self.left = true;
        self.places.leave(self.round, self.taken, verdict)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            self.places.leave(self.round, self.taken, Verdict::Unclear);
        }
    }
}

/// In the queue until its turn, or until it is dropped.
struct Waiter {
    places: Arc<Places>,
    ticket: u64,
    granted: oneshot::Receiver<Round>,
}

impl Waiter {
    async fn turn(mut self) -> Round {
        let granted = (&mut self.granted).await;
        granted.expect("a grant that leaves the queue is sent")
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.places.lock().queue.remove(&self.ticket);
        // A grant that was not sent yet finds it closed and goes to the next.
        self.granted.close();
        if let Ok(round) = self.granted.try_recv() {
            self.places.leave(round, true, Verdict::Unclear);
        }
    }
}
