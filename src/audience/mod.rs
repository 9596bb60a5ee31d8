//! The subscribers that a campaign is for: `all`, or an expression over tags such as `news && !(sports || beta)`.
//!
//! It is parsed once, at the edge. The value tells for one set of tags whether it fits, and becomes the filter with which
//! DynamoDB reads a table. A test checks that both agree.
//!
//! | file | owns |
//! |---|---|
//! | `expression` | an expression over tags |
//! | `parse` | text -> [`Audience`], or where it is wrong |
//! | [`tag`] | what a tag may be |
//! | `filter` | [`Audience`] -> [`Filter`], an expression of DynamoDB's |

mod expression;
mod filter;
mod parse;
pub mod tag;

use std::collections::BTreeSet;
use std::fmt;

use expression::Node;
pub use filter::Filter;
pub use parse::{AudienceError, MAX_DEPTH, MAX_LEN, MAX_NAMED};

/// The word that stands for everyone. It hides a tag of the same name.
const EVERYONE: &str = "all";

/// Some of the subscribers, by their tags. Its text is the plainest with the same meaning in the same order:
/// `((news))&& all` is `news`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Audience(Option<Node>);

impl Audience {
    /// Everyone: `all`.
    pub const EVERYONE: Self = Self(None);

    /// Whether a subscription with these tags belongs to it.
    pub fn admits(&self, tags: &BTreeSet<String>) -> bool {
        self.0.as_ref().is_none_or(|node| node.admits(tags))
    }

    /// The same for DynamoDB, which takes no filter for everyone.
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
