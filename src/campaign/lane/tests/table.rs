//! "What an answer does" (DESIGN.md, section 4), line by line: the answer, the row, what happened in the lane before it
//! and what happens after it, and what becomes of the row. "" at the end: the row waits.

use super::super::{Answer, Attempt, Day, Failures, History, Note};
use super::player::Player;
use super::{TODAY, marked, never, reached, row};

type Line = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const TABLE: &[Line] = &[
    // answer          row              before                        after                          what becomes of the row
    // accepted: counted; clears the mark and failures, or makes the row reached
    ("accepted",       "reached",       "",                           "",                            "accepted"),
    ("accepted",       "marked 3 days", "",                           "",                            "accepted + clear"),
    ("accepted",       "marked 7 days", "",                           "",                            "accepted + clear"),
    ("accepted",       "never reached", "",                           "",                            "accepted + reached"),
    ("accepted",       "failed twice",  "",                           "",                            "accepted + reached"),
    // 410: removed if this process has seen an acceptance by the end of its job, otherwise marked
    ("410",            "reached",       "accepted",                   "",                            "gone + remove"),
    ("410",            "reached",       "",                           "accepted",                    "gone; remove"),
    ("410",            "reached",       "",                           "accepted late",               "gone; remove"),
    ("410",            "reached",       "",                           "job ends",                    "gone; mark"),
    ("410",            "reached",       "others accept",              "job ends",                    "gone; mark"),
    ("410",            "reached",       "",                           "job ends, accepted",          "gone; mark"),
    ("410",            "marked 3 days", "accepted",                   "",                            "gone + remove"),
    ("410",            "never reached", "accepted",                   "",                            "gone + remove"),
    ("410",            "never reached", "",                           "accepted",                    "gone; remove"),
    // A failure counts only where the origin accepted others that day.
    ("410",            "never reached", "",                           "job ends",                    "gone"),
    // (A lane that was opened again needs a new acceptance before it removes anybody.)
    ("410",            "reached",       "accepted, believe",          "job ends",                    "gone; mark"),
    ("410",            "never reached", "accepted, believe",          "job ends",                    "gone; failure 1"),
    // 404: counted and marked once somebody is accepted by a later post; until then like a 503
    ("404",            "reached",       "",                           "",                            ""),
    ("404",            "reached",       "accepted",                   "",                            ""),
    ("404",            "reached",       "",                           "accepted",                    "gone + mark"),
    ("404",            "reached",       "",                           "accepted late",               ""),
    ("404",            "reached",       "accepted",                   "mark must move",              "retried like a 503"),
    ("404",            "reached",       "",                           "job ends",                    "retried like a 503"),
    ("404",            "reached",       "",                           "parked",                      "retried once accepted"),
    ("404",            "marked 3 days", "",                           "accepted",                    "gone + mark"),
    ("404, last",      "reached",       "",                           "",                            "gone + mark"),
    ("404",            "never reached", "",                           "",                            ""),
    ("404",            "never reached", "",                           "accepted",                    "gone + failure 1"),
    ("404",            "failed twice",  "",                           "accepted",                    "gone + remove"),
    ("404",            "failed today",  "",                           "accepted",                    "gone"),
    ("404",            "never reached", "",                           "accepted at another origin",  "gone"),
    ("404, last",      "never reached", "",                           "",                            "gone"),
    ("404, last",      "never reached", "accepted",                   "",                            "gone + failure 1"),
    // 404 or 410 on a row marked 7 days before: after one more try removed, if the lane accepted anybody
    ("404",            "marked 7 days", "accepted",                   "",                            "one more try in 30 s"),
    ("410",            "marked 7 days", "accepted",                   "",                            "one more try in 30 s"),
    ("404, again",     "marked 7 days", "accepted",                   "",                            "one more try in 30 s"),
    ("404, last",      "marked 7 days", "accepted",                   "",                            "gone + mark"),
    ("404, one more",  "marked 7 days", "accepted",                   "",                            "gone + remove"),
    ("410, one more",  "marked 7 days", "others accept",              "",                            "gone + remove"),
    ("404, one more",  "marked 7 days", "",                           "accepted",                    "gone; remove"),
    ("404, one more",  "marked 7 days", "",                           "others accept, job ends",     "gone; remove"),
    ("410, one more",  "marked 7 days", "",                           "job ends",                    "gone"),
    ("accepted, one more", "marked 7 days", "",                       "",                            "accepted + clear"),
    // mismatch, auth class: when somebody is accepted after it, like a 503, then counted; until then it waits
    ("mismatch",       "reached",       "accepted",                   "",                            ""),
    ("mismatch",       "reached",       "",                           "accepted",                    "retried like a 503"),
    ("mismatch",       "marked 7 days", "",                           "accepted",                    "retried like a 503"),
    ("mismatch",       "reached",       "",                           "accepted late",               ""),
    ("mismatch",       "reached",       "",                           "mark must move",              "retried once accepted"),
    ("mismatch",       "reached",       "",                           "job ends",                    "retried once accepted"),
    ("mismatch",       "reached",       "accepted",                   "job ends",                    "retried like a 503"),
    ("mismatch",       "reached",       "others accept",              "job ends",                    "retried like a 503"),
    ("mismatch",       "reached",       "accepted",                   "parked",                      "retried once accepted"),
    ("mismatch",       "reached",       "parked",                     "",                            "retried once accepted"),
    ("mismatch, last", "reached",       "",                           "accepted",                    "mismatched"),
    ("mismatch, last", "reached",       "accepted",                   "job ends",                    "mismatched"),
    ("mismatch, last", "reached",       "",                           "job ends",                    "retried once accepted"),
    ("mismatch",       "never reached", "",                           "accepted",                    "mismatched + failure 1"),
    ("mismatch",       "failed twice",  "",                           "accepted",                    "mismatched + remove"),
    ("mismatch",       "never reached", "",                           "accepted at another origin",  "mismatched"),
    ("mismatch",       "never reached", "",                           "job ends",                    "retried once accepted"),
    ("mismatch, last", "never reached", "accepted",                   "job ends",                    "mismatched + failure 1"),
    ("mismatch, last", "never reached", "others accept",              "job ends",                    "mismatched"),
    ("auth",           "reached",       "",                           "accepted",                    "retried like a 503"),
    ("auth",           "reached",       "",                           "job ends",                    "retried once accepted"),
    ("auth, last",     "reached",       "",                           "accepted",                    "refused"),
    ("auth",           "never reached", "",                           "accepted",                    "refused + failure 1"),
    // A person believes mismatches, and those only.
    ("mismatch",       "reached",       "believe",                    "",                            "mismatched"),
    ("mismatch",       "never reached", "believe",                    "",                            "mismatched"),
    ("mismatch",       "never reached", "believe, accepted",          "",                            "mismatched + failure 1"),
    ("auth",           "reached",       "believe",                    "job ends",                    "retried once accepted"),
    // other answers: nothing for belief, but strangers' rows may go
    ("refused",        "reached",       "accepted",                   "",                            "refused"),
    ("refused",        "never reached", "",                           "",                            "refused"),
    ("refused",        "never reached", "accepted",                   "",                            "refused + failure 1"),
    ("refused",        "never reached", "",                           "accepted, job ends",          "refused; failure 1"),
    ("refused",        "never reached", "",                           "job ends, accepted, job ends", "refused"),
    ("unconnected",    "reached",       "",                           "",                            "failed"),
    ("unconnected",    "never reached", "",                           "",                            "failed + failure 1"),
    ("unconnected",    "failed twice",  "",                           "",                            "failed + remove"),
    ("other",          "reached",       "",                           "",                            "policy"),
    ("other",          "never reached", "accepted",                   "",                            "policy"),
];

