//! Campaigns: values and arithmetic, no I/O.
//!
//! A campaign is one message to an audience. Its plan divides the table of subscriptions into segments. Pushes that
//! must be retried form a *retry part*, a list of endpoints. Segments and retry parts are the campaign's *parts*. One
//! worker at a time works on a part, under a lease. A job in the queue only names a part.
//!
//! | file | owns |
//! |---|---|
//! | this one | the campaign, its parts and its plan |
//! | [`state`] | a campaign's states, and the transitions between them |
//! | [`figures`] | results, counted by push service |
//! | [`request`], [`message`] | a campaign and its message, read from JSON |
//! | [`retry_policy`] | what to do with the row and the message after a push |
//! | [`retry_state`], [`part`] | when a push is retried; retry parts |
//! | [`checkpoint`] | the progress of a part, and the change that one batch makes |
//! | [`faults`] | when a fault of our own halts a campaign |
//! | [`lane`], [`rate`] | for the next delivery engine, not yet used: which refusals to believe; the rate a service takes |
//! | [`view`] | the campaign as the API and events show it |

pub mod checkpoint;
pub mod faults;
pub mod figures;
pub mod lane;
pub mod message;
pub mod part;
pub mod rate;
pub mod request;
pub mod retry_policy;
pub mod retry_state;
pub mod state;
pub mod view;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use checkpoint::MAX_UNRECORDED_PUSHES;
pub use faults::Faults;
pub use figures::{Figures, Tally};
pub use state::{End, State, Status, Transition};

use crate::audience::Audience;

/// Target number of rows per segment: about 30 seconds of work.
const SEGMENT_ROWS: u64 = 5_000;

/// Maximum number of segments. Every view of a campaign reads all their items, so larger tables get longer segments.
const MAX_SEGMENTS: u32 = 1_000;

/// Messages a second for each segment of a rate-limited campaign. The segments share the campaign's rate.
const SEGMENT_RATE: u32 = 250;

/// Maximum characters of an id. Ids are part of keys and URL paths.
pub const MAX_ID_LEN: usize = 128;

/// A campaign's id: the request's `id`, or a generated one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CampaignId(String);

/// The text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_ID_LEN} characters of A-Z, a-z, 0-9 and . _ : ~ -")]
pub struct NotAnId;

impl CampaignId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CampaignId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let alphabet =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'~' | b'-');
        // In a URL path, `.` and `..` name other folders.
        let is_dot_segment = text == "." || text == "..";
        if (1..=MAX_ID_LEN).contains(&text.len()) && text.bytes().all(alphabet) && !is_dot_segment {
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
    /// Its id.
    pub id: CampaignId,
    /// Its state.
    pub state: State,
    /// The subscribers that it is for.
    pub audience: Audience,
    /// The message's members.
    pub message: Map<String, Value>,
    /// Maximum number of messages a second.
    pub rate: Option<u32>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Number of subscriptions when it was planned.
    pub subscribers: u64,
    /// Number of segments.
    pub segments: u32,
    /// Number of segments that are done, including their retry parts.
    pub segments_done: u32,
    /// How often it was resumed.
    pub resumed: u32,
}

impl Campaign {
    /// Its state without the state's data.
    pub fn status(&self) -> Status {
        self.state.status()
    }
}

/// One part of a campaign: the sort key of its item in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PartKey {
    /// Segment number of a parallel scan, from 0.
    Segment(u32),
    /// Endpoints of a segment that a worker must push to again.
    Retry {
        /// The segment that holds them.
        segment: u32,
        /// Distinguishes the retry parts of one segment.
        serial: u64,
    },
}

impl PartKey {
    /// Prefix of the keys of all segments, and of no other keys.
    pub(crate) const SEGMENTS: &str = "segment#";
    /// Prefix of the keys of all retry parts, and of no other keys.
    pub(crate) const RETRIES: &str = "retry#";

    /// Prefix of the keys of one segment's retry parts, and of no other keys.
    pub(crate) fn retries_of(segment: u32) -> String {
        format!("{}{segment:05}#", Self::RETRIES)
    }

    /// The number of the segment, or of the segment that the retry part belongs to.
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
        // Refuses other spellings, such as missing leading zeros: a part has exactly one key.
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

/// A job in the queue. It only names a part; the ledger holds all progress. So a job that is lost or delivered twice
/// neither loses nor repeats a push.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Job {
    /// Which campaign.
    pub campaign: CampaignId,
    /// Which part of it.
    pub part: PartKey,
}

/// The number of segments for `subscribers`. A rate-limited campaign gets only as many as it needs to reach its rate,
/// because each segment sends at an equal share of the rate.
pub fn segments(subscribers: u64, rate: Option<u32>, at_most: u32) -> u32 {
    let wanted = subscribers.div_ceil(SEGMENT_ROWS);
    let wanted = u32::try_from(wanted).unwrap_or(MAX_SEGMENTS);
    let for_rate = rate.map_or(MAX_SEGMENTS, |rate| rate.div_ceil(SEGMENT_RATE));
    wanted
        .min(for_rate)
        .clamp(1, at_most.clamp(1, MAX_SEGMENTS))
}
