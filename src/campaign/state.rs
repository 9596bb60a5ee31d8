//! The states of a campaign, and the transitions between them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The state of a campaign, without the state's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In the ledger, but some of its jobs are not in the queue yet.
    Planned,
    /// Workers are pushing.
    Running,
    /// Every subscriber of the audience has a final result.
    Done,
    /// Stopped by a fault of ours. The operator must repair it before `resume`.
    Halted,
    /// Stopped by the operator.
    Cancelled,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 5] = [
        Self::Planned,
        Self::Running,
        Self::Done,
        Self::Halted,
        Self::Cancelled,
    ];

    /// One lower-case word, used in the API, the ledger and events.
    pub fn label(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Done => "done",
            Self::Halted => "halted",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether workers push for a campaign with this status.
    pub fn is_under_way(self) -> bool {
        match self {
            Self::Planned | Self::Running => true,
            Self::Done | Self::Halted | Self::Cancelled => false,
        }
    }
}

/// The state of a campaign, with the data that only this state has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// In the ledger, but some of its jobs are not in the queue yet.
    Planned,
    /// Workers are pushing.
    Running,
    /// Every subscriber of the audience has a final result.
    Done(End),
    /// Stopped by a fault of ours. The operator must repair it before `resume`.
    Halted {
        /// What was at fault, as a text for the operator.
        reason: String,
        /// When it was halted.
        end: End,
    },
    /// Stopped by the operator.
    Cancelled {
        /// What was at fault, if the campaign was halted before it was cancelled.
        reason: Option<String>,
        /// When it was cancelled.
        end: End,
    },
}

/// The end of a campaign. `resume` removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When the campaign ended.
    pub at: Timestamp,
    /// Whether the service has sent the event that announces it.
    pub announced: bool,
}

impl State {
    /// The state without its data.
    pub fn status(&self) -> Status {
        match self {
            Self::Planned => Status::Planned,
            Self::Running => Status::Running,
            Self::Done(_) => Status::Done,
            Self::Halted { .. } => Status::Halted,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// What was at fault when the campaign was halted.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Halted { reason, .. } => Some(reason),
            Self::Cancelled { reason, .. } => reason.as_deref(),
            Self::Planned | Self::Running | Self::Done(_) => None,
        }
    }

    /// The campaign's end; `None` while it is under way.
    pub fn end(&self) -> Option<End> {
        match self {
            Self::Planned | Self::Running => None,
            Self::Done(end) | Self::Halted { end, .. } | Self::Cancelled { end, .. } => Some(*end),
        }
    }
}

/// A change from one state to another.
#[derive(Debug, Clone, Copy)]
pub enum Transition<'a> {
    /// All jobs are in the queue.
    Start,
    /// Every segment is done.
    Finish {
        /// When.
        at: Timestamp,
    },
    /// A fault of ours stops the campaign.
    Halt {
        /// When.
        at: Timestamp,
        /// What is at fault.
        reason: &'a str,
        /// How often the campaign had been resumed when the worker met the fault. If the operator has resumed it since,
        /// the campaign stays under way: the worker assumes that the fault is repaired.
        resumed: u32,
    },
    /// The operator stops the campaign.
    Cancel {
        /// When.
        at: Timestamp,
    },
    /// The operator resumes the campaign from its checkpoints.
    Resume,
}

impl Transition<'_> {
    /// The states in which it is allowed.
    pub fn from(&self) -> &'static [Status] {
        match self {
            Self::Start => &[Status::Planned],
            Self::Finish { .. } | Self::Halt { .. } => &[Status::Planned, Status::Running],
            Self::Cancel { .. } => &[Status::Planned, Status::Running, Status::Halted],
            Self::Resume => &[Status::Halted, Status::Cancelled],
        }
    }

    /// The state that it leads to.
    pub fn to(&self) -> Status {
        match self {
            Self::Start | Self::Resume => Status::Running,
            Self::Finish { .. } => Status::Done,
            Self::Halt { .. } => Status::Halted,
            Self::Cancel { .. } => Status::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_transition_leaves_the_state_done_or_leads_to_where_it_starts() {
        let at = Timestamp::UNIX_EPOCH;
        let reason = "our fault";
        let resumed = 0;
        for transition in [
            Transition::Start,
            Transition::Finish { at },
            Transition::Halt {
                at,
                reason,
                resumed,
            },
            Transition::Cancel { at },
            Transition::Resume,
        ] {
            assert!(!transition.from().contains(&Status::Done), "{transition:?}");
            assert!(
                !transition.from().contains(&transition.to()),
                "{transition:?}"
            );
        }
    }

    #[test]
    fn a_campaign_has_an_end_unless_it_is_under_way() {
        let end = End {
            at: Timestamp::UNIX_EPOCH,
            announced: false,
        };
        let reason = "our fault".to_owned();
        let states = [
            (State::Planned, None),
            (State::Running, None),
            (State::Done(end), None),
            (State::Halted { reason, end }, Some("our fault")),
            (State::Cancelled { reason: None, end }, None),
        ];
        for ((state, reason), status) in states.into_iter().zip(Status::ALL) {
            assert_eq!(state.status(), status);
            assert_eq!(serde_json::json!(status), status.label());
            assert_eq!(state.end().is_none(), status.is_under_way());
            assert_eq!(state.reason(), reason);
        }
    }
}
