//! The services of the laboratory.

use super::super::{Millis, Rate};
use super::campaign::{Outcome, Setup, run};
use super::services::{Limit, Outage, Service};

const MINUTE: f64 = 60.0;
const SLOW: f64 = 1000.0 / MINUTE;

/// A service, a campaign against it, and what is asked of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    limit: Limit,
    chance: f64,
    says_when: bool,
    outages: Vec<Outage>,
    setup: Setup,
    /// The least part of the possible that passes.
    pub(super) least: f64,
    /// The most refusals per post, beyond those by chance.
    pub(super) most: f64,
}

/// What came of a case: the part of the possible that passed, and the refusals per post beyond those by chance.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    pub(super) part: f64,
    pub(super) beyond: f64,
}

pub(super) fn case(name: &'static str, seconds: u64, limit: Limit) -> Case {
    Case {
        name,
        limit,
        chance: 0.0,
        says_when: false,
        outages: Vec::new(),
        setup: Setup {
            seconds,
            workers: 1,
            capacity: 7000.0,
            round_trip: 30,
            spread: 0,
            seed: 1,
        },
        least: 0.9,
        most: 0.25,
    }
}

impl Case {
    fn chance(self, chance: f64) -> Self {
        Self { chance, ..self }
    }

    fn says_when(self) -> Self {
        Self {
            says_when: true,
            ..self
        }
    }

    pub(super) fn workers(mut self, workers: usize) -> Self {
        self.setup.workers = workers;
        self
    }

    fn within(mut self, spread: Millis) -> Self {
        self.setup.spread = spread;
        self
    }

    fn round_trip(mut self, round_trip: Millis) -> Self {
        self.setup.round_trip = round_trip;
        self
    }

    fn capacity(mut self, capacity: f64) -> Self {
        self.setup.capacity = capacity;
        self
    }

    pub(super) fn outage(mut self, from: f64, to: f64, share: f64) -> Self {
        self.outages.push(Outage { from, to, share });
        self
    }

    /// Other bounds than nine tenths and a quarter.
    pub(super) fn bounds(self, least: f64, most: f64) -> Self {
        Self {
            least,
            most,
            ..self
        }
    }

    pub(super) fn play(&self, seed: u64) -> (Outcome, Figures) {
        let mut service =
            Service::new(self.limit, self.chance, self.says_when, seed).with_outages(&self.outages);
        let setup = Setup { seed, ..self.setup };
        let outcome = run(&mut service, &setup, &mut Rate::default(), 0);
        let capacity = setup.capacity * setup.workers as f64;
        let possible = service.possible(setup.seconds as f64, capacity);
        let posts = (outcome.passed + outcome.refused) as f64;
        let figures = Figures {
            part: outcome.passed as f64 / possible,
            beyond: outcome.refused as f64 / posts - self.chance,
        };
        (outcome, figures)
    }
}

pub(super) fn bucket(rate: f64, burst: f64) -> Limit {
    changing(rate, burst, f64::INFINITY, rate)
}

fn changing(rate: f64, burst: f64, at: f64, then: f64) -> Limit {
    Limit::Bucket {
        rate,
        burst,
        at,
        then,
    }
}

fn window(limit: f64, width: f64) -> Limit {
    Limit::Window {
        limit,
        width,
        offset: 0.0,
    }
}

/// The nineteen services that the controller was first tried on.
#[rustfmt::skip]
pub(super) fn limited() -> Vec<Case> {
    let minute = || window(1000.0, MINUTE);
    let half = || bucket(500.0, 500.0);
    vec![
        case("bucket 1000/min, burst 100", 300, bucket(SLOW, 100.0)),
        case("bucket 1000/min, burst 1000", 300, bucket(SLOW, 1000.0)),
        case("window 1000 each minute", 600, minute()),
        case("window 1000 each minute, Retry-After", 600, minute()).says_when(),
        case("window 600 each second", 300, window(600.0, 1.0)),
        case("bucket 500/s, doubles at 300 s", 900, changing(500.0, 500.0, 300.0, 1000.0)),
        case("bucket 500/s, halves at 300 s", 900, changing(500.0, 500.0, 300.0, 250.0)),
        case("bucket 1000/min, doubles at 300 s", 900, changing(SLOW, 100.0, 300.0, 2.0 * SLOW)),
        case("10 workers, bucket 500/s", 300, half()).workers(10),
        case("10 workers, bucket 1000/min", 300, bucket(SLOW, 100.0)).workers(10),
        case("50 workers, bucket 1000/min", 300, bucket(SLOW, 100.0)).workers(50),
        case("50 workers, bucket 10000/s", 60, bucket(1e4, 1e4)).workers(50),
        case("10 workers, bucket 10000/s", 60, bucket(1e4, 1e4)).workers(10),
        case("bucket 500/s, 300 ms", 300, half()).round_trip(300),
        case("bucket 500/s and 8 % by chance", 600, half()).chance(0.08),
        case("bucket 500/s and 13 % by chance", 600, half()).chance(0.13),
        case("bucket 500/s and 16 % by chance", 600, half()).chance(0.16),
        case("bucket 500/s and 30 % by chance", 600, half()).chance(0.30),
        case("bucket 1000/min and 10 % by chance", 600, bucket(SLOW, 100.0)).chance(0.10),
    ]
}

