//! Campaigns: values and arithmetic, no I/O.
//!
//! A campaign is one message to an audience. Its plan cuts the table of subscriptions into segments; what must be
//! pushed again becomes a retry part, a list of endpoints of its own. Segments and retry parts are the campaign's
//! *parts*: each is worked on under a lease, by one worker at a time, and a job in the queue only points to one.
//!
//! | file | owns |
//! |---|---|
//! | this one | the campaign, its parts and its plan |
//! | [`state`] | a campaign's states, and the transitions between them |
//! | [`figures`] | what became of everyone, by push service |
//! | [`request`], [`message`] | a campaign and its message, read from JSON |
//! | [`policy`] | what the outcome of a push asks for the row and for the message |
//! | [`retry`], [`part`] | when a push is made again; retry parts |
//! | [`checkpoint`] | how far a part is, and the change that one batch makes |
//! | [`faults`] | when our own fault halts it |
//! | [`lane`], [`rate`] | the next delivery engine, not yet called by a worker: which refusals to believe, and the rate that a service takes |
//! | [`view`] | the campaign as the API and events show it |

pub mod checkpoint;
pub mod faults;
pub mod figures;
pub mod lane;
pub mod message;
pub mod part;
pub mod policy;
pub mod rate;
pub mod request;
pub mod retry;
pub mod state;
pub mod view;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use faults::Faults;
pub use figures::{Figures, Tally};
pub use state::{End, State, Status, Transition};

use crate::audience::Audience;

/// The most pushes of one process that may be under way, or answered, and not yet written down: what a crash can
/// repeat.
pub const PAGE: usize = 500;

/// Rows that a segment is meant to hold: half a minute's work.
const SEGMENT_ROWS: u64 = 5_000;

/// More segments than this are longer ones instead: their items are read whenever a campaign is looked at.
const MOST_SEGMENTS: u32 = 1_000;

/// What a campaign that keeps to a rate may do in one segment: the rate is shared out among them.
const SEGMENT_RATE: u32 = 250;

/// The longest id: it is part of keys and paths.
pub const MAX_ID_LEN: usize = 128;

/// A campaign's name: the message's `id`, or one made for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CampaignId(String);

/// The text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_ID_LEN} characters of A-Z, a-z, 0-9 and . _ : ~ -")]
pub struct NotAnId;

impl CampaignId {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CampaignId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let alphabet =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'~' | b'-');
        // A dot or two alone would be a step in a path.
        let step = text == "." || text == "..";
        if (1..=MAX_ID_LEN).contains(&text.len()) && text.bytes().all(alphabet) && !step {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAnId)
    }
}

impl TryFrom<String> for CampaignId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<CampaignId> for String {
    fn from(id: CampaignId) -> Self {
        id.0
    }
}

impl fmt::Display for CampaignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A campaign as the ledger holds it.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Its name.
    pub id: CampaignId,
    /// How far it is.
    pub state: State,
    /// To whom.
    pub audience: Audience,
    /// The message's members.
    pub message: Map<String, Value>,
    /// Messages a second, at most.
    pub rate: Option<u32>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Subscriptions there were when it was planned.
    pub subscribers: u64,
    /// How many segments it has.
    pub segments: u32,
    /// How many of them are done, with every retry of theirs.
    pub segments_done: u32,
    /// How often it was resumed.
    pub resumed: u32,
}

impl Campaign {
    /// How far it is.
    pub fn status(&self) -> Status {
        self.state.status()
    }
}

/// One part of a campaign: the sort key of its item in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PartKey {
    /// Segment i of a parallel scan.
    Segment(u32),
    /// Endpoints of a segment that are to be pushed to again.
    Retry {
        /// The segment that read them.
        segment: u32,
        /// Tells the retries of one segment apart.
        serial: u64,
    },
}

impl PartKey {
    /// The keys of all segments begin with this, and no others.
    pub(crate) const SEGMENTS: &str = "segment#";
    /// The keys of all retry parts begin with this, and no others.
    pub(crate) const RETRIES: &str = "retry#";

    /// The keys of one segment's retry parts begin with this, and no others.
    pub(crate) fn retries_of(segment: u32) -> String {
        format!("{}{segment:05}#", Self::RETRIES)
    }

    /// The segment that it is, or that it comes from.
    pub fn segment(&self) -> u32 {
        match self {
            Self::Segment(segment) | Self::Retry { segment, .. } => *segment,
        }
    }
}

/// The text is not a part's key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not the key of a campaign's part")]
pub struct NotAPart;

impl FromStr for PartKey {
    type Err = NotAPart;

    fn from_str(text: &str) -> Result<Self, NotAPart> {
        let number = |text: &str| text.parse().map_err(|_| NotAPart);
        let key = if let Some(segment) = text.strip_prefix(Self::SEGMENTS) {
            Self::Segment(number(segment)?)
        } else {
            let retry = text.strip_prefix(Self::RETRIES).ok_or(NotAPart)?;
            let (segment, serial) = retry.split_once('#').ok_or(NotAPart)?;
            Self::Retry {
                segment: number(segment)?,
                serial: u64::from_str_radix(serial, 16).map_err(|_| NotAPart)?,
            }
        };
        // One part has one key.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(NotAPart)
        }
    }
}

impl TryFrom<String> for PartKey {
    type Error = NotAPart;

    fn try_from(text: String) -> Result<Self, NotAPart> {
        text.parse()
    }
}

impl From<PartKey> for String {
    fn from(key: PartKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(segment) => write!(f, "{}{segment:05}", Self::SEGMENTS),
            Self::Retry { segment, serial } => {
                write!(f, "{}{serial:016x}", Self::retries_of(*segment))
            }
        }
    }
}

/// A job in the queue: a pointer, nothing else. The ledger is the truth, so a job that is lost or doubled loses and
/// doubles nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// Which campaign.
    pub campaign: CampaignId,
    /// Which part of it.
    pub part: PartKey,
}

/// Into how many segments `subscribers` are cut. A campaign that keeps to a rate has no more of them than it takes to
/// reach it, since each keeps to its share.
pub fn segments(subscribers: u64, rate: Option<u32>, at_most: u32) -> u32 {
    let wanted = subscribers.div_ceil(SEGMENT_ROWS);
    let wanted = u32::try_from(wanted).unwrap_or(MOST_SEGMENTS);
    let for_rate = rate.map_or(MOST_SEGMENTS, |rate| rate.div_ceil(SEGMENT_RATE));
    wanted
        .min(for_rate)
        .clamp(1, at_most.clamp(1, MOST_SEGMENTS))
}
