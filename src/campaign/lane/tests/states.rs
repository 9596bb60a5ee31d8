//! Parking, pausing, a worker at fault, rows that were never reached, a key that cannot sign.

use super::super::{Action, Answer, Ask, Attempt, Event, Item, Lane, Permit, Reason, Skip, State};
use super::player::Player;
use super::{never, reached, row, seconds};

const REACHED: Ask = Ask::First { reached: true };
const NEVER: Ask = Ask::First { reached: false };

#[test]
fn fifty_rejected_first_posts_are_borne_while_nobody_is_accepted_and_250_after_that() {
    for (accepted, answer, most) in [
        ("", Answer::Mismatch, 50),
        ("", Answer::Auth, 50),
        ("others accept", Answer::Auth, 50),
        ("accepted", Answer::Mismatch, 250),
        ("accepted", Answer::Auth, 250),
    ] {
        let mut player = Player::new();
        player.play(accepted);
        for _ in 0..most {
            player.other(answer);
        }
        assert_eq!(
            (player.said(), player.permit(REACHED)),
            (String::new(), Permit::Post)
        );
        player.other(answer);
        assert_eq!(player.said(), "pause", "{accepted} {answer:?}");
        let until = seconds(player.clock + 15.0).at;
        for ask in [REACHED, NEVER, Ask::Again] {
            assert_eq!(player.permit(ask), Permit::Later(until));
        }
    }
}

#[test]
fn an_acceptance_begins_the_count_anew() {
    let mut player = Player::new();
    for _ in 0..5 {
        player.play("accepted");
        for _ in 0..250 {
            player.other(Answer::Mismatch);
        }
    }
    assert_eq!(player.said(), "");
}

#[test]
fn gone_retries_and_rows_that_were_never_reached_pause_no_lane() {
    let mut player = Player::new();
    for key in 1..500 {
        player.other(Answer::Gone);
        player.other(Answer::NotFound);
        player.other(Answer::Other);
        player.answer(
            row(key, reached()),
            Answer::Auth,
            Attempt::Again,
            false,
            0.1,
        );
        player.answer(row(key, never()), Answer::Auth, Attempt::First, false, 0.1);
        player.answer(
            row(key, never()),
            Answer::Mismatch,
            Attempt::First,
            false,
            0.1,
        );
    }
    assert_eq!(player.said(), "");
}

/// A lane whose worker saw 51 mismatches and pauses since second 0.
fn paused() -> Player {
    let mut player = Player::new();
    for _ in 0..51 {
        player.other(Answer::Mismatch);
    }
    assert_eq!(player.said(), "pause");
    player
}

#[test]
fn the_lane_is_parked_after_the_pause_if_nobody_else_is_accepted() {
    let mut player = paused();
    player.clock = 14.0;
    player.news();
    assert_eq!(player.said(), "", "too early to decide");
    player.clock = 15.0;
    player.news();
    let said = player.said();
    assert!(
        said.starts_with("park: 51 subscribers in a row were rejected (51 as subscribed"),
        "{said}"
    );
    // Nothing is posted before the item says that it is parked, and nothing after that.
    assert!(matches!(player.permit(REACHED), Permit::Later(_)));
    player.item.state = State::Parked(Reason::ServedNobody);
    player.news();
    for ask in [REACHED, NEVER, Ask::Again] {
        assert_eq!(player.permit(ask), Permit::Skip(Skip::Parked));
    }
    assert_eq!(player.permit(Ask::Probe), Permit::Post);
}

#[test]
fn a_worker_that_alone_is_rejected_fails_its_job() {
    let mut player = paused();
    player.clock = 15.0;
    player.play("others accept");
    assert_eq!(player.said(), "fail the job");
    for ask in [REACHED, NEVER, Ask::Again, Ask::Probe] {
        assert_eq!(player.permit(ask), Permit::Stop);
    }
}

#[test]
fn the_number_that_this_worker_moved_itself_proves_nothing() {
    let mut player = Player::new();
    player.play("accepted");
    assert!(player.lane.moves_with_settlement(seconds(1.0).at));
    for _ in 0..251 {
        player.other(Answer::Mismatch);
    }
    // The settlement of the acceptance ends during the pause.
    player.item.settled();
    player.step(Event::Moved);
    assert!(
        !player.lane.moves_with_settlement(seconds(9.0).at),
        "nobody was accepted since"
    );
    player.clock = 17.0;
    player.news();
    let said = player.said();
    assert!(
        said.starts_with("pause; park: 251") && said.ends_with("Was the key changed?"),
        "{said}"
    );
}

