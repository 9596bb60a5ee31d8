//! A site with one lane: subscribers, a push service, workers. Deterministic: time goes in steps of 10 ms, chance has a seed.
//!
//! Each worker has a segment, 200 posts in flight, 2000 first posts a second, settlements every second, jobs of 30 s. Posts
//! are answered after 50 to 150 ms.

mod actions;
mod posts;
mod site;
mod told;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Answer, Ask, At, Attempt, Day, Event, Item, Lane, Now, Row, Tally};
pub(super) use site::{Chance, Fate, Site, Subscriber, always, between, from, half, ok};

const STEP: Duration = Duration::from_millis(10);
const IN_FLIGHT: usize = 200;
const FIRST_POSTS_A_STEP: u32 = 20;
const WAITS: [u64; 4] = [30, 180, 900, 3600];
const LAST: u32 = 5;

/// Where a subscriber is in the campaign.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not read yet, in flight, or waiting in the memory of this worker.
    With(usize),
    /// In a retry part that is due some time.
    Retry,
    /// Skipped, or in a part that is due once somebody is accepted.
    Held,
    Counted(Tally),
}

struct Worker {
    lane: Lane<usize>,
    queue: VecDeque<usize>,
    in_flight: usize,
    /// Distinguishes a process from the one that it replaced.
    process: u64,
    broken: bool,
    check: Option<At>,
    next_settlement: At,
    job_ends: At,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    answered: At,
    row: usize,
    worker: usize,
    process: u64,
    begun: At,
    one_more: bool,
}

/// One campaign under way.
pub(super) struct Campaign<'a> {
    site: &'a mut [Subscriber],
    chance: Chance,
    day: Day,
    pub(super) item: Item,
    pub(super) time: At,
    workers: Vec<Worker>,
    air: BinaryHeap<Reverse<Flight>>,
    retries: BinaryHeap<Reverse<(At, usize, bool)>>,
    held: Vec<(usize, Held)>,
    tries: Vec<u32>,
    places: Vec<Option<Place>>,
    /// Rows that are with a worker, and rows in retry parts.
    with: usize,
    retrying: usize,
    pub(super) posts: usize,
    pub(super) failed_jobs: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// The segment skipped it while the lane had this epoch.
    Skipped(u32),
    Unproven,
    /// In a retry part that is due once somebody is accepted, or the lane has a later epoch.
    OnceAccepted(u32),
}

impl<'a> Campaign<'a> {
    pub(super) fn new(site: &'a mut [Subscriber], day: Day, workers: usize, broken: bool) -> Self {
        let mut chance = Chance::new(2);
        let mut live: Vec<usize> = (0..site.len()).filter(|&row| !site[row].removed).collect();
        for i in (1..live.len()).rev() {
            let other = usize::try_from(chance.below(i as u64 + 1)).unwrap_or(0);
            live.swap(i, other);
        }
        let n = site.len();
        let mut campaign = Self {
            site,
            chance,
            day,
            item: Item::default(),
            time: Duration::from_secs(1),
            workers: Vec::new(),
            air: BinaryHeap::new(),
            retries: BinaryHeap::new(),
            held: Vec::new(),
            tries: vec![0; n],
            places: vec![None; n],
            with: 0,
            retrying: 0,
            posts: 0,
            failed_jobs: 0,
        };
        for worker in 0..workers {
            let new = campaign.process(broken && worker == 0);
            campaign.workers.push(new);
        }
        for (i, row) in live.into_iter().enumerate() {
            campaign.put(row, Place::With(i % workers));
            campaign.workers[i % workers].queue.push_back(row);
        }
        campaign
    }

    fn process(&self, broken: bool) -> Worker {
        Worker {
            lane: Lane::new(self.item.clone(), self.now()),
            queue: VecDeque::new(),
            in_flight: 0,
            process: self.failed_jobs as u64,
            broken,
            check: None,
            next_settlement: self.time + Duration::from_secs(1),
            job_ends: self.time + Duration::from_secs(30),
        }
    }

    fn now(&self) -> Now {
        Now {
            at: self.time,
            today: self.day,
        }
    }

    fn put(&mut self, row: usize, place: Place) {
        let before = self.places[row].replace(place);
        let with = |it: Option<Place>| usize::from(matches!(it, Some(Place::With(_))));
        self.with = self.with + with(Some(place)) - with(before);
        let retry = |it: Option<Place>| usize::from(matches!(it, Some(Place::Retry)));
        self.retrying = self.retrying + retry(Some(place)) - retry(before);
    }

