//! The laboratory: simulated services against simulated workers. `--nocapture` prints its table.

mod campaign;
mod cases;
mod rules;
mod services;

use super::{Millis, Rate};
use campaign::{Outcome, Setup, run};
use cases::{Case, Figures, bucket, case, limited, more_limited, unlimited};
use services::{Limit, Service};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=2;

#[expect(clippy::print_stdout, reason = "the table is for people")]
fn print(name: &str, worst: Figures) {
    let Figures { part, beyond } = worst;
    let (part, beyond) = (100.0 * part, 100.0 * beyond);
    println!("{name:42} passed {part:5.1} % of the possible, refused beyond chance {beyond:4.1} %");
}

/// Plays each case with several seeds. The worst of each must keep to its bounds.
fn hold(cases: Vec<Case>) {
    for case in cases {
        let all = SEEDS.map(|seed| case.play(seed).1);
        let worst = all.reduce(|a, b| Figures {
            part: a.part.min(b.part),
            beyond: a.beyond.max(b.beyond),
        });
        let worst = worst.expect("there are seeds");
        print(case.name, worst);
        assert!(worst.part >= case.least, "{}: too slow", case.name);
        assert!(worst.beyond <= case.most, "{}: too fast", case.name);
    }
}

#[test]
fn nineteen_limited_services_take_nine_tenths_of_the_possible() {
    // More than the nine tenths and the quarter that are promised: this is what it reaches.
    hold(
        limited()
            .into_iter()
            .map(|case| case.bounds(0.95, 0.22))
            .collect(),
    );
}

#[test]
fn other_limits_and_starts_do_too() {
    hold(more_limited());
}

#[test]
fn chance_and_short_outages_slow_nobody_down_for_long() {
    hold(unlimited());
}

/// The seconds after the outage until a second passes 95 % of `full`.
fn recovers(case: &Case, ends: usize, full: f64) -> (usize, Outcome) {
    let (outcome, _) = case.play(1);
    let after = &outcome.by_second[ends..];
    let at = after
        .iter()
        .position(|second| second.0 as f64 >= 0.95 * full);
    (at.expect("it recovers"), outcome)
}

#[test]
fn full_speed_is_back_20_s_after_an_hour_of_outage() {
    let hour = |limit, seconds| case("hour", seconds, limit).outage(30.0, 3630.0, 1.0);
    let begins_in_outage = case("hour", 3630, Limit::None).outage(0.0, 3600.0, 1.0);
    let early = case("hour", 3632, Limit::None).outage(2.0, 3602.0, 1.0);
    for (name, case, ends, full) in [
        ("unlimited", hour(Limit::None, 3660), 3630, 7000.0),
        ("500/s", hour(bucket(500.0, 500.0), 3660), 3630, 500.0),
        (
            "10 workers, 500/s",
            hour(bucket(500.0, 500.0), 3660).workers(10),
            3630,
            500.0,
        ),
        ("an outage from the start", begins_in_outage, 3600, 7000.0),
        ("an outage after 2 s", early, 3602, 7000.0),
    ] {
        let (seconds, outcome) = recovers(&case, ends, full);
        let hour = &outcome.by_second[ends - 3590..ends];
        let probes: u64 = hour.iter().map(|second| second.1).sum();
        assert!(seconds <= 20, "{name}: full speed after {seconds} s");
        assert!(probes < 900, "{name}: {probes} refused in the hour");
    }
}

#[test]
fn ten_unlimited_workers_are_back_too() {
    let case = case("minute", 94, Limit::None)
        .workers(10)
        .outage(4.0, 64.0, 1.0);
    let (seconds, _) = recovers(&case, 64, 70_000.0);
    assert!(seconds <= 20, "full speed after {seconds} s");
}

fn setup(seconds: u64, capacity: f64) -> Setup {
    Setup {
        seconds,
        workers: 1,
        capacity,
        round_trip: 30,
        spread: 0,
        seed: 1,
    }
}

/// What a campaign of a minute learned about a service that takes 500 a second.
fn learned() -> (Service, Rate, Millis) {
    let mut service = Service::new(bucket(500.0, 500.0), 0.0, false, 1);
    let mut rate = Rate::default();
    run(&mut service, &setup(60, 7000.0), &mut rate, 0);
    (service, rate, 60_000)
}

#[test]
fn the_next_campaign_begins_with_what_was_learned() {
    let (mut service, mut rate, ended) = learned();
    let from = ended + 3_600_000;
    let outcome = run(&mut service, &setup(20, 7000.0), &mut rate, from);
    assert!(outcome.passed > 9_500, "{} passed", outcome.passed);
    assert!(outcome.refused < 1000, "{} refused", outcome.refused);
}

#[test]
fn a_small_campaign_neither_raises_nor_forgets_it() {
    let (mut service, mut rate, ended) = learned();
    let pace = rate.pace.expect("paced");
    run(&mut service, &setup(300, 5.0), &mut rate, ended);
    assert_eq!(rate.pace, Some(pace));
    assert!(rate.known > 450.0);
}
