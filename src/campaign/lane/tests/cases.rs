//! The 22 cases of the design, each played through from the first campaign on, with one worker and with three: who is
//! reached, who is removed, how it ends.

use super::super::{Answer, History};
use super::simulator::{Fate, Site, always, between, from, half, ok};
use super::{never, reached};

/// Plays a case: how the campaigns on these days end, and how many are removed after each.
fn plays(groups: &[(History, Fate, usize)], days: &[(i32, &str, usize)]) {
    for workers in [1, 3] {
        let mut site = Site::new(groups);
        for (day, how, removed) in days {
            let ended = site.campaign(*day, workers);
            assert_eq!(
                (&ended[..], site.removed()),
                (*how, *removed),
                "day {day}, {workers} workers"
            );
        }
    }
}

#[test]
fn a_wrong_key_with_10_reached() {
    plays(
        &[(reached(), always(Answer::Mismatch), 10)],
        &[(0, "halted: 10 skipped", 0)],
    );
}

#[test]
fn a_wrong_key_with_30_000_reached() {
    plays(
        &[(reached(), always(Answer::Mismatch), 30_000)],
        &[(0, "halted: 30000 skipped", 0)],
    );
}

#[test]
fn a_wrong_key_at_a_new_site_with_2000_never_reached() {
    plays(
        &[(never(), always(Answer::Mismatch), 2000)],
        &[(0, "halted: 2000 skipped", 0)],
    );
}

#[test]
fn a_key_swapped_after_one_second() {
    let mut site = Site::new(&[(reached(), from(1.0, Answer::Mismatch), 30_000)]);
    let ended = site.campaign(0, 1);
    assert!(
        ended.starts_with("halted: ") && ended.contains("skipped") && !ended.contains("mismatched"),
        "{ended}"
    );
    assert_eq!(site.removed(), 0);
}

#[test]
fn a_service_that_answers_404_to_all_for_good() {
    let all = [(reached(), always(Answer::NotFound), 200)];
    plays(
        &all,
        &[
            (0, "done with a warning: 200 gone", 0),
            (8, "done with a warning: 200 gone", 0),
        ],
    );
}

#[test]
fn a_service_that_answers_404_to_all_for_five_minutes() {
    plays(
        &[(reached(), between(-1.0, 300.0, Answer::NotFound), 30_000)],
        &[(0, "done: 30000 accepted", 0)],
    );
}

#[test]
fn a_service_that_answers_404_from_second_1_to_60() {
    plays(
        &[(reached(), between(1.0, 60.0, Answer::NotFound), 30_000)],
        &[(0, "done: 30000 accepted", 0)],
    );
}

#[test]
fn a_service_that_answers_410_to_all_for_good() {
    let all = [(reached(), always(Answer::Gone), 200)];
    plays(
        &all,
        &[
            (0, "done with a warning: 200 gone", 0),
            (8, "done with a warning: 200 gone", 0),
        ],
    );
}

#[test]
fn half_of_the_nodes_answer_404_for_ten_seconds() {
    let mut site = Site::new(&[(reached(), half(10.0, Answer::NotFound), 30_000)]);
    for day in [0, 8] {
        let ended = site.campaign(day, 1);
        assert!(
            ended.starts_with("done: ") && !ended.contains("skipped"),
            "{ended}"
        );
        assert_eq!(site.removed(), 0, "day {day}");
    }
}

#[test]
fn half_of_the_nodes_answer_404_for_good_to_20_reached() {
    let mut site = Site::new(&[(reached(), half(f64::INFINITY, Answer::NotFound), 20)]);
    for day in [0, 1] {
        let ended = site.campaign(day, 1);
        assert!(
            ended.starts_with("done: ") && !ended.contains("skipped"),
            "{ended}"
        );
        assert_eq!(site.removed(), 0, "day {day}");
    }
}

#[test]
fn a_restart_during_the_last_rows_of_30_000() {
    for (workers, at) in [(1, 14.9), (3, 4.9)] {
        let mut site = Site::new(&[(reached(), between(at, 30.0, Answer::NotFound), 30_000)]);
        assert_eq!(
            (&site.campaign(0, workers)[..], site.removed()),
            ("done: 30000 accepted", 0)
        );
    }
}

