//! How a campaign ends, and how it goes on after that (DESIGN.md, section 4, "Healthy lanes always finish").

use std::fmt;
use std::time::Duration;

use super::item::{Item, Reason, State};

const FIRST_PROBE: Duration = Duration::from_secs(10 * 60);
const PROBE_EVERY: Duration = Duration::from_secs(60 * 60);
const LAST_PROBE: Duration = Duration::from_secs(24 * 60 * 60);

/// One lane when nothing is left that could be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneEnd {
    /// Its name.
    pub lane: String,
    /// Its state.
    pub state: State,
    /// Whether it accepted anybody in this campaign.
    pub accepted: bool,
    /// Rows that were refused or mismatched: counted, or waiting for an acceptance. Mismatches that a person believes
    /// are not among them.
    pub rejected: u64,
    /// Rows that were called gone.
    pub gone: u64,
    /// Reached rows that were skipped, or wait in its retry parts.
    pub held_reached: u64,
    /// The same of rows that were never reached.
    pub held_unproven: u64,
}

/// How the campaign ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Open lanes that are parked now.
    pub park: Vec<(String, Reason)>,
    /// Halted or done.
    pub end: End,
}

/// Halted or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It goes on by itself, or when a person resumes it.
    Halted {
        /// Each parked lane and why.
        reasons: Vec<(String, Reason)>,
    },
    /// It is over.
    Done {
        /// What a person should know.
        warnings: Vec<Warning>,
    },
}

/// What a person should know about a campaign that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A parked lane held only rows that were never reached.
    Parked {
        /// Its name.
        lane: String,
        /// Why.
        reason: Reason,
        /// Rows that were skipped.
        skipped: u64,
    },
    /// Nobody was accepted, and everybody was called gone.
    AllGone {
        /// Its name.
        lane: String,
        /// How many were.
        gone: u64,
    },
    /// Nobody was accepted, so that not all rows that were never reached were tried.
    NotTried {
        /// Its name.
        lane: String,
        /// Rows that were skipped.
        skipped: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parked {
                lane,
                reason,
                skipped,
            } => {
                write!(
                    f,
                    "{lane} is parked: {reason}. {skipped} subscribers were skipped"
                )
            }
            Self::AllGone { lane, gone } => write!(
                f,
                "{lane} accepted nobody and called {gone} subscribers gone. Nobody was removed for it"
            ),
            Self::NotTried { lane, skipped } => write!(
                f,
                "{lane} accepted nobody: {skipped} subscribers who were never reached were not tried"
            ),
        }
    }
}

/// Ends a campaign. A lane that accepted nobody and rejected anybody is parked, however few they were.
pub fn end(lanes: &[LaneEnd]) -> Ending {
    let reason = |it: &LaneEnd| match &it.state {
        State::Parked(reason) => Some(*reason),
        State::Open | State::Paced if !it.accepted && it.rejected > 0 => {
            Some(Reason::NobodyAccepted {
                rejected: it.rejected,
            })
        }
        State::Open | State::Paced => None,
    };
    let newly = |it: &&LaneEnd| !matches!(it.state, State::Parked(_));
    let named = |it: &LaneEnd| reason(it).map(|reason| (it.lane.clone(), reason));
    let park = lanes.iter().filter(newly).filter_map(named).collect();

    let holds_reached = lanes
        .iter()
        .any(|it| reason(it).is_some() && it.held_reached > 0);
    let nobody = lanes.iter().all(|it| !it.accepted);
    let rejected = lanes.iter().any(|it| it.rejected > 0);
    let end = if holds_reached || (nobody && rejected) {
        End::Halted {
            reasons: lanes.iter().filter_map(named).collect(),
        }
    } else {
        End::Done {
            warnings: lanes
                .iter()
                .filter_map(|it| warning(it, reason(it)))
                .collect(),
        }
    };
    Ending { park, end }
}

fn warning(it: &LaneEnd, parked: Option<Reason>) -> Option<Warning> {
    let (lane, skipped) = (it.lane.clone(), it.held_reached + it.held_unproven);
    match parked {
        Some(reason) => Some(Warning::Parked {
            lane,
            reason,
            skipped,
        }),
        None if !it.accepted && skipped > 0 => Some(Warning::NotTried { lane, skipped }),
        None if !it.accepted && it.gone > 0 => Some(Warning::AllGone {
            lane,
            gone: it.gone,
        }),
        None => None,
    }
}

/// When a halted campaign tries each parked lane with one row: after ten minutes, then every hour, for a day at most
/// and while the message is of use to anybody. Times are since 1970. `halted_at` is when it halted first after a person
/// last started or resumed it, so that a lane that opens and parks in turn does not go on for ever.
pub fn next_probe(
    halted_at: Duration,
    last: Option<Duration>,
    useful_until: Duration,
) -> Option<Duration> {
    let next = last.map_or(halted_at + FIRST_PROBE, |last| last + PROBE_EVERY);
    (next <= halted_at + LAST_PROBE && next < useful_until).then_some(next)
}

/// Who makes a campaign go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesOn {
    /// A probe was accepted.
    ByItself,
    /// A person resumed it.
    Resumed,
}

impl GoesOn {
    /// Whether each row's TTL begins anew.
    pub fn restarts_ttl(self) -> bool {
        match self {
            Self::ByItself => false,
            Self::Resumed => true,
        }
    }
}

/// `believe` names a lane that the campaign does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLane(pub String);

impl fmt::Display for UnknownLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the campaign has no lane {}", self.0)
    }
}

impl std::error::Error for UnknownLane {}

/// A person's `resume` of a halted campaign, or of a done one with parked lanes: all lanes open at once. Mismatches of
/// the lanes named in `believe` are counted from now on, and halt nothing.
///
/// # Errors
///
/// A name in `believe` is no lane of the campaign; nothing was changed.
pub fn resume(lanes: &mut [(String, Item)], believe: &[String]) -> Result<(), UnknownLane> {
    if let Some(name) = believe
        .iter()
        .find(|name| lanes.iter().all(|(lane, _)| lane != *name))
    {
        return Err(UnknownLane(name.clone()));
    }
    for (lane, item) in lanes {
        item.resume(believe.contains(lane));
    }
    Ok(())
}