/// More limits, other starts.
#[rustfmt::skip]
pub(super) fn more_limited() -> Vec<Case> {
    let minute = || window(1000.0, MINUTE);
    let late = Limit::Window { limit: 1000.0, width: MINUTE, offset: 40.0 };
    let half = || bucket(500.0, 500.0);
    vec![
        case("bucket 1000/min, 90 s", 90, bucket(SLOW, 100.0)),
        case("bucket 100/min, burst 10", 300, bucket(100.0 / MINUTE, 10.0)).bounds(0.9, 0.3),
        case("bucket 500/s, burst 10", 300, bucket(500.0, 10.0)),
        case("bucket 500/s, Retry-After", 300, half()).says_when(),
        case("bucket 500/s, 1 s", 300, half()).round_trip(1000),
        case("bucket 500/s, a tenth at 100 s", 300, changing(500.0, 500.0, 100.0, 50.0)),
        case("bucket 500/s, tenfold at 100 s", 300, changing(500.0, 500.0, 100.0, 5000.0)),
        case("bucket 10/s, hundredfold at 100 s", 300, changing(10.0, 10.0, 100.0, 1000.0)).bounds(0.8, 0.25),
        case("bucket 3000/s and 8 % by chance", 60, bucket(3e3, 3e3)).chance(0.08),
        case("window 100 each 10 s", 300, window(100.0, 10.0)),
        case("window 10000 each hour", 7300, window(1e4, 3600.0)),
        case("window 1000 each minute, 150 s", 150, minute()),
        case("window 1000 each minute, 150 s, from 0:40", 150, late),
        case("1000 in any minute, refused posts too", 600, Limit::Strict { limit: 1000, width: MINUTE }),
        case("10 workers, window 1000 each minute", 600, minute()).workers(10),
        case("10 workers, the same, Retry-After", 600, minute()).workers(10).says_when(),
        case("10 workers, the same, begin in 20 s", 600, minute()).workers(10).within(20_000),
        case("10 workers, window 600 each second", 300, window(600.0, 1.0)).workers(10),
        case("10 workers, bucket 500/s, begin in 20 s", 300, half()).workers(10).within(20_000),
        case("10 workers, bucket 500/s, 300 ms", 300, half()).workers(10).round_trip(300),
        case("10 workers, bucket 500/s, 30 % by chance", 300, half()).workers(10).chance(0.3),
    ]
}

/// No limit: chance and outages.
#[rustfmt::skip]
pub(super) fn unlimited() -> Vec<Case> {
    let chance = |name, chance| case(name, 30, Limit::None).chance(chance);
    let few = |name, chance| case(name, 300, Limit::None).chance(chance).capacity(100.0);
    let flapping = (0..5).map(|i| 25.0 + 30.0 * f64::from(i));
    vec![
        case("no limit, 5 s", 5, Limit::None),
        chance("no limit, 5 % by chance", 0.05),
        chance("no limit, 10 % by chance", 0.10),
        chance("no limit, 16 % by chance", 0.16),
        chance("no limit, 20 % by chance", 0.20),
        chance("no limit, 20 % by chance, Retry-After", 0.20).says_when(),
        chance("no limit, 40 % by chance", 0.40),
        case("10 workers, no limit, 20 % by chance", 30, Limit::None).chance(0.2).workers(10),
        few("100 rows a second, 8 % by chance", 0.08),
        few("100 rows a second, 13 % by chance", 0.13),
        few("100 rows a second, 20 % by chance", 0.20),
        case("60 % of 503 for a minute", 300, Limit::None).outage(60.0, 120.0, 0.6),
        case("80 % of 503 for a minute", 300, Limit::None).outage(60.0, 120.0, 0.8).bounds(0.7, 0.25),
        flapping.fold(case("503 for 5 s of each 30 s", 150, Limit::None), |case, from| {
            case.outage(from, from + 5.0, 1.0)
        }).bounds(0.65, 0.25),
    ]
}
