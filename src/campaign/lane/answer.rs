//! The first table: what an answer does when it arrives (DESIGN.md, section 4, "What an answer does").

use super::row::Standing;

/// An answer of a push service, as far as lanes care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The service took the message.
    Accepted,
    /// 410: the service says that the subscription has ended.
    Gone,
    /// 404: an ended subscription, or a proxy, a wrong path, a restart.
    NotFound,
    /// The subscription was made with another VAPID key.
    Mismatch,
    /// 401, 403 or the like: our token, key or headers are wrong.
    Auth,
    /// The service will not have this message, for another reason.
    Refused,
    /// The retries are over, and the origin could not be resolved or connected to while other origins answered.
    Unconnected,
    /// Throttled, unavailable, timed out, too large: belief has nothing to say, the policy of retries decides.
    Other,
}

impl Answer {
    /// Whether the post was signed: nothing is signed for an origin that cannot be connected to.
    pub(super) fn proves_signature(self) -> bool {
        match self {
            Self::Accepted
            | Self::Gone
            | Self::NotFound
            | Self::Mismatch
            | Self::Auth
            | Self::Refused => true,
            Self::Unconnected | Self::Other => false,
        }
    }
}

/// Which post of a row in this campaign was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The campaign had not tried this row before.
    First,
    /// A retry.
    Again,
    /// The one more try that a marked row gets before it is removed.
    OneMore,
}

/// How a row is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tally {
    /// The service took the message.
    Accepted,
    /// The service called the subscription gone.
    Gone,
    /// Another key.
    Mismatched,
    /// The service refused the message or our token.
    Refused,
    /// Given up.
    Failed,
}

/// An answer that says nothing about the subscriber until the service accepts somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// 404.
    NotFound,
    /// Another key.
    Mismatch,
    /// Our token, key or headers.
    Auth,
}

impl Doubt {
    /// How the row is counted once the answer is believed.
    pub fn tally(self) -> Tally {
        match self {
            Self::NotFound => Tally::Gone,
            Self::Mismatch => Tally::Mismatched,
            Self::Auth => Tally::Refused,
        }
    }
}

/// When a failure of a row that was never reached counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Where the same origin accepted others today.
    IfOriginAccepts,
    /// Always: the origin is not there.
    Always,
}

/// The decision about a row when its answer arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Counted as accepted; mark and failures go, `unproven` becomes `reached_at`.
    Accepted,
    /// Counted as gone. Removed if this process sees the lane accept somebody by the end of its job, otherwise marked
    /// (or, where never reached, failed).
    Ended,
    /// Counted as gone a week after the mark and twice today. Removed if the lane accepted anybody in this campaign.
    EndedAgain,
    /// Counted as gone now; the mark is written, or kept, without waiting for others.
    CalledGone,
    /// Tried once more in 30 s.
    OneMore,
    /// Waits until the lane accepts somebody.
    Wait(Doubt),
    /// Counted.
    Counted(Tally, Failure),
    /// The policy of retries decides.
    Policy,
}

/// What the table needs to know besides answer and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Post {
    /// Which post of the row this was.
    pub attempt: Attempt,
    /// Attempts are used up, or the TTL ends before the next one.
    pub last: bool,
    /// A person said that this lane's mismatches are right.
    pub believed: bool,
}

/// The table.
pub fn judge(answer: Answer, standing: Standing, post: Post) -> Verdict {
    use Standing::{Marked, NeverReached, Reached};
    match (answer, standing) {
        (Answer::Accepted, Reached | Marked | NeverReached) => Verdict::Accepted,
        (Answer::Gone, Reached | NeverReached) => Verdict::Ended,
        (Answer::Gone | Answer::NotFound, Marked) => match post.attempt {
            Attempt::OneMore => Verdict::EndedAgain,
            Attempt::First | Attempt::Again if post.last => Verdict::CalledGone,
            Attempt::First | Attempt::Again => Verdict::OneMore,
        },
        (Answer::NotFound, Reached | NeverReached) if post.last => Verdict::CalledGone,
        (Answer::NotFound, Reached | NeverReached) => Verdict::Wait(Doubt::NotFound),
        (Answer::Mismatch, Reached | Marked | NeverReached) if post.believed => {
            Verdict::Counted(Tally::Mismatched, Failure::IfOriginAccepts)
        }
        (Answer::Mismatch, Reached | Marked | NeverReached) => Verdict::Wait(Doubt::Mismatch),
        (Answer::Auth, Reached | Marked | NeverReached) => Verdict::Wait(Doubt::Auth),
        (Answer::Refused, Reached | Marked | NeverReached) => {
            Verdict::Counted(Tally::Refused, Failure::IfOriginAccepts)
        }
        (Answer::Unconnected, Reached | Marked | NeverReached) => {
            Verdict::Counted(Tally::Failed, Failure::Always)
        }
        (Answer::Other, Reached | Marked | NeverReached) => Verdict::Policy,
    }
}
