//! When a worker must stop: at its deadline, or when it is told to.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Tells workers to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

/// What a worker looks at. A clone is the same.
#[derive(Debug, Clone)]
pub struct Stop {
    at: watch::Receiver<Option<Instant>>,
    grace: Duration,
}

impl Stopper {
    /// One that has not been told yet, and what workers look at. For the answers to what they have begun they wait as
    /// long as `grace`.
    pub fn new(grace: Duration) -> (Self, Stop) {
        let (stopper, at) = watch::channel(None);
        (Self(stopper), Stop { at, grace })
    }

    /// Stop now: wait for answers, write down what is done, and hand over.
    pub fn stop(&self) {
        self.0.send_replace(Some(Instant::now()));
    }
}

impl Stop {
    /// Stops when so much time has passed, and waits for answers as long as `grace`.
    pub fn after(time: Duration, grace: Duration) -> Self {
        let at = watch::channel(Some(Instant::now() + time)).1;
        Self { at, grace }
    }

    /// Never stops.
    pub fn never() -> Self {
        let at = watch::channel(None).1;
        let grace = Duration::ZERO;
        Self { at, grace }
    }

    /// Whether it is time.
    pub fn is_reached(&self) -> bool {
        self.at.borrow().is_some_and(|at| Instant::now() >= at)
    }

    /// Waits until it is time: nothing is begun any more.
    pub async fn reached(&self) {
        let mut stop = self.at.clone();
        // An error: nobody is left to set another time.
        let set = stop.wait_for(Option::is_some).await;
        let at = set.ok().and_then(|at| *at);
        match at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// When no answer is waited for any more.
    pub fn last_answer(&self) -> Instant {
        let at = *self.at.borrow();
        at.unwrap_or_else(Instant::now) + self.grace
    }
}
