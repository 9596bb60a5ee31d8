//! Pushing one page: everyone at once, as the push services take it, and nobody waits long for the slowest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use super::push_to_row::push_to_row;
use crate::campaign::Faults;
use crate::clock::Clock;
use crate::queue::Stop;
use crate::subscribers::Row;
use webpush::{AllowList, Endpoint, Message};
use webpush::{Dispatched, Pusher, Report};

/// Once half of a page is answered the rest has this long, before it is asked who holds it up.
const PATIENCE: Duration = Duration::from_millis(300);
/// Or this many times as long as the faster half took.
const SLOWER: u32 = 2;
/// Or this long, if less than half is answered by then.
const SLOW: Duration = Duration::from_secs(2);
/// Whoever has not been begun by then is pushed to another time: the lease must not run out.
pub(super) const LONGEST: Duration = Duration::from_secs(20);
/// When nobody at all has been answered by then, there is no place for whoever has not been begun.
const SILENCE: Duration = Duration::from_secs(5);
/// How often it is looked at again.
const LOOK: Duration = Duration::from_millis(100);

/// What pushing needs.
#[derive(Debug, Clone)]
pub(super) struct Push {
    pub(super) pusher: Pusher,
    pub(super) allowed: AllowList,
    pub(super) clock: Clock,
    pub(super) message: Arc<Message>,
}

/// A page under way, or what is left of one.
pub(super) struct Flights {
    flights: BTreeMap<usize, Flight>,
    under_way: FuturesUnordered<BoxFuture<'static, (usize, Option<Report>)>>,
}

struct Flight {
    row: Row,
    begun: Arc<Dispatched>,
    abort: AbortHandle,
    fate: Fate,
}

enum Fate {
    UnderWay,
    Answered(Box<Report>),
    /// Taken out before anything was sent.
    Aside,
}

/// What became of a page.
#[derive(Default)]
pub(super) struct Pushed {
    /// Pushed to, with what became of it.
    pub(super) done: Vec<(Row, Report)>,
    /// Not pushed to: their service had no place for them.
    pub(super) aside: Vec<Row>,
}

/// What the page may take.
#[derive(Debug)]
pub(super) struct Bounds<'a> {
    /// Pushes that may be left under way when the page is passed.
    pub(super) few: usize,
    /// And where they hold up those of other services.
    pub(super) most: usize,
    /// When the worker must stop.
    pub(super) stop: &'a Stop,
    /// How long the pushes are spread out over.
    pub(super) spread: Duration,
}

impl Push {
    /// Begins to push to `rows`, each when `start` says.
    pub(super) fn begin(
        &self,
        rows: Vec<Row>,
        mut start: impl FnMut() -> Option<Instant>,
    ) -> Flights {
        let mut flights = BTreeMap::new();
        let under_way = FuturesUnordered::new();
        for (i, row) in rows.into_iter().enumerate() {
            let begun = Arc::new(Dispatched::default());
            let (abort, registration) = AbortHandle::new_pair();
            let one = self.clone().one(row.clone(), Arc::clone(&begun), start());
            let one = Abortable::new(one, registration);
            let one: BoxFuture<'static, _> = Box::pin(async move { (i, one.await.ok()) });
            under_way.push(one);
            flights.insert(
                i,
                Flight {
                    row,
                    begun,
                    abort,
                    fate: Fate::UnderWay,
                },
            );
        }
        Flights { flights, under_way }
    }

    /// What the answers say of us.
    pub(super) fn faults_of(&self, pushed: &Pushed) -> Faults {
        let mut faults = Faults::default();
        for (row, report) in &pushed.done {
            if let Ok(endpoint) = Endpoint::parse(&row.endpoint, &self.allowed) {
                faults.note(endpoint.origin(), report);
            }
        }
        faults
    }

    async fn one(self, row: Row, begun: Arc<Dispatched>, start: Option<Instant>) -> Report {
        if let Some(start) = start {
            sleep_until(start).await;
        }
        let now = self.clock.now();
        push_to_row(
            &self.pusher,
            &row,
            &self.allowed,
            &self.message,
            now,
            &begun,
        )
        .await
    }
}

