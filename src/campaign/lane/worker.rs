//! One worker's view of one lane: may a row be posted, what does its answer do, is the lane parked or this worker wrong?

mod answered;

use std::time::Duration;

use super::action::{Action, At, Permit, Skip};
use super::answer::{Post, judge};
use super::belief::{Belief, LaneNow};
use super::event::{Ask, Event, Now};
use super::item::{Item, Reason, State};
use super::row::Day;
use super::silence::Silence;

/// Rejected first posts that a lane bears while it accepted nobody, and since it last did.
const MOST_REJECTED_UNPROVEN: u32 = 50;
const MOST_REJECTED: u32 = 250;
/// The number of settlements of a healthy worker moves within this time.
const PAUSE: Duration = Duration::from_secs(15);
/// Unproven rows that are reserved at a time.
const BLOCK: u32 = 100;
/// A worker moves the number of settlements at most this often.
const MOVE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Many first posts were rejected. Nothing is posted until the item has told whether others are accepted.
    Checking {
        until: At,
        others: u64,
    },
    Parked {
        since: At,
    },
    AtFault,
}

/// The state machine of one worker and one lane in one campaign. It is kept from job to job.
#[derive(Debug)]
pub struct Lane<R> {
    phase: Phase,
    belief: Belief<R>,
    mismatches: u32,
    auths: u32,
    silence: Option<Silence>,
    /// The lane's item when it was last read.
    item: Item,
    /// How often this worker moved the item's number.
    own: u64,
    to_move: bool,
    moved_at: Option<At>,
    reserved: u32,
    exhausted: bool,
}

impl<R: Clone> Lane<R> {
    /// A lane that this process meets for the first time in the campaign.
    pub fn new(item: Item, now: Now) -> Self {
        let parked = matches!(item.state, State::Parked(_));
        Self {
            phase: if parked {
                Phase::Parked { since: now.at }
            } else {
                Phase::Open
            },
            belief: Belief::new(),
            mismatches: 0,
            auths: 0,
            silence: None,
            item,
            own: 0,
            to_move: false,
            moved_at: None,
            reserved: 0,
            exhausted: false,
        }
    }

    /// Whether the lane accepted anybody in this campaign, as far as this worker knows.
    pub fn accepted(&self) -> bool {
        self.belief.accepted_here() || self.item.accepted()
    }

    /// The lane's epoch as this worker knows it: noted in rests and retry parts that wait for the lane to open.
    pub fn epoch(&self) -> u32 {
        self.item.epoch
    }

    /// Whether the settlement that begins now moves the item's number of settlements with acceptances.
    pub fn moves_with_settlement(&self, now: At) -> bool {
        let waited = self
            .moved_at
            .is_none_or(|at| now.saturating_sub(at) >= MOVE_EVERY);
        self.to_move && waited
    }

    /// Whether a row may be posted. Asked before each post.
    pub fn permit(&mut self, ask: Ask, now: At) -> Permit {
        match (self.phase, ask) {
            (Phase::AtFault, Ask::First { .. } | Ask::Again | Ask::Probe) => Permit::Stop,
            (Phase::Parked { .. } | Phase::Open | Phase::Checking { .. }, Ask::Probe) => {
                Permit::Post
            }
            (Phase::Parked { .. }, Ask::First { .. } | Ask::Again) => Permit::Skip(Skip::Parked),
            (Phase::Checking { until, .. }, Ask::First { .. } | Ask::Again) => Permit::Later(until),
            (Phase::Open, Ask::First { .. } | Ask::Again)
                if self.silence.as_mut().is_some_and(|it| !it.may_try(now)) =>
            {
                Permit::Skip(Skip::Silent)
            }
            (Phase::Open, Ask::First { reached: false }) if !self.accepted() => {
                self.permit_unproven()
            }
            (Phase::Open, Ask::First { .. } | Ask::Again) => Permit::Post,
        }
    }

    fn permit_unproven(&mut self) -> Permit {
        if self.reserved > 0 {
            self.reserved -= 1;
            Permit::Post
        } else if self.exhausted {
            Permit::Skip(Skip::Unproven)
        } else {
            Permit::Reserve(BLOCK)
        }
    }

