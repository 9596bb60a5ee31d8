//! When a worker must stop: at its deadline, or when the process is told to stop.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Tells workers to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

/// The stop signal that a worker checks. A clone shares it.
#[derive(Debug, Clone)]
pub struct Stop {
    at: watch::Receiver<Option<Instant>>,
    grace: Duration,
}

impl Stopper {
    /// A stopper and its signal. Once stopped, workers wait up to `grace` for answers to the pushes in flight.
    pub fn new(grace: Duration) -> (Self, Stop) {
        let (stopper, at) = watch::channel(None);
        (Self(stopper), Stop { at, grace })
    }

    /// Tells workers to stop now: they wait for answers, write their checkpoints and hand over.
    pub fn stop(&self) {
        self.0.send_replace(Some(Instant::now()));
    }
}

impl Stop {
    /// A signal that is reached after `time`. Workers then wait up to `grace` for answers.
    pub fn after(time: Duration, grace: Duration) -> Self {
        let at = watch::channel(Some(Instant::now() + time)).1;
        Self { at, grace }
    }

    /// A signal that is never reached.
    pub fn never() -> Self {
        let at = watch::channel(None).1;
        let grace = Duration::ZERO;
        Self { at, grace }
    }

    /// Whether the worker must stop.
    pub fn is_reached(&self) -> bool {
        self.at.borrow().is_some_and(|at| Instant::now() >= at)
    }

    /// Waits until the worker must stop. It then starts no more pushes.
    pub async fn reached(&self) {
        let mut stop = self.at.clone();
        // An error means that the stopper was dropped: nobody can set a time any more.
        let set = stop.wait_for(Option::is_some).await;
        let at = set.ok().and_then(|at| *at);
        match at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// When the worker no longer waits for answers.
    pub fn last_answer(&self) -> Instant {
        let at = *self.at.borrow();
        at.unwrap_or_else(Instant::now) + self.grace
    }
}
