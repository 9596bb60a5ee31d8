//! The subscribers that a campaign is for: `all`, or an expression over tags such as `news && !(sports || beta)`.
//!
//! The text is parsed once, where it enters the service. An [`Audience`] decides whether a set of tags belongs to it,
//! and becomes a filter for DynamoDB. A test checks that both agree.
//!
//! | file | owns |
//! |---|---|
//! | `expression` | an expression over tags |
//! | `parse` | text -> [`Audience`], or the position of the error |
//! | [`tag`] | the characters and length of a tag |
//! | `filter` | [`Audience`] -> [`Filter`], a DynamoDB expression |

mod expression;
mod filter;
mod parse;
pub mod tag;

use std::collections::BTreeSet;
use std::fmt;

use expression::Node;
pub use filter::Filter;
pub use parse::{AudienceError, MAX_DEPTH, MAX_LEN, MAX_NAMED};

/// The word that means all subscribers. No audience can name a tag `all`.
const EVERYONE: &str = "all";

/// A set of subscribers, chosen by their tags. [`Display`](fmt::Display) writes its simplest text and keeps the order
/// of the tags: `((news))&& all` becomes `news`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audience(Option<Node>);

impl Audience {
    /// All subscribers: `all`.
    pub const EVERYONE: Self = Self(None);

    /// Whether a subscription with these tags belongs to the audience.
    pub fn admits(&self, tags: &BTreeSet<String>) -> bool {
        self.0.as_ref().is_none_or(|node| node.admits(tags))
    }

    /// The audience as a DynamoDB filter. `None` for all subscribers, which need no filter.
    pub fn filter(&self) -> Option<Filter> {
        self.0.as_ref().map(Filter::new)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(node) => write!(f, "{node}"),
            None => f.write_str(EVERYONE),
        }
    }
}
