//! A key that cannot sign.

use super::super::{Answer, Ask, Event, Permit, Skip};
use super::player::Player;

const REACHED: Ask = Ask::First { reached: true };

#[test]
fn a_key_that_cannot_sign_is_tried_with_16_rows_after_30_s_doubling_to_5_minutes() {
    let mut player = Player::new();
    player.step(Event::CannotSign { row: 0 });
    assert_eq!(player.said(), "skipped, silent");
    let (mut tries, mut said) = (Vec::new(), Vec::new());
    for second in 1..=1000 {
        player.clock = f64::from(second);
        let mut tried = 0;
        while player.permit(REACHED) == Permit::Post {
            tried += 1;
        }
        for _ in 0..tried {
            player.step(Event::CannotSign { row: 1 });
        }
        if tried > 0 {
            tries.push((second, tried));
        }
        said.push(player.said());
    }
    assert_eq!(tries, [(30, 16), (90, 16), (210, 16), (450, 16), (750, 16)]);
    // Parked after ten minutes, when the next rows could not be signed for either.
    let parked = said
        .iter()
        .position(|words| words.starts_with("park: nobody could sign with this key"));
    assert_eq!(parked, Some(749));
}

#[test]
fn a_key_that_others_sign_with_is_not_parked_and_any_answer_ends_the_silence() {
    let mut player = Player::new();
    player.step(Event::CannotSign { row: 0 });
    for second in (30..3600).step_by(300) {
        player.clock = f64::from(second);
        player.play("others accept");
        player.step(Event::CannotSign { row: 1 });
    }
    assert_eq!(player.said(), "skipped, silent");
    assert_eq!(player.permit(REACHED), Permit::Skip(Skip::Silent));
    player.other(Answer::Unconnected);
    assert_eq!(player.permit(REACHED), Permit::Skip(Skip::Silent));
    player.other(Answer::Auth);
    assert_eq!(player.permit(REACHED), Permit::Post);
}
