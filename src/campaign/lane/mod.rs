//! Lanes and belief: which answers of push services are believed, and which rows wait, pause or stop for them.
//!
//! # Why belief
//!
//! A bad answer has three possible causes: the subscriber is gone, the push service is in trouble, or we are at fault
//! (a wrong key, a clock that drifts). The answer does not say which. A service that was restarted under other keys
//! answers 404 to everybody; a program that believes it empties its table. Only one thing tells the causes apart: the
//! same service accepts *others* at that time, from the same process, under the same key. So a bad answer is believed
//! when others are accepted, and waits until then.
//!
//! Anybody can add rows to the table, and a hostile row can answer whatever its owner likes. So rows that were never
//! *reached* (accepted once, or imported) decide nothing about others.
//!
//! # Words
//!
//! - A *lane* is a push service together with the VAPID key that a row names. It is *open*, *paced* (sent at a learned
//!   rate, the same as open in here) or *parked*: its rows are skipped until somebody opens it.
//! - A row is *reached* or *unproven* (never reached).
//! - A *mark* is the day on which a push service first called a reached row gone. It counts after seven days. An
//!   acceptance clears it.
//! - A *failure* is the same for unproven rows. After failures on three days the row is removed. A failure counts only
//!   where the row's own origin accepted others that day, or cannot be connected to.
//! - *Belief* is what one worker saw in a lane: whom it accepted, which answers wait for that, and which rows ended.
//!
//! # How an answer goes
//!
//! ```text
//! permit --> post --> answer --judge--> counted
//!                                  \--> waits --an acceptance whose post began later--> believed: counted, or retried
//!                                          \---the mark must move, or the job ends----> a retry part
//! ```
//!
//! 1. [`Lane::permit`] is asked before each post. Unproven rows need a reservation until the lane accepts somebody.
//! 2. [`judge`] is the first table: what an answer does when it arrives. 410 is counted at once, and removed only if this
//!    process sees an acceptance by the end of its job. 404, mismatches and refusals of our token wait.
//! 3. `belief.rs` holds the second table: what becomes of an answer that waited. A mismatch or refusal that saw no
//!    acceptance goes to a retry part that is due once the lane accepts anybody or is opened again.
//! 4. Too many rejected first posts of reached rows (more than 50, or 250 after an acceptance) pause the lane for 15 s.
//!    Then the worker reads the lane's [`Item`]. If other workers were accepted meanwhile, this process is wrong and ends.
//!    Otherwise the lane is parked.
//! 5. [`end()`] ends the campaign. [`next_probe`] says when a halted one tries again, [`resume`] is a person's command.
//!
//! # What this module promises
//!
//! - Nobody who was reached is removed by a 404 or a refusal, unless a mark is a week old, the service says the same
//!   twice today, and it accepts others. A 410 removes only where this process sees the lane accept others.
//! - Rows that were never reached park no lane, stop no worker, and halt no campaign in which anybody is accepted.
//! - Every row ends counted, in a retry part, or skipped. No row is forgotten.
//!
//! Everything here is pure: times are arguments, and the worker around it does what the [`Action`]s say.
//!
//! | file | owns |
//! |---|---|
//! | `row` | what the table knows of a subscriber, marks, failures |
//! | `answer` | the first table: an answer arrives |
//! | `belief` | the second table: an answer that waited |
//! | `worker` | one worker's lane: permits, news, checks; verdicts carried out |
//! | `silence` | a key that cannot sign |
//! | `item` | the lane's item, which all workers of the campaign share |
//! | `end` | halted or done, probes, `resume` |
//! | `single` | single sends |
//! | `event` | what the worker tells it |
//! | `action` | what the worker is asked to do |

mod action;
mod answer;
mod belief;
mod end;
mod event;
mod item;
mod row;
mod silence;
mod single;
mod worker;

#[cfg(test)]
mod tests;

pub use action::{Action, At, Permit, Skip, When};
pub use answer::{Answer, Attempt, Doubt, Failure, Post, Tally, Verdict, judge};
pub use end::{End, Ending, GoesOn, LaneEnd, UnknownLane, Warning, end, next_probe, resume};
pub use event::{Ask, Event, Now};
pub use item::{Item, Reason, State};
pub use row::{Day, Failures, History, Note, Row, Standing};
pub use single::{LaneAccepted, note as single_send};
pub use worker::Lane;
