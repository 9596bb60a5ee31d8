//! Rows are posted, skipped, held, and read again.

use std::cmp::Reverse;
use std::time::Duration;

use super::super::super::{Ask, Event, Permit, Skip, State};
use super::{Campaign, Flight, Held, IN_FLIGHT, Place};

impl Campaign<'_> {
    /// Posts or skips a row; `false` if the lane is being checked.
    pub(super) fn try_to_post(
        &mut self,
        row: usize,
        worker: usize,
        ask: Ask,
        one_more: bool,
    ) -> bool {
        let held = loop {
            match self.workers[worker].lane.permit(ask, self.time) {
                Permit::Post => {
                    self.post(row, worker, one_more);
                    return true;
                }
                Permit::Reserve(wanted) => {
                    let granted = self.item.reserve(wanted);
                    self.step(worker, Event::Granted(granted));
                }
                Permit::Later(_) | Permit::Stop => return false,
                Permit::Skip(Skip::Unproven) => break Held::Unproven,
                Permit::Skip(Skip::Parked | Skip::Silent) if self.tries[row] > 0 => {
                    break Held::OnceAccepted(self.workers[worker].lane.epoch());
                }
                Permit::Skip(Skip::Parked | Skip::Silent) => {
                    break Held::Skipped(self.workers[worker].lane.epoch());
                }
            }
        };
        self.put(row, Place::Held);
        self.held.push((row, held));
        true
    }

    pub(super) fn post(&mut self, row: usize, worker: usize, one_more: bool) {
        self.tries[row] += 1;
        self.posts += 1;
        self.put(row, Place::With(worker));
        let answered = self.time + Duration::from_millis(50 + self.chance.below(100));
        let it = &mut self.workers[worker];
        it.in_flight += 1;
        let (process, begun) = (it.process, self.time);
        self.air.push(Reverse(Flight {
            answered,
            row,
            worker,
            process,
            begun,
            one_more,
        }));
    }

    /// Parts that are due go to the worker with the most room.
    pub(super) fn post_retries(&mut self) {
        while let Some(&Reverse((due, row, one_more))) = self.retries.peek() {
            let free = (0..self.workers.len()).min_by_key(|&it| self.workers[it].in_flight);
            let Some(worker) = free.filter(|&it| self.workers[it].in_flight < IN_FLIGHT) else {
                return;
            };
            if due > self.time || !self.try_to_post(row, worker, Ask::Again, one_more) {
                return;
            }
            self.retries.pop();
        }
    }

    pub(super) fn release_held(&mut self) {
        let parked = matches!(self.item.state, State::Parked(_));
        let (accepted, epoch) = (self.item.accepted(), self.item.epoch);
        if parked || self.held.is_empty() {
            return;
        }
        for (row, held) in std::mem::take(&mut self.held) {
            match held {
                Held::Skipped(then) if epoch > then => self.read_again(row),
                Held::Unproven if accepted || self.item.may_reserve() => self.read_again(row),
                Held::OnceAccepted(then) if accepted || epoch > then => {
                    self.put(row, Place::Retry);
                    self.retries.push(Reverse((self.time, row, false)));
                }
                Held::Skipped(_) | Held::Unproven | Held::OnceAccepted(_) => {
                    self.held.push((row, held));
                }
            }
        }
    }

    pub(super) fn read_again(&mut self, row: usize) {
        let worker = row % self.workers.len();
        self.put(row, Place::With(worker));
        self.workers[worker].queue.push_back(row);
    }
}
