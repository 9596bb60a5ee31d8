//! What the state machine asks for is done.

use std::cmp::Reverse;
use std::time::Duration;

use super::super::super::{Action, Event, History, Note, When};
use super::{Campaign, Held, Place, WAITS};

impl Campaign<'_> {
    pub(super) fn carry_out(&mut self, worker: usize, action: Action<usize>) {
        match action {
            Action::Count { row, tally, note } => {
                assert!(
                    !matches!(self.places[row], Some(Place::Counted(_))),
                    "row {row} is counted twice"
                );
                self.put(row, Place::Counted(tally));
                if let Some(note) = note {
                    self.write(row, note);
                }
            }
            Action::Note { row, note } => self.write(row, note),
            Action::Retry {
                row,
                when: When::OnceAccepted { epoch },
            } => {
                self.put(row, Place::Held);
                self.held.push((row, Held::OnceAccepted(epoch)));
            }
            Action::Retry {
                row,
                when: When::OneMore,
            } => self.retry(row, 30, true),
            Action::Retry {
                row,
                when: When::Like503,
            }
            | Action::Policy { row } => {
                let wait = WAITS
                    .get(self.tries[row] as usize - 1)
                    .copied()
                    .unwrap_or(0);
                self.retry(row, wait, false);
            }
            Action::Skip { row, .. } => {
                self.put(row, Place::Held);
                self.held.push((row, Held::OnceAccepted(self.item.epoch)));
            }
            Action::Pause { until } => self.workers[worker].check = Some(until),
            Action::Park {
                reason,
                epoch,
                settlements,
            } => {
                self.item.park(reason, epoch, settlements);
                self.step(worker, Event::News(self.item.clone()));
            }
            Action::Open { epoch } => {
                self.item.open(epoch);
                self.step(worker, Event::News(self.item.clone()));
            }
            Action::GiveBack(unused) => self.item.give_back(unused),
            Action::FailJob => self.replace(worker),
        }
    }

    pub(super) fn retry(&mut self, row: usize, wait: u64, one_more: bool) {
        self.put(row, Place::Retry);
        self.retries.push(Reverse((
            self.time + Duration::from_secs(wait),
            row,
            one_more,
        )));
    }

    pub(super) fn write(&mut self, row: usize, note: Note) {
        let (it, today) = (&mut self.site[row], self.day);
        match note {
            Note::Reached | Note::Clear => {
                it.history = History {
                    reached: true,
                    ..History::default()
                }
            }
            Note::Mark => it.history.gone_on = it.history.gone_on.or(Some(today)),
            Note::Fail(failures) => it.history.failures = failures,
            Note::Remove => it.removed = true,
        }
    }

    /// The process exits. Another one, whose clock is right, reads again what the first had not written down.
    pub(super) fn replace(&mut self, worker: usize) {
        self.failed_jobs += 1;
        self.workers[worker] = self.process(false);
        for row in 0..self.places.len() {
            if self.places[row] == Some(Place::With(worker)) {
                self.tries[row] = 0;
                self.workers[worker].queue.push_back(row);
            }
        }
    }
}