#[test]
fn half_of_the_nodes_answer_401_for_good() {
    let mut site = Site::new(&[(reached(), half(f64::INFINITY, Answer::Auth), 3000)]);
    let ended = site.campaign(0, 1);
    let accepted: u32 = ended
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    assert!(
        ended.starts_with("done: ") && (2850..2950).contains(&accepted),
        "{ended}"
    );
    assert_eq!(site.removed(), 0);
}

#[test]
fn three_percent_are_gone() {
    let site = [
        (reached(), always(Answer::Gone), 600),
        (reached(), always(Answer::NotFound), 300),
        (reached(), ok(), 29_100),
    ];
    plays(
        &site,
        &[
            (0, "done: 29100 accepted, 900 gone", 600),
            (8, "done: 29100 accepted, 300 gone", 900),
        ],
    );
}

#[test]
fn one_of_three_is_gone_at_a_small_site() {
    let mut site = Site::new(&[(reached(), always(Answer::Gone), 1), (reached(), ok(), 2)]);
    assert_eq!(
        (&site.campaign(0, 1)[..], site.removed()),
        ("done: 2 accepted, 1 gone", 1)
    );
    // A worker that saw no acceptance itself only marks the row.
    let mut site = Site::new(&[(reached(), always(Answer::Gone), 1), (reached(), ok(), 2)]);
    assert_eq!(
        (&site.campaign(0, 3)[..], site.removed()),
        ("done: 2 accepted, 1 gone", 0)
    );
}

#[test]
fn the_only_row_is_gone() {
    let all = [(reached(), always(Answer::Gone), 1)];
    plays(
        &all,
        &[
            (0, "done with a warning: 1 gone", 0),
            (8, "done with a warning: 1 gone", 0),
        ],
    );
}

#[test]
fn an_old_list_of_which_99_percent_are_gone() {
    let site = [
        (reached(), always(Answer::Gone), 14_850),
        (reached(), always(Answer::NotFound), 14_850),
        (reached(), ok(), 300),
    ];
    plays(
        &site,
        &[
            (0, "done: 300 accepted, 29700 gone", 14_850),
            (8, "done: 300 accepted, 14850 gone", 29_700),
        ],
    );
}

#[test]
fn once_a_year_half_are_gone() {
    let site = [
        (reached(), always(Answer::Gone), 15_000),
        (reached(), ok(), 15_000),
    ];
    plays(&site, &[(0, "done: 15000 accepted, 15000 gone", 15_000)]);
}

#[test]
fn three_hundred_reached_mismatches_among_3000_good() {
    let site = [
        (reached(), ok(), 3000),
        (reached(), always(Answer::Mismatch), 300),
    ];
    plays(&site, &[(0, "done: 3000 accepted, 300 mismatched", 0)]);
}

#[test]
fn three_hundred_thousand_strangers_are_refused_beside_3000_good() {
    let site = [
        (reached(), ok(), 3000),
        (never(), always(Answer::Auth), 300_000),
    ];
    plays(&site, &[(0, "done: 3000 accepted, 300000 refused", 0)]);
}

#[test]
fn the_first_campaign_of_3000_good_among_300_000_strangers() {
    let site = [
        (never(), ok(), 3000),
        (never(), always(Answer::Auth), 300_000),
    ];
    plays(&site, &[(0, "done: 3000 accepted, 300000 refused", 0)]);
}

#[test]
fn five_thousand_were_accepted_once_and_dropped_beside_20_good() {
    let site = [
        (reached(), ok(), 20),
        (reached(), always(Answer::Gone), 5000),
    ];
    plays(&site, &[(0, "done: 20 accepted, 5000 gone", 5000)]);
}

#[test]
fn sixty_were_accepted_once_and_dropped_where_the_site_has_nobody() {
    let all = [(reached(), always(Answer::Gone), 60)];
    plays(
        &all,
        &[
            (0, "done with a warning: 60 gone", 0),
            (8, "done with a warning: 60 gone", 0),
        ],
    );
}
