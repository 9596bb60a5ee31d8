//! The second table: what becomes of an answer that waited (DESIGN.md, section 4).
//!
//! One worker's memory of a lane: the answers that wait until the lane accepts somebody, and the rows that were called
//! gone (410) and whose removal is decided by the end of the job.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::action::{Action, At, When};
use super::answer::{Doubt, Tally};
use super::row::{Day, Note, Row, Standing};

/// Ended rows that are remembered while nobody is accepted. Older ones are marked, which removes nobody.
const MOST_ENDED: usize = 4000;

/// Origins whose acceptances are remembered. At others, no failure counts.
const MOST_ORIGINS: usize = 1000;

/// What one worker saw in a lane.
#[derive(Debug)]
pub(super) struct Belief<R> {
    /// Oldest first.
    waiting: VecDeque<Waiting<R>>,
    ended: VecDeque<Ended<R>>,
    /// Never reached, counted, and failed if their origin accepts somebody by the end of the job.
    failed: Vec<Row<R>>,
    accepted_here: bool,
    /// Origins that accepted somebody on that day.
    origins: (Day, BTreeSet<Arc<str>>),
}

/// An answer that waits for an acceptance.
#[derive(Debug)]
pub(super) struct Waiting<R> {
    pub(super) row: Row<R>,
    pub(super) doubt: Doubt,
    /// Attempts are used up.
    pub(super) last: bool,
    pub(super) answered_at: At,
}

#[derive(Debug)]
struct Ended<R> {
    row: Row<R>,
    /// Marked a week ago, and called gone twice today.
    again: bool,
}

/// What is known of the lane in the whole campaign when waiting rows are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneNow {
    Parked,
    /// Nobody was accepted yet.
    Unproven,
    /// Some worker saw an acceptance.
    Proven,
}

