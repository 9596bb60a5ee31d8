//! How campaigns end and go on, and single sends.

use std::time::Duration;

use super::super::{
    Answer, End, GoesOn, History, Item, LaneAccepted, LaneEnd, Note, Reason, State, Warning, end,
    next_probe, resume, single_send,
};
use super::{TODAY, marked, never, reached};

fn lane(name: &str) -> LaneEnd {
    LaneEnd {
        lane: name.to_owned(),
        state: State::Open,
        accepted: true,
        rejected: 0,
        gone: 0,
        held_reached: 0,
        held_unproven: 0,
    }
}

/// Which lanes it parks, "halted" or "done", and the warnings.
fn ends(lanes: &[LaneEnd]) -> String {
    let ending = end(lanes);
    let mut words: Vec<String> = ending.park.iter().map(|_| "parks".to_owned()).collect();
    match ending.end {
        End::Halted { reasons } => {
            assert!(!reasons.is_empty(), "a halted campaign has a reason");
            words.push("halted".to_owned());
        }
        End::Done { warnings } => {
            words.push("done".to_owned());
            words.extend(warnings.into_iter().map(|warning| match warning {
                Warning::Parked { skipped, .. } => format!("parked, {skipped} skipped"),
                Warning::AllGone { .. } => "all gone".to_owned(),
                Warning::NotTried { skipped, .. } => format!("{skipped} not tried"),
            }));
        }
    }
    words.join("; ")
}

/// One lane, fcm, is as the line says. Another, apple, accepted somebody or nobody.
type Line = (&'static str, bool, bool, bool, [u64; 4], &'static str);

#[rustfmt::skip]
const TABLE: &[Line] = &[
    // fcm                                     parked accepted others  rejected, gone, held reached, held unproven
    ("everybody was reached",                  false, true,  false, [0, 0, 0, 0],       "done"),
    ("nothing was answered",                   false, false, true,  [0, 0, 0, 0],       "done"),
    ("300 000 strangers were refused",         false, true,  false, [300_000, 0, 0, 0], "done"),
    ("some are gone",                          false, true,  false, [0, 200, 0, 0],     "done"),
    ("all are gone",                           false, false, false, [0, 200, 0, 0],     "done; all gone"),
    ("1000 are gone, strangers not tried",     false, false, true,  [0, 1000, 0, 7],    "done; 7 not tried"),
    ("parked, holds a reached row",            true,  true,  true,  [0, 0, 1, 0],       "halted"),
    ("parked, holds strangers only",           true,  false, true,  [0, 0, 0, 51],      "done; parked, 51 skipped"),
    ("parked, nobody was accepted anywhere",   true,  false, false, [51, 0, 0, 51],     "halted"),
    ("one reached row waits",                  false, false, true,  [1, 0, 1, 0],       "parks; halted"),
    ("51 strangers wait",                      false, false, true,  [51, 0, 0, 51],     "parks; done; parked, 51 skipped"),
    ("one stranger waits, nobody is accepted", false, false, false, [1, 0, 0, 1],       "parks; halted"),
    ("one is refused, nobody is accepted",     false, false, false, [1, 0, 0, 0],       "parks; halted"),
];

#[test]
fn the_end_of_a_campaign() {
    for (case, parked, accepted, others, [rejected, gone, held_reached, held_unproven], how) in
        TABLE.iter().copied()
    {
        let state = if parked {
            State::Parked(Reason::ServedNobody)
        } else {
            State::Open
        };
        let fcm = LaneEnd {
            state,
            accepted,
            rejected,
            gone,
            held_reached,
            held_unproven,
            ..lane("fcm")
        };
        let apple = LaneEnd {
            accepted: others,
            ..lane("apple")
        };
        assert_eq!(ends(&[fcm, apple]), how, "{case}");
    }
    assert_eq!(ends(&[]), "done", "nobody is subscribed");
}

#[test]
fn people_read_why_a_lane_is_parked() {
    let rejected = Reason::NobodyAccepted { rejected: 7 };
    let warning = Warning::Parked {
        lane: "apple".to_owned(),
        reason: rejected,
        skipped: 7,
    };
    assert_eq!(
        warning.to_string(),
        "apple is parked: nobody was accepted, and 7 subscribers were refused or subscribed under another VAPID key. \
         7 subscribers were skipped"
    );
}

