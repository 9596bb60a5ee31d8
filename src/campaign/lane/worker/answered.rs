//! An answer's verdict is carried out, and counted for or against the lane.

use super::super::action::{Action, At, When};
use super::super::answer::{Attempt, Doubt, Failure, Post, Tally, Verdict};
use super::super::belief::Waiting;
use super::super::event::Now;
use super::super::row::{Note, Row, Standing};
use super::{Lane, MOST_REJECTED, MOST_REJECTED_UNPROVEN, PAUSE, Phase};

impl<R: Clone> Lane<R> {
    pub(super) fn carry_out(
        &mut self,
        verdict: Verdict,
        row: Row<R>,
        post: Post,
        begun: At,
        now: Now,
        out: &mut Vec<Action<R>>,
    ) {
        let today = now.today;
        let counted = |row: Row<R>, tally, note| Action::Count {
            row: row.key,
            tally,
            note,
        };
        match verdict {
            Verdict::Accepted => {
                self.accept(begun, out);
                self.belief.accepted(&row.origin, begun, today, out);
                let note = row.history.accepted();
                out.push(counted(row, Tally::Accepted, note));
            }
            Verdict::Ended => self.belief.ended(row, false, self.accepted(), today, out),
            Verdict::EndedAgain => self.belief.ended(row, true, self.accepted(), today, out),
            Verdict::CalledGone if row.history.reached => {
                out.push(counted(row, Tally::Gone, Some(Note::Mark)));
            }
            Verdict::CalledGone => out.push(self.belief.fail(row, Tally::Gone, today)),
            Verdict::OneMore => out.push(Action::Retry {
                row: row.key,
                when: When::OneMore,
            }),
            Verdict::Wait(doubt) => self.wait(doubt, row, post, now, out),
            Verdict::Counted(tally, Failure::IfOriginAccepts) => {
                out.push(self.belief.fail(row, tally, today));
            }
            Verdict::Counted(tally, Failure::Always) => {
                let note = row.history.failed(today);
                out.push(counted(row, tally, note));
            }
            Verdict::Policy => out.push(Action::Policy { row: row.key }),
        }
    }

    /// The answer waits for an acceptance: in a parked lane not in memory.
    fn wait(&mut self, doubt: Doubt, row: Row<R>, post: Post, now: Now, out: &mut Vec<Action<R>>) {
        let standing = row.history.standing(now.today);
        self.count_fault(doubt, standing, post.attempt, now.at, out);
        let (last, answered_at) = (post.last, now.at);
        self.belief.wait(Waiting {
            row,
            doubt,
            last,
            answered_at,
        });
        if matches!(self.phase, Phase::Parked { .. }) {
            self.hand_over(At::MAX, now.today, out);
        }
    }

    /// An acceptance ends a check. It opens a parked lane only if the post began after the lane was parked: a probe.
    fn accept(&mut self, begun: At, out: &mut Vec<Action<R>>) {
        self.to_move = true;
        (self.mismatches, self.auths) = (0, 0);
        match self.phase {
            Phase::Open | Phase::AtFault => {}
            Phase::Checking { .. } => self.phase = Phase::Open,
            Phase::Parked { since } if begun >= since => out.push(Action::Open {
                epoch: self.item.epoch,
            }),
            Phase::Parked { .. } => {}
        }
    }

    /// Only first posts of reached rows decide about others.
    fn count_fault(
        &mut self,
        doubt: Doubt,
        standing: Standing,
        attempt: Attempt,
        now: At,
        out: &mut Vec<Action<R>>,
    ) {
        if attempt != Attempt::First
            || standing == Standing::NeverReached
            || self.phase != Phase::Open
        {
            return;
        }
        match doubt {
            Doubt::NotFound => return,
            Doubt::Mismatch => self.mismatches += 1,
            Doubt::Auth => self.auths += 1,
        }
        let most = if self.belief.accepted_here() {
            MOST_REJECTED
        } else {
            MOST_REJECTED_UNPROVEN
        };
        if self.mismatches + self.auths > most {
            let until = now + PAUSE;
            self.phase = Phase::Checking {
                until,
                others: self.others(),
            };
            out.push(Action::Pause { until });
        }
    }
}