impl<R: Clone> Belief<R> {
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            failed: Vec::new(),
            accepted_here: false,
            origins: (Day(0), BTreeSet::new()),
        }
    }

    /// Whether this process saw an acceptance.
    pub(super) fn accepted_here(&self) -> bool {
        self.accepted_here
    }

    /// The lane was opened again: what was accepted before proves nothing about now.
    pub(super) fn forget_acceptances(&mut self) {
        self.accepted_here = false;
    }

    /// Somebody was accepted by a post that began at `begun`: answers that arrived before are now believed.
    pub(super) fn accepted(
        &mut self,
        origin: &Arc<str>,
        begun: At,
        today: Day,
        out: &mut Vec<Action<R>>,
    ) {
        self.accepted_here = true;
        if self.origins.0 != today {
            self.origins = (today, BTreeSet::new());
        }
        if self.origins.1.len() < MOST_ORIGINS && !self.origins.1.contains(origin) {
            self.origins.1.insert(Arc::clone(origin));
        }
        while let Some(waiting) = self.waiting.pop_front_if(|it| it.answered_at < begun) {
            out.push(self.believe(waiting, today));
        }
        for Ended { row, .. } in std::mem::take(&mut self.ended) {
            out.push(Action::Note {
                row: row.key,
                note: Note::Remove,
            });
        }
    }

    /// Whether this origin accepted others today.
    pub(super) fn origin_accepted(&self, origin: &Arc<str>, today: Day) -> bool {
        self.origins.0 == today && self.origins.1.contains(origin)
    }

    /// Counts a row whose failure counts only where its origin accepts others today: decided by the end of the job.
    pub(super) fn fail(&mut self, row: Row<R>, tally: Tally, today: Day) -> Action<R> {
        let (key, mut note) = (row.key.clone(), None);
        if self.origin_accepted(&row.origin, today) {
            note = row.history.failed(today);
        } else if !row.history.reached && self.failed.len() < MOST_ENDED {
            self.failed.push(row);
        }
        Action::Count {
            row: key,
            tally,
            note,
        }
    }

    pub(super) fn wait(&mut self, waiting: Waiting<R>) {
        self.waiting.push_back(waiting);
    }

    /// The table of answers that are believed.
    fn believe(&mut self, waiting: Waiting<R>, today: Day) -> Action<R> {
        let Waiting {
            row, doubt, last, ..
        } = waiting;
        let tally = doubt.tally();
        match (doubt, row.history.standing(today)) {
            (Doubt::NotFound, Standing::Reached | Standing::Marked) => Action::Count {
                row: row.key,
                tally,
                note: Some(Note::Mark),
            },
            (Doubt::NotFound | Doubt::Mismatch | Doubt::Auth, Standing::NeverReached) => {
                self.fail(row, tally, today)
            }
            (Doubt::Mismatch | Doubt::Auth, Standing::Reached | Standing::Marked) if last => {
                Action::Count {
                    row: row.key,
                    tally,
                    note: None,
                }
            }
            (Doubt::Mismatch | Doubt::Auth, Standing::Reached | Standing::Marked) => {
                Action::Retry {
                    row: row.key,
                    when: When::Like503,
                }
            }
        }
    }

    /// Gives up waiting in memory for what was answered until then: the job ends, or the mark must move.
    pub(super) fn hand_over(
        &mut self,
        until: At,
        today: Day,
        lane: LaneNow,
        epoch: u32,
        out: &mut Vec<Action<R>>,
    ) {
        while let Some(waiting) = self.waiting.pop_front_if(|it| it.answered_at <= until) {
            let Waiting {
                row, doubt, last, ..
            } = waiting;
            let key = row.key.clone();
            let retry = |when| Action::Retry { row: key, when };
            out.push(match (doubt, lane) {
                (Doubt::NotFound | Doubt::Mismatch | Doubt::Auth, LaneNow::Parked)
                | (Doubt::Mismatch | Doubt::Auth, LaneNow::Unproven) => {
                    retry(When::OnceAccepted { epoch })
                }
                (Doubt::NotFound, LaneNow::Unproven | LaneNow::Proven) => retry(When::Like503),
                (Doubt::Mismatch | Doubt::Auth, LaneNow::Proven) if last => {
                    self.fail(row, doubt.tally(), today)
                }
                (Doubt::Mismatch | Doubt::Auth, LaneNow::Proven) => retry(When::Like503),
            });
        }
    }

    /// The service ended this subscription (410), or called a marked row gone twice (`again`). It is counted now;
    /// whether it is removed is decided now or by the end of the job.
    pub(super) fn ended(
        &mut self,
        row: Row<R>,
        again: bool,
        lane_accepted: bool,
        today: Day,
        out: &mut Vec<Action<R>>,
    ) {
        let (key, note) = (row.key.clone(), Some(Note::Remove));
        if self.accepted_here || (again && lane_accepted) {
            out.push(Action::Count {
                row: key,
                tally: Tally::Gone,
                note,
            });
            return;
        }
        out.push(Action::Count {
            row: key,
            tally: Tally::Gone,
            note: None,
        });
        if self.ended.len() >= MOST_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            out.extend(self.settle_ended(oldest, lane_accepted, today));
        }
        self.ended.push_back(Ended { row, again });
    }

    /// The job ends: what did not see an acceptance is marked, not removed.
    pub(super) fn end_job(&mut self, lane_accepted: bool, today: Day, out: &mut Vec<Action<R>>) {
        for ended in std::mem::take(&mut self.ended) {
            out.extend(self.settle_ended(ended, lane_accepted, today));
        }
        for row in std::mem::take(&mut self.failed) {
            let counts = self.origin_accepted(&row.origin, today);
            let note = if counts {
                row.history.failed(today)
            } else {
                None
            };
            out.extend(note.map(|note| Action::Note { row: row.key, note }));
        }
    }

    fn settle_ended(&self, ended: Ended<R>, lane_accepted: bool, today: Day) -> Option<Action<R>> {
        let Ended { row, again } = ended;
        let note = match (again, lane_accepted) {
            (true, true) => Some(Note::Remove),
            (true, false) => None,
            (false, true | false) => {
                let origin_accepted = self.origin_accepted(&row.origin, today);
                row.history.called_gone(origin_accepted, today)
            }
        };
        note.map(|note| Action::Note { row: row.key, note })
    }
}