#[test]
fn what_an_answer_does() {
    for (answer, of, before, after, becomes) in TABLE {
        let mut player = Player::new();
        player.play(before);
        player.clock += 1.0;
        let (answered, attempt, last) = answer_in_words(answer);
        player.said();
        player.answer(row(0, row_in_words(of)), answered, attempt, last, 0.5);
        player.play(after);
        assert_eq!(
            player.said(),
            *becomes,
            "{answer} | {of} | before: {before} | after: {after}"
        );
    }
}

fn answer_in_words(words: &str) -> (Answer, Attempt, bool) {
    let (answer, attempt) = words.split_once(", ").unwrap_or((words, ""));
    let answer = match answer {
        "accepted" => Answer::Accepted,
        "410" => Answer::Gone,
        "404" => Answer::NotFound,
        "mismatch" => Answer::Mismatch,
        "auth" => Answer::Auth,
        "refused" => Answer::Refused,
        "unconnected" => Answer::Unconnected,
        "other" => Answer::Other,
        other => panic!("no such answer: {other}"),
    };
    match attempt {
        "" => (answer, Attempt::First, false),
        "again" => (answer, Attempt::Again, false),
        "last" => (answer, Attempt::Again, true),
        "one more" => (answer, Attempt::OneMore, false),
        other => panic!("no such attempt: {other}"),
    }
}

fn row_in_words(words: &str) -> History {
    let failed = |number, days_ago| {
        let last = Some(Day(TODAY.0 - days_ago));
        History {
            failures: Failures { number, last },
            ..never()
        }
    };
    match words {
        "reached" => reached(),
        "marked 3 days" => marked(3),
        "marked 7 days" => marked(7),
        "never reached" => never(),
        "failed twice" => failed(2, 1),
        "failed today" => failed(2, 0),
        other => panic!("no such row: {other}"),
    }
}

#[test]
fn a_row_that_was_never_reached_goes_after_failures_on_three_days() {
    let mut history = never();
    let mut notes = Vec::new();
    for day in [1, 1, 2, 1, 2, 3] {
        let note = history.failed(Day(day));
        if let Some(Note::Fail(failures)) = note {
            history.failures = failures;
        }
        notes.push(note.map(|note| note == Note::Remove));
    }
    assert_eq!(
        notes,
        [Some(false), None, Some(false), None, None, Some(true)]
    );
    assert_eq!(reached().failed(TODAY), None, "reached rows do not fail");
}

#[test]
fn ended_rows_are_bounded_and_the_oldest_are_marked() {
    let mut player = Player::new();
    player.answer(row(0, reached()), Answer::Gone, Attempt::First, false, 0.1);
    for key in 1..4000 {
        player.answer(
            row(key, reached()),
            Answer::Gone,
            Attempt::First,
            false,
            0.1,
        );
    }
    assert_eq!(player.said(), "gone");
    player.answer(
        row(4000, reached()),
        Answer::Gone,
        Attempt::First,
        false,
        0.1,
    );
    player.play("accepted");
    assert_eq!(player.said(), "mark");
}