impl Flights {
    /// Waits for answers: for all of them, or until those that are left may be left.
    pub(super) async fn land(&mut self, bounds: Bounds<'_>) {
        let began = Instant::now();
        let half = self.under_way.len() / 2;
        let mut longest = began + bounds.spread + LONGEST;
        let mut look_at = began + bounds.spread + SLOW;
        let (mut silent, silent_to) = (true, began + bounds.spread + SILENCE);
        let (mut stopping, mut leave_at) = (false, longest);
        loop {
            tokio::select! {
                biased;
                landed = self.under_way.next() => {
                    let Some((i, report)) = landed else {
                        return;
                    };
                    silent &= report.as_ref().is_none_or(|report| report.answer().is_none());
                    if let Some(flight) = self.flights.get_mut(&i) {
                        flight.fate = report.map_or(Fate::Aside, |report| Fate::Answered(report.into()));
                    }
                    if self.under_way.len() == half {
                        let taken = began.elapsed().saturating_sub(bounds.spread);
                        let slow = Instant::now() + (taken * SLOWER).clamp(PATIENCE, LONGEST);
                        // Who has not been begun, since it was not its turn, is held up by nobody.
                        let all_begun = began + bounds.spread + PATIENCE;
                        look_at = look_at.min(slow.max(all_begun));
                    }
                }
                () = bounds.stop.reached(), if !stopping => {
                    self.put_aside();
                    (stopping, leave_at) = (true, bounds.stop.last_answer());
                }
                () = sleep_until(leave_at), if stopping => return,
                () = sleep_until(longest) => {
                    self.put_aside();
                    longest += LONGEST;
                }
                () = sleep_until(silent_to), if silent && !stopping => {
                    self.put_aside();
                    silent = false;
                    if self.left().count() <= bounds.most {
                        return;
                    }
                }
                () = sleep_until(look_at), if !stopping => {
                    let mut may_be_left = bounds.few;
                    if self.others_are_held_up() {
                        self.put_aside();
                        may_be_left = bounds.most;
                    }
                    if self.left().count() <= may_be_left {
                        return;
                    }
                    look_at = Instant::now() + LOOK;
                }
            }
        }
    }

    /// Takes out what is over, and says how many are left under way.
    pub(super) fn take_landed(&mut self) -> (Pushed, usize) {
        let mut pushed = Pushed::default();
        let all = std::mem::take(&mut self.flights);
        for (i, flight) in all {
            match flight.fate {
                Fate::Answered(report) => pushed.done.push((flight.row, *report)),
                Fate::Aside => pushed.aside.push(flight.row),
                Fate::UnderWay => {
                    self.flights.insert(i, flight);
                }
            }
        }
        (pushed, self.flights.len())
    }

    /// The endpoints of those under way.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.flights.values().map(|flight| &flight.row.endpoint[..])
    }

    /// Whether those who are left are at other services than a good part of the page: then these wait for them.
    fn others_are_held_up(&self) -> bool {
        let slow: BTreeSet<&str> = self.left().map(Flight::service).collect();
        let fast = |flight: &&Flight| !slow.contains(flight.service());
        self.flights.values().filter(fast).count() * 10 >= self.flights.len()
    }

    fn left(&self) -> impl Iterator<Item = &Flight> {
        let left = |flight: &&Flight| matches!(flight.fate, Fate::UnderWay);
        self.flights.values().filter(left)
    }

    /// Takes out those that were not begun: nothing of them was sent.
    fn put_aside(&mut self) {
        for flight in self.flights.values_mut() {
            if matches!(flight.fate, Fate::UnderWay) && !flight.begun.is_set() {
                flight.abort.abort();
                flight.fate = Fate::Aside;
            }
        }
    }
}

impl Flight {
    /// Scheme and host, as the endpoint begins: enough to tell services apart.
    fn service(&self) -> &str {
        let endpoint = &self.row.endpoint;
        let path = endpoint.match_indices('/').nth(2);
        path.map_or(endpoint, |(at, _)| &endpoint[..at])
    }
}
