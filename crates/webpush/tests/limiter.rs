//! The limiter hands out permits in order, loses none, and knows when a service is busy.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use webpush::client::{Limiter, Permit, Signal};
use webpush::{Answer, PushService};

/// Pseudorandom numbers (SplitMix64): the same seed repeats a run.
struct Random(Cell<u64>);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    fn below(&self, end: usize) -> usize {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

fn busy_for(seconds: i64) -> Signal {
    Signal::Busy(Some(now() + SignedDuration::from_secs(seconds)))
}

fn signal(service: PushService, status: u16, headers: &[(&'static str, &'static str)]) -> Signal {
    let pair = |&(name, value)| {
        let name = http::HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    let headers: HeaderMap = headers.iter().map(pair).collect();
    Signal::of(&Answer::read(service, status, &headers, b"", now()), now())
}

#[test]
fn each_service_says_in_its_own_words_that_it_is_busy() {
    for (service, status, pairs, expected) in [
        (PushService::Mozilla, 201, &[][..], Signal::Served),
        (PushService::Mozilla, 410, &[], Signal::Served),
        (PushService::Fcm, 429, &[], Signal::Busy(None)),
        (
            PushService::Fcm,
            429,
            &[("retry-after", "30")],
            busy_for(30),
        ),
        (
            PushService::Mozilla,
            503,
            &[("retry-after", "Sun, 01 Mar 2026 12:02:00 GMT")],
            busy_for(120),
        ),
        (
            PushService::Wns,
            406,
            &[("x-wns-continue-after", "7200")],
            busy_for(7200),
        ),
        (PushService::Mozilla, 406, &[], Signal::Unclear),
        // About one subscriber's channel, not about the service.
        (
            PushService::Wns,
            200,
            &[("x-wns-status", "channelthrottled")],
            Signal::Unclear,
        ),
        (
            PushService::Wns,
            200,
            &[("x-wns-status", "dropped")],
            Signal::Unclear,
        ),
        (
            PushService::Wns,
            200,
            &[("x-wns-status", "received")],
            Signal::Served,
        ),
        (PushService::Apple, 500, &[], Signal::Unclear),
        (PushService::Apple, 403, &[], Signal::Unclear),
    ] {
        assert_eq!(
            signal(service, status, pairs),
            expected,
            "{service:?} {status}"
        );
    }
}

type Acquire = Pin<Box<dyn Future<Output = Permit>>>;

/// The tasks that share a limiter, run step by step.
struct Tasks {
    limiter: Arc<Limiter>,
    waiting: Vec<Acquire>,
    holding: Vec<Permit>,
}

impl Tasks {
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
        let mut acquire: Acquire = Box::pin(async move { limiter.acquire().await });
        match poll(&mut acquire) {
            Poll::Ready(permit) => {
                assert_eq!(queue, 0, "permits are granted in order of arrival");
                self.holding.push(permit);
            }
            Poll::Pending => self.waiting.push(acquire),
        }
    }

    /// Polls every waiting task.
    fn poll_all(&mut self) {
        let mut still = Vec::new();
        for mut acquire in self.waiting.drain(..) {
            match poll(&mut acquire) {
                Poll::Ready(permit) => {
                    assert!(still.is_empty(), "permits are granted in order of arrival");
                    self.holding.push(permit);
                }
                Poll::Pending => still.push(acquire),
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
            2 => self.poll_all(),
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

fn poll(acquire: &mut Acquire) -> Poll<Permit> {
    acquire
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn no_permit_is_lost_or_made_up_whatever_tasks_do() {
    for seed in 0..200 {
        let random = Random::new(seed);
        let max = 1 + random.below(12);
        let mut tasks = Tasks::new(max);
        let mut before = tasks.limiter.congestion();
        assert_eq!(before.limit, max);
        for step in 0..600 {
            tasks.step(&random);
            let now = tasks.limiter.congestion();
            let at = format!("seed {seed}, step {step}: {before:?}, then {now:?}");
            assert!((1..=max).contains(&now.limit), "{at}");
            // More permits than the limit are held only after it was lowered, and then none is granted.
            assert!(now.in_flight <= now.limit.max(before.in_flight), "{at}");
            assert!(now.waiting == 0 || now.in_flight >= now.limit, "{at}");
            let all = tasks.holding.len() + tasks.waiting.len();
            assert_eq!(now.in_flight + now.waiting, all, "{at}");
            assert!(now.in_flight >= tasks.holding.len(), "{at}");
            before = now;
        }
        tasks.holding.clear();
        tasks.poll_all();
        tasks.waiting.clear();
        tasks.holding.clear();
        let end = tasks.limiter.congestion();
        assert_eq!((end.in_flight, end.waiting), (0, 0), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn permits_survive_tasks_that_are_aborted_on_other_threads() {
    let limiter = Limiter::new(3);
    let tasks: Vec<_> = (0..2000)
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
    for task in tasks.iter().step_by(3) {
        task.abort();
        tokio::task::yield_now().await;
    }
    for ended in join_all(tasks).await {
        assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()));
    }
    let end = limiter.congestion();
    assert_eq!((end.limit, end.in_flight, end.waiting), (3, 0, 0));
}
