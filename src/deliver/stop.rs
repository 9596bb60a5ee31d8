//! When a worker must stop: at its deadline, or when it is told to.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Tells workers to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

/// What a worker looks at. A clone is the same.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Instant>>);

impl Stopper {
    /// One that has not been told yet, and what workers look at.
    pub fn new() -> (Self, Stop) {
        let (stopper, stop) = watch::channel(None);
        (Self(stopper), Stop(stop))
    }

    /// Stop now: write down what is done, and hand over.
    pub fn stop(&self) {
        self.0.send_replace(Some(Instant::now()));
    }
}

impl Stop {
    /// Stops when so much time has passed.
    pub fn after(time: Duration) -> Self {
        Self(watch::channel(Some(Instant::now() + time)).1)
    }

    /// Never stops.
    pub fn never() -> Self {
        Self(watch::channel(None).1)
    }

    /// Whether it is time.
    pub fn is_reached(&self) -> bool {
        self.0.borrow().is_some_and(|at| Instant::now() >= at)
    }

    /// Waits until it is time.
    pub async fn reached(&self) {
        let mut stop = self.0.clone();
        // An error: nobody is left to set another time.
        let set = stop.wait_for(Option::is_some).await;
        let at = set.ok().and_then(|at| *at);
        match at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}