    /// Steps the machine; `out` receives what is to be done, in this order.
    pub fn step(&mut self, event: Event<R>, now: Now, out: &mut Vec<Action<R>>) {
        match event {
            Event::Answered {
                row,
                answer,
                attempt,
                last,
                begun,
            } => {
                if answer.proves_signature() {
                    self.silence = None;
                }
                let post = Post {
                    attempt,
                    last,
                    believed: self.item.believed,
                };
                let verdict = judge(answer, row.history.standing(now.today), post);
                self.carry_out(verdict, row, post, begun, now, out);
            }
            Event::CannotSign { row } => self.cannot_sign(row, now.at, out),
            Event::Granted(granted) => {
                self.reserved += granted;
                self.exhausted = granted == 0;
            }
            Event::Moved => {
                self.own += 1;
                self.item.settlements += 1;
                self.to_move = false;
                self.moved_at = Some(now.at);
            }
            Event::News(item) => self.news(item, now, out),
            Event::HandOver { answered } => self.hand_over(answered, now.today, out),
            Event::JobEnds => {
                self.hand_over(At::MAX, now.today, out);
                self.belief.end_job(self.accepted(), now.today, out);
                let unused = std::mem::take(&mut self.reserved);
                if unused > 0 {
                    out.push(Action::GiveBack(unused));
                }
            }
        }
    }

    fn cannot_sign(&mut self, row: R, now: At, out: &mut Vec<Action<R>>) {
        out.push(Action::Skip {
            row,
            skip: Skip::Silent,
        });
        let others = self.others();
        let silence = self
            .silence
            .get_or_insert_with(|| Silence::new(now, others));
        if silence.failed(now, others) {
            out.push(self.park(Reason::KeyCannotSign));
        }
    }

    fn news(&mut self, item: Item, now: Now, out: &mut Vec<Action<R>>) {
        if item.epoch < self.item.epoch || item.settlements < self.item.settlements {
            return; // read before the last news
        }
        if item.epoch > self.item.epoch {
            self.reopen();
        }
        self.exhausted &= !item.may_reserve();
        self.item = item;
        let parked = matches!(self.item.state, State::Parked(_));
        match self.phase {
            Phase::Open | Phase::Checking { .. } if parked => {
                self.phase = Phase::Parked { since: now.at };
                self.hand_over(At::MAX, now.today, out);
            }
            Phase::Checking { until, others } if now.at >= until => {
                if self.others() > others {
                    self.phase = Phase::AtFault;
                    out.push(Action::FailJob);
                } else {
                    let (mismatches, auths, accepted_before) =
                        (self.mismatches, self.auths, self.accepted());
                    out.push(self.park(Reason::Rejected {
                        mismatches,
                        auths,
                        accepted_before,
                    }));
                }
            }
            Phase::Open | Phase::Checking { .. } | Phase::Parked { .. } | Phase::AtFault => {}
        }
    }

    /// The item decides whether the lane is parked: this worker believes it when the item comes back as news.
    fn park(&self, reason: Reason) -> Action<R> {
        Action::Park {
            reason,
            epoch: self.item.epoch,
            settlements: self.item.settlements,
        }
    }

    fn reopen(&mut self) {
        if self.phase != Phase::AtFault {
            self.phase = Phase::Open;
        }
        self.belief.forget_acceptances();
        (self.mismatches, self.auths, self.reserved) = (0, 0, 0);
        self.silence = None;
    }

    /// Settlements with acceptances of other workers.
    fn others(&self) -> u64 {
        self.item.settlements.saturating_sub(self.own)
    }

    fn hand_over(&mut self, until: At, today: Day, out: &mut Vec<Action<R>>) {
        let lane = match self.phase {
            Phase::Parked { .. } => LaneNow::Parked,
            Phase::Open | Phase::Checking { .. } | Phase::AtFault if self.accepted() => {
                LaneNow::Proven
            }
            Phase::Open | Phase::Checking { .. } | Phase::AtFault => LaneNow::Unproven,
        };
        self.belief
            .hand_over(until, today, lane, self.item.epoch, out);
    }
}
