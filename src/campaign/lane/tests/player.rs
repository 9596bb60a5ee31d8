//! Plays a few words ("accepted, then 404, job ends") through one lane, and tells in words what it did.

use std::sync::Arc;

use super::super::{
    Action, Answer, Ask, Attempt, Event, Item, Lane, Note, Now, Permit, Row, Skip, Tally, When,
};
use super::{reached, row, seconds};

/// The row that a line is about; other rows only prove something.
const IT: usize = 0;

/// One lane, one worker, one second a step.
pub(super) struct Player {
    pub(super) lane: Lane<usize>,
    pub(super) item: Item,
    pub(super) clock: f64,
    others: usize,
    said: Vec<String>,
}

impl Player {
    pub(super) fn new() -> Self {
        let item = Item::default();
        let lane = Lane::new(item.clone(), seconds(0.0));
        Self {
            lane,
            item,
            clock: 0.0,
            others: 0,
            said: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        seconds(self.clock)
    }

    pub(super) fn step(&mut self, event: Event<usize>) {
        let mut out = Vec::new();
        self.lane.step(event, self.now(), &mut out);
        let all = out.iter().filter_map(in_words);
        self.said.extend(all);
    }

    /// An answer whose post began so many seconds ago.
    pub(super) fn answer(
        &mut self,
        row: Row<usize>,
        answer: Answer,
        attempt: Attempt,
        last: bool,
        ago: f64,
    ) {
        let begun = seconds(self.clock - ago).at;
        self.step(Event::Answered {
            row,
            answer,
            attempt,
            last,
            begun,
        });
    }

    /// Some other reached row is answered.
    pub(super) fn other(&mut self, answer: Answer) {
        self.others += 1;
        self.answer(
            row(self.others, reached()),
            answer,
            Attempt::First,
            false,
            0.5,
        );
    }

    pub(super) fn permit(&mut self, ask: Ask) -> Permit {
        self.lane.permit(ask, seconds(self.clock).at)
    }

    pub(super) fn news(&mut self) {
        self.step(Event::News(self.item.clone()));
    }

    /// Plays words that a table uses for what happens besides the answer.
    pub(super) fn play(&mut self, words: &str) {
        for word in words.split(", ").filter(|word| !word.is_empty()) {
            self.clock += 1.0;
            match word {
                "accepted" => self.other(Answer::Accepted),
                "accepted late" => {
                    self.answer(
                        row(99, reached()),
                        Answer::Accepted,
                        Attempt::First,
                        false,
                        1.5,
                    );
                }
                "accepted at another origin" => {
                    let mut other = row(98, reached());
                    other.origin = Arc::from("https://jmt17.google.com");
                    self.answer(other, Answer::Accepted, Attempt::First, false, 0.5);
                }
                "others accept" => {
                    self.item.settled();
                    self.news();
                }
                "parked" => {
                    self.item.state =
                        super::super::State::Parked(super::super::Reason::ServedNobody);
                    self.news();
                }
                "believe" => {
                    self.item.resume(true);
                    self.news();
                }
                "mark must move" => self.step(Event::HandOver {
                    answered: seconds(self.clock).at,
                }),
                "job ends" => self.step(Event::JobEnds),
                other => panic!("no such step: {other}"),
            }
        }
    }

    pub(super) fn said(&mut self) -> String {
        std::mem::take(&mut self.said).join("; ")
    }
}

fn in_words(action: &Action<usize>) -> Option<String> {
    let text = match action {
        Action::Count {
            row: IT,
            tally,
            note: None,
        } => counted(*tally).to_owned(),
        Action::Count {
            row: IT,
            tally,
            note: Some(note),
        } => format!("{} + {}", counted(*tally), noted(*note)),
        Action::Note { row: IT, note } => noted(*note),
        Action::Retry {
            row: IT,
            when: When::Like503,
        } => "retried like a 503".into(),
        Action::Retry {
            row: IT,
            when: When::OneMore,
        } => "one more try in 30 s".into(),
        Action::Retry {
            row: IT,
            when: When::OnceAccepted { .. },
        } => "retried once accepted".into(),
        Action::Policy { row: IT } => "policy".into(),
        Action::Skip {
            row: IT,
            skip: Skip::Silent,
        } => "skipped, silent".into(),
        Action::Pause { .. } => "pause".into(),
        Action::FailJob => "fail the job".into(),
        Action::Park { reason, .. } => format!("park: {reason}"),
        Action::Open { .. } => "open".into(),
        Action::GiveBack(unused) => format!("give back {unused}"),
        Action::Count { .. }
        | Action::Note { .. }
        | Action::Retry { .. }
        | Action::Policy { .. }
        | Action::Skip { .. } => return None,
    };
    Some(text)
}

fn counted(tally: Tally) -> &'static str {
    match tally {
        Tally::Accepted => "accepted",
        Tally::Gone => "gone",
        Tally::Mismatched => "mismatched",
        Tally::Refused => "refused",
        Tally::Failed => "failed",
    }
}

fn noted(note: Note) -> String {
    match note {
        Note::Reached => "reached".into(),
        Note::Clear => "clear".into(),
        Note::Mark => "mark".into(),
        Note::Fail(failures) => format!("failure {}", failures.number),
        Note::Remove => "remove".into(),
    }
}
