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

/// "halted" or "done", with the words for people.
fn ends(lanes: &[LaneEnd]) -> String {
    let ending = end(lanes);
    let words: Vec<String> = match &ending.end {
        End::Halted { reasons } => reasons
            .iter()
            .map(|(lane, reason)| format!("halted, {lane}: {reason}"))
            .collect(),
        End::Done { warnings } => std::iter::once("done".to_owned())
            .chain(warnings.iter().map(Warning::to_string))
            .collect(),
    };
    let parks: Vec<String> = ending
        .park
        .iter()
        .map(|(lane, _)| format!("parks {lane}"))
        .collect();
    words
        .into_iter()
        .chain(parks)
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn the_end_of_a_campaign() {
    let parked = State::Parked(Reason::ServedNobody);
    let silent = LaneEnd {
        accepted: false,
        ..lane("apple")
    };
    for (case, lanes, how) in [
        (
            "everybody was reached",
            vec![lane("fcm"), silent.clone()],
            "done",
        ),
        (
            "some were refused where others were accepted",
            vec![LaneEnd {
                rejected: 300_000,
                ..lane("fcm")
            }],
            "done",
        ),
        (
            "a parked lane holds a reached row",
            vec![
                lane("fcm"),
                LaneEnd {
                    state: parked.clone(),
                    held_reached: 1,
                    ..lane("apple")
                },
            ],
            "halted, apple: the push service served nobody for six hours",
        ),
        (
            "a parked lane holds only rows that were never reached",
            vec![
                lane("fcm"),
                LaneEnd {
                    state: parked,
                    held_unproven: 51,
                    ..silent.clone()
                },
            ],
            "done; apple is parked: the push service served nobody for six hours. 51 subscribers were skipped",
        ),
        (
            "one reached row was rejected where nobody was accepted",
            vec![
                lane("fcm"),
                LaneEnd {
                    rejected: 1,
                    held_reached: 1,
                    ..silent.clone()
                },
            ],
            "halted, apple: nobody was accepted, and 1 subscribers were refused or subscribed under another VAPID \
             key; parks apple",
        ),
        (
            "51 strangers were rejected where nobody was accepted",
            vec![
                lane("fcm"),
                LaneEnd {
                    rejected: 51,
                    held_unproven: 51,
                    ..silent.clone()
                },
            ],
            "done; apple is parked: nobody was accepted, and 51 subscribers were refused or subscribed under another \
             VAPID key. 51 subscribers were skipped; parks apple",
        ),
        (
            "nobody was accepted anywhere, and a stranger was rejected",
            vec![LaneEnd {
                rejected: 1,
                held_unproven: 1,
                ..silent.clone()
            }],
            "halted, apple: nobody was accepted, and 1 subscribers were refused or subscribed under another VAPID \
             key; parks apple",
        ),
        (
            "everybody was called gone",
            vec![LaneEnd {
                gone: 200,
                ..silent.clone()
            }],
            "done; apple accepted nobody and called 200 subscribers gone. Nobody was removed for it",
        ),
        (
            "1000 strangers were called gone, others were not tried",
            vec![
                lane("fcm"),
                LaneEnd {
                    gone: 1000,
                    held_unproven: 7,
                    ..silent
                },
            ],
            "done; apple accepted nobody: 7 subscribers who were never reached were not tried",
        ),
        ("nobody is subscribed", vec![], "done"),
    ] {
        assert_eq!(ends(&lanes), how, "{case}");
    }
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
    assert_eq!(probes(minutes(10)), []);
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
