//! Single rules.

use super::super::{Answer, Counts, Leave, Meter, Millis, Rate, Report, Turns};

const REFUSED: Answer = Answer::Refused { retry_after: None };

fn report(epoch: u32, passed: u32, refused: u32) -> Report {
    let counts = Counts {
        passed,
        refused,
        ..Counts::default()
    };
    Report {
        epoch,
        counts,
        span: 1000,
        wall: false,
    }
}

fn wall(passed: u32, refused: u32, retry_after: Millis) -> Report {
    let mut report = report(0, passed, refused);
    report.wall = true;
    report.counts.with_retry_after = if retry_after > 0 { refused } else { 0 };
    report.counts.longest_retry_after = retry_after;
    report
}

/// A lane that met a wall after a second, and what a worker may do when it has decided.
fn walled(report: &Report) -> (Rate, Leave) {
    let mut rate = Rate::default();
    assert_eq!(rate.exchange(report, 100, 10_000), Leave::Wait(10_300));
    let leave = rate.exchange(&Report::default(), 100, 10_300);
    (rate, leave)
}

#[test]
fn a_worker_stops_when_27_of_32_are_refused() {
    let mut meter = Meter::default();
    let mut stops = Vec::new();
    for n in 0..32 {
        let answer = if n < 5 { Answer::Passed } else { REFUSED };
        stops.push(meter.answered(0, answer, n));
    }
    assert_eq!(stops.iter().position(|stop| *stop), Some(31));
    let report = meter.report(32);
    assert!(report.wall && report.counts.refused == 27 && report.span == 32);
    assert!(!meter.answered(0, REFUSED, 33), "it has reported");
}

#[test]
fn a_worker_stops_when_its_first_eight_are_refused() {
    let mut meter = Meter::default();
    let stops: Vec<bool> = (0..8).map(|n| meter.answered(0, REFUSED, n)).collect();
    assert_eq!(stops.iter().position(|stop| *stop), Some(7));
}

#[test]
fn where_chance_refuses_half_it_takes_more() {
    let mut meter = Meter::default();
    let rate = Rate {
        base: 0.5,
        ..Rate::default()
    };
    meter.follow(rate.epoch, rate.base);
    assert!((0..16).all(|n| !meter.answered(0, REFUSED, n)));
    assert!((16..32).any(|n| meter.answered(0, REFUSED, n)));
}

#[test]
fn answers_of_an_earlier_epoch_say_nothing() {
    let (mut rate, _) = walled(&wall(100, 40, 0));
    assert_eq!(rate.epoch, 1);
    let before = rate.period.counts;
    rate.hear(&report(0, 0, 5000), 10_400);
    assert_eq!((rate.period.counts, rate.epoch), (before, 1));

    let mut meter = Meter::default();
    meter.answered(0, REFUSED, 1);
    meter.follow(rate.epoch, rate.base);
    assert!(meter.is_empty());
    assert!((0..40).all(|n| !meter.answered(0, REFUSED, n)) && meter.is_empty());
}

#[test]
fn retry_after_is_waited_for_where_a_wall_says_it() {
    let (rate, leave) = walled(&wall(100, 40, 20_000));
    assert_eq!((leave, rate.hold), (Leave::Wait(30_300), 30_300));
    let mut after = rate;
    let leave = after.exchange(&Report::default(), 1000, 30_300);
    assert!(matches!(leave, Leave::Turn(turn) if f64::from(turn.posts) >= rate.known.floor()));

    let (rate, _) = walled(&wall(100, 40, 86_400_000));
    assert_eq!(rate.hold, 610_300, "nobody waits for a day");

    let mut rate = Rate::default();
    let mut some = report(0, 600, 300);
    (
        some.counts.with_retry_after,
        some.counts.longest_retry_after,
    ) = (300, 60_000);
    rate.hear(&some, 10_000);
    assert!(
        rate.probe.is_some() && rate.hold == 0,
        "some pass: a probe decides"
    );
}

#[test]
fn up_to_15_percent_slow_an_unpaced_lane_never_down() {
    let mut rate = Rate::default();
    for second in 1..100 {
        rate.hear(&report(0, 870, 130), second * 1000);
    }
    assert_eq!((rate.pace, rate.probe, rate.epoch), (None, None, 0));
}

#[test]
fn a_refusal_costs_an_attempt_unless_the_lane_is_paced() {
    let (paced, _) = walled(&wall(100, 40, 0));
    assert!(Rate::default().costs_an_attempt(0));
    assert!((0..9).all(|before| !paced.costs_an_attempt(before)));
    assert!(paced.costs_an_attempt(9));
}

#[test]
fn a_period_that_nobody_ended_is_forgotten() {
    let mut rate = Rate::default();
    rate.hear(&wall(1, 40, 0), 10_000);
    assert_eq!(
        rate.exchange(&Report::default(), 100, 3_600_000),
        Leave::Unpaced
    );
}

#[test]
fn workers_that_begin_together_share_the_first_flight() {
    let mut rate = Rate::default();
    let flights: Vec<u32> = (0..50).map(|_| rate.first_flight()).collect();
    assert_eq!(flights[0], 64);
    assert!(flights.iter().sum::<u32>() < 400);
    rate.known = 100.0;
    assert_eq!(rate.first_flight(), 64);
}

#[test]
fn ten_workers_share_a_ceiling() {
    let mut turns = Turns::default();
    let mut looks = [0; 10];
    let mut posts = 0;
    for now in (1_000_000..1_060_000).step_by(10) {
        for look in looks.iter_mut().filter(|look| **look <= now) {
            match turns.take(250.0, 1000, now) {
                Ok(turn) => {
                    posts += turn.posts;
                    *look = turn.to;
                }
                Err(until) => *look = until,
            }
        }
    }
    assert!((14_900..=15_300).contains(&posts), "{posts}");
}

#[test]
fn a_turn_is_spread_over_its_time_and_lapses() {
    let mut turns = Turns::default();
    let turn = turns.take(100.0, 50, 10_000).expect("free");
    assert_eq!((turn.posts, turn.to), (50, 10_400));
    assert_eq!((turn.due(10_000), turn.due(10_200)), (1, 26));
    assert_eq!((turn.due(10_400), turn.due(11_400)), (50, 0));
    assert_eq!(turns.take(100.0, 50, 10_200), Err(10_400));
}

#[test]
fn ten_percent_beyond_the_base_are_probed_after_five_periods() {
    let mut rate = Rate {
        pace: Some(1000.0),
        known: 1000.0,
        limit: 1000.0,
        ..Rate::default()
    };
    let mut probed = Vec::new();
    for second in 1..=5 {
        rate.hear(&report(rate.epoch, 900, 100), second * 1000);
        probed.push(rate.probe.is_some());
    }
    assert_eq!(probed.iter().position(|probed| *probed), Some(4));
    assert!(rate.pace.is_some_and(|pace| (700.0..730.0).contains(&pace)));
}
