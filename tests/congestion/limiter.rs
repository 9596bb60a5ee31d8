//! The limiter alone: permits, one step at a time and on several threads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;
use webpush::{Limiter, Permit, Signal};

use crate::support::random::Random;

type Acquiring = Pin<Box<dyn Future<Output = Permit>>>;

/// Tasks that use one service's limiter, one step at a time.
struct Users {
    limiter: Arc<Limiter>,
    waiting: Vec<Acquiring>,
    holding: Vec<Permit>,
}

impl Users {
    fn new(max: usize) -> Self {
        Self {
            limiter: Limiter::new(max),
            waiting: Vec::new(),
            holding: Vec::new(),
        }
    }

    fn ask(&mut self) {
        let limiter = Arc::clone(&self.limiter);
        let queue = limiter.congestion().waiting;
        let mut acquiring: Acquiring = Box::pin(async move { limiter.acquire().await });
        match poll(&mut acquiring) {
            Poll::Ready(permit) => {
                assert_eq!(queue, 0, "nobody overtakes those who wait");
                self.holding.push(permit);
            }
            Poll::Pending => self.waiting.push(acquiring),
        }
    }

    /// Every waiting task looks whether it is its turn.
    fn look(&mut self) {
        let mut still = Vec::new();
        for mut acquiring in self.waiting.drain(..) {
            match poll(&mut acquiring) {
                Poll::Ready(permit) => {
                    assert!(still.is_empty(), "nobody overtakes those who wait");
                    self.holding.push(permit);
                }
                Poll::Pending => still.push(acquiring),
            }
        }
        self.waiting = still;
    }

    fn step(&mut self, random: &Random) {
        let signal = || match random.below(8) {
            0 => Signal::Busy(None),
            1 => Signal::Unclear,
            _ => Signal::Served,
        };
        match random.below(6) {
            0..=1 => self.ask(),
            2 => self.look(),
            3 if !self.waiting.is_empty() => {
                drop(self.waiting.remove(random.below(self.waiting.len())));
            }
            4 if !self.holding.is_empty() => {
                drop(self.holding.remove(random.below(self.holding.len())));
            }
            _ if !self.holding.is_empty() => {
                let permit = self.holding.remove(random.below(self.holding.len()));
                permit.report(signal());
            }
            _ => {}
        }
    }
}

fn poll(acquiring: &mut Acquiring) -> Poll<Permit> {
    acquiring
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn no_permit_is_lost_or_made_whatever_happens() {
    for seed in 0..200 {
        let random = Random::new(seed);
        let max = 1 + random.below(12);
        let mut users = Users::new(max);
        let mut before = users.limiter.congestion();
        assert_eq!(before.limit, max);
        for step in 0..600 {
            users.step(&random);
            let now = users.limiter.congestion();
            let at = format!("seed {seed}, step {step}: {before:?}, then {now:?}");
            assert!((1..=max).contains(&now.limit), "{at}");
            // In flight is above the limit only after the limit was lowered, and then nobody gets a permit.
            assert!(now.in_flight <= now.limit.max(before.in_flight), "{at}");
            assert!(now.waiting == 0 || now.in_flight >= now.limit, "{at}");
            let everyone = users.holding.len() + users.waiting.len();
            assert_eq!(now.in_flight + now.waiting, everyone, "{at}");
            assert!(now.in_flight >= users.holding.len(), "{at}");
            before = now;
        }
        users.holding.clear();
        users.look();
        users.waiting.clear();
        users.holding.clear();
        let end = users.limiter.congestion();
        assert_eq!((end.in_flight, end.waiting), (0, 0), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn permits_survive_pushes_that_are_given_up_on_other_threads() {
    let limiter = Limiter::new(3);
    let takers: Vec<_> = (0..2000)
        .map(|n: usize| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move {
                let permit = limiter.acquire().await;
                let congestion = limiter.congestion();
                assert!(congestion.in_flight <= congestion.limit, "{congestion:?}");
                tokio::task::yield_now().await;
                if n.is_multiple_of(2) {
                    permit.report(Signal::Served);
                }
            })
        })
        .collect();
    for taker in takers.iter().step_by(3) {
        taker.abort();
        tokio::task::yield_now().await;
    }
    for ended in join_all(takers).await {
        assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()));
    }
    let end = limiter.congestion();
    assert_eq!((end.limit, end.in_flight, end.waiting), (3, 0, 0));
}