#[test]
fn a_halted_campaign_tries_after_10_minutes_and_hourly_for_a_day_while_ttls_last() {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let probes = |useful_until: Duration| {
        let mut probes = Vec::new();
        while let Some(at) = next_probe(minutes(0), probes.last().copied(), useful_until) {
            probes.push(at);
        }
        probes
    };
    let all = probes(minutes(100_000));
    assert_eq!((all[0], all[1], all.len()), (minutes(10), minutes(70), 24));
    assert_eq!(probes(minutes(71)), [minutes(10), minutes(70)]);
    assert!(probes(minutes(10)).is_empty());
    assert!(GoesOn::Resumed.restarts_ttl() && !GoesOn::ByItself.restarts_ttl());
}

#[test]
fn resume_opens_all_lanes_and_believes_those_that_are_named() {
    let parked = Item {
        state: State::Parked(Reason::KeyCannotSign),
        unproven: 1000,
        ..Item::default()
    };
    let paced = Item {
        state: State::Paced,
        ..Item::default()
    };
    let mut lanes = vec![
        ("fcm".to_owned(), parked.clone()),
        ("apple".to_owned(), parked),
        ("wns".to_owned(), paced),
    ];

    let before = lanes.clone();
    let unknown = resume(&mut lanes, &["fmc".to_owned()]).map_err(|error| error.to_string());
    assert_eq!(
        (unknown, &lanes),
        (Err("the campaign has no lane fmc".to_owned()), &before)
    );

    assert_eq!(resume(&mut lanes, &["apple".to_owned()]), Ok(()));
    let believed: Vec<_> = lanes
        .iter()
        .map(|(_, it)| (it.believed, it.epoch, it.unproven))
        .collect();
    assert_eq!(believed, [(false, 1, 0), (true, 1, 0), (false, 1, 0)]);
    let states: Vec<_> = lanes.into_iter().map(|(_, it)| it.state).collect();
    assert_eq!(states, [State::Open, State::Open, State::Paced]);
}

#[test]
fn what_a_single_send_does() {
    let day = 24 * 60 * 60;
    let now = Duration::from_secs(100 * day);
    let ago = |days: u64| LaneAccepted {
        last: Some(Duration::from_secs((100 - days) * day)),
        now,
    };
    let no = LaneAccepted { last: None, now };
    let old = History {
        reached: true,
        gone_on: None,
        ..never()
    };
    for (answer, history, lane, note) in [
        (Answer::Accepted, reached(), no, None),
        (Answer::Accepted, never(), no, Some(Note::Reached)),
        (Answer::Accepted, marked(8), no, Some(Note::Clear)),
        (Answer::Gone, old, ago(7), Some(Note::Remove)),
        (Answer::Gone, never(), ago(7), Some(Note::Remove)),
        (Answer::Gone, reached(), ago(8), Some(Note::Mark)),
        (Answer::Gone, reached(), no, Some(Note::Mark)),
        (Answer::Gone, never(), no, None),
        (Answer::NotFound, reached(), ago(0), Some(Note::Mark)),
        (Answer::NotFound, never(), ago(0), None),
        (Answer::NotFound, marked(6), ago(0), Some(Note::Mark)),
        (Answer::NotFound, marked(7), ago(0), Some(Note::Remove)),
        (Answer::NotFound, marked(8), ago(8), Some(Note::Mark)),
        (Answer::Mismatch, marked(8), ago(0), None),
        (Answer::Auth, never(), ago(0), None),
        (Answer::Other, reached(), ago(0), None),
    ] {
        assert_eq!(
            single_send(answer, history, lane, TODAY),
            note,
            "{answer:?} {history:?} {lane:?}"
        );
    }
    let minutes = |m: u64| LaneAccepted {
        last: Some(now - Duration::from_secs(m * 60)),
        now,
    };
    assert!(!minutes(59).is_refresh_due() && minutes(60).is_refresh_due() && no.is_refresh_due());
}