#[test]
fn a_worker_moves_the_number_at_most_every_five_seconds() {
    let mut player = Player::new();
    player.play("accepted");
    player.step(Event::Moved);
    player.play("accepted");
    assert!(!player.lane.moves_with_settlement(seconds(5.9).at));
    assert!(player.lane.moves_with_settlement(seconds(6.0).at));
}

#[test]
fn an_acceptance_ends_the_pause() {
    let mut player = paused();
    player.play("accepted late");
    assert_eq!(player.permit(REACHED), Permit::Post);
}

#[test]
fn a_lane_that_others_moved_or_opened_is_not_parked() {
    let mut item = Item {
        settlements: 4,
        epoch: 2,
        ..Item::default()
    };
    assert!(!item.park(Reason::KeyCannotSign, 2, 3));
    assert!(!item.park(Reason::KeyCannotSign, 1, 4));
    assert_eq!(item.state, State::Open);
    assert!(item.park(Reason::KeyCannotSign, 2, 4));
    assert!(!item.open(1));
    assert!(item.open(2) && item.state == State::Open && item.epoch == 3);
}

#[test]
fn only_a_post_that_began_after_parking_opens_the_lane() {
    let mut player = Player::new();
    player.clock = 10.0;
    player.play("parked");
    player.clock = 11.2;
    player.answer(
        row(1, reached()),
        Answer::Accepted,
        Attempt::First,
        false,
        0.5,
    );
    assert_eq!(player.said(), "");
    player.clock = 12.0;
    player.answer(row(2, reached()), Answer::Gone, Attempt::First, false, 0.5);
    player.answer(row(2, reached()), Answer::Auth, Attempt::First, false, 0.5);
    assert_eq!(player.said(), "");
    player.answer(
        row(3, reached()),
        Answer::Accepted,
        Attempt::First,
        false,
        0.5,
    );
    assert_eq!(player.said(), "open");
    assert!(player.item.open(0));
    player.news();
    assert_eq!(player.permit(REACHED), Permit::Post);
}

#[test]
fn old_news_changes_nothing() {
    let mut player = Player::new();
    let old = Item {
        state: State::Parked(Reason::ServedNobody),
        ..Item::default()
    };
    player.play("others accept");
    player.step(Event::News(old));
    assert_eq!(player.permit(REACHED), Permit::Post);
}

#[test]
fn at_most_1000_rows_that_were_never_reached_are_posted_while_nobody_is_accepted() {
    let (mut item, mut posts) = (Item::default(), 0);
    let mut workers: Vec<_> = (0..3)
        .map(|_| Lane::<usize>::new(item.clone(), seconds(0.0)))
        .collect();
    let mut ask = |lane: &mut Lane<usize>, item: &mut Item| {
        loop {
            match lane.permit(NEVER, seconds(0.0).at) {
                Permit::Reserve(wanted) => {
                    assert_eq!(wanted, 100);
                    let granted = item.reserve(wanted);
                    lane.step(Event::Granted(granted), seconds(0.0), &mut Vec::new());
                }
                Permit::Post => posts += 1,
                permit @ (Permit::Later(_) | Permit::Skip(_) | Permit::Stop) => return permit,
            }
        }
    };
    // A job that ends gives back what it did not use.
    let mut out = Vec::new();
    workers[0].step(Event::Granted(item.reserve(100)), seconds(0.0), &mut out);
    assert_eq!(workers[0].permit(NEVER, seconds(0.0).at), Permit::Post);
    workers[0].step(Event::JobEnds, seconds(0.0), &mut out);
    assert_eq!(out, [Action::GiveBack(99)]);
    item.give_back(99);

    for lane in &mut workers {
        assert_eq!(ask(lane, &mut item), Permit::Skip(Skip::Unproven));
        assert_eq!(
            lane.permit(REACHED, seconds(0.0).at),
            Permit::Post,
            "reached rows go on"
        );
        assert_eq!(
            lane.permit(Ask::Again, seconds(0.0).at),
            Permit::Post,
            "retries are not counted again"
        );
    }
    assert_eq!(posts, 999);
    // Somebody is accepted by any worker: they go out.
    item.settled();
    workers[0].step(Event::News(item.clone()), seconds(1.0), &mut out);
    assert_eq!(workers[0].permit(NEVER, seconds(1.0).at), Permit::Post);
}