    /// Plays until nothing is left that could be posted.
    pub(super) fn run(&mut self) {
        loop {
            self.release_held();
            if self.with + self.retrying == 0 {
                (0..self.workers.len()).for_each(|worker| self.end_job(worker));
                self.release_held();
                if self.with + self.retrying == 0 {
                    return;
                }
            }
            self.land();
            for worker in 0..self.workers.len() {
                self.work(worker);
            }
            self.post_retries();
            self.pass();
        }
    }

    /// The next step; where nothing is in flight, the next second or retry.
    fn pass(&mut self) {
        let next = match self.retries.peek() {
            Some(Reverse((due, ..))) if self.with == 0 => *due,
            Some(_) | None => self.time + STEP,
        };
        self.time = next.max(self.time + STEP);
    }

    fn land(&mut self) {
        while self
            .air
            .peek()
            .is_some_and(|Reverse(it)| it.answered <= self.time)
        {
            let Some(Reverse(flight)) = self.air.pop() else {
                return;
            };
            let Flight {
                row,
                worker,
                begun,
                answered,
                ..
            } = flight;
            if self.workers[worker].process != flight.process {
                continue;
            }
            self.workers[worker].in_flight -= 1;
            let answer = if self.workers[worker].broken {
                Answer::Auth
            } else {
                let fate = Rc::clone(&self.site[row].fate);
                fate(
                    (answered - Duration::from_secs(1)).as_secs_f64(),
                    &mut self.chance,
                )
            };
            let attempt = match (flight.one_more, self.tries[row]) {
                (true, _) => Attempt::OneMore,
                (false, 1) => Attempt::First,
                (false, _) => Attempt::Again,
            };
            let (last, time) = (self.tries[row] >= LAST, self.time);
            let event = Event::Answered {
                row: self.row(row),
                answer,
                attempt,
                last,
                begun,
            };
            self.time = answered;
            self.step(worker, event);
            self.time = time;
        }
    }

    fn row(&self, row: usize) -> Row<usize> {
        Row {
            key: row,
            origin: Arc::from("https://push.example"),
            history: self.site[row].history,
        }
    }

    /// One worker's step: check after a pause, settle, end the job, post.
    fn work(&mut self, worker: usize) {
        let it = &mut self.workers[worker];
        let checks = it.check.take_if(|at| *at <= self.time).is_some();
        let settles = it.next_settlement <= self.time;
        let ends = it.job_ends <= self.time;
        if settles {
            self.settle(worker);
            let answered = self.time.saturating_sub(Duration::from_secs(10));
            self.step(worker, Event::HandOver { answered });
        } else if checks {
            self.step(worker, Event::News(self.item.clone()));
        }
        if ends {
            self.end_job(worker);
        }
        for _ in 0..FIRST_POSTS_A_STEP {
            let it = &self.workers[worker];
            let Some(&row) = it.queue.front().filter(|_| it.in_flight < IN_FLIGHT) else {
                break;
            };
            let reached = self.site[row].history.reached;
            if !self.try_to_post(row, worker, Ask::First { reached }, false) {
                break;
            }
            self.workers[worker].queue.pop_front();
        }
    }

    fn settle(&mut self, worker: usize) {
        self.workers[worker].next_settlement = self.time + Duration::from_secs(1);
        if self.workers[worker].lane.moves_with_settlement(self.time) {
            self.item.settled();
            self.step(worker, Event::Moved);
        }
        self.step(worker, Event::News(self.item.clone()));
    }

    fn end_job(&mut self, worker: usize) {
        self.workers[worker].job_ends = self.time + Duration::from_secs(30);
        self.settle(worker);
        self.step(worker, Event::JobEnds);
    }

    fn step(&mut self, worker: usize, event: Event<usize>) {
        let mut out = Vec::new();
        let now = self.now();
        self.workers[worker].lane.step(event, now, &mut out);
        for action in out {
            self.carry_out(worker, action);
        }
    }

    /// A halted campaign tries the parked lane with one row.
    pub(super) fn probe(&mut self) {
        if let Some((row, _)) = (!self.held.is_empty()).then(|| self.held.remove(0)) {
            self.step(0, Event::News(self.item.clone()));
            self.try_to_post(row, 0, Ask::Probe, false);
            self.run();
        }
    }
}
