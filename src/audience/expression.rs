//! An expression over tags: what an audience is made of, unless it is everyone.

use std::collections::BTreeSet;
use std::fmt;

/// The expression of an audience other than `all`. It holds no double negation. A join has at least two nodes, and none
/// of them is a join with the same operator.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Tag(String),
    Not(Box<Node>),
    Join(Operator, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    And,
    Or,
}

impl Node {
    /// Whether a subscription with these tags fits.
    pub(super) fn admits(&self, tags: &BTreeSet<String>) -> bool {
        match self {
            Self::Tag(tag) => tags.contains(tag),
            Self::Not(node) => !node.admits(tags),
            Self::Join(Operator::And, nodes) => nodes.iter().all(|node| node.admits(tags)),
            Self::Join(Operator::Or, nodes) => nodes.iter().any(|node| node.admits(tags)),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Not(node) => match **node {
                Self::Join(..) => write!(f, "!({node})"),
                Self::Tag(_) | Self::Not(_) => write!(f, "!{node}"),
            },
            Self::Join(operator, nodes) => {
                for (i, node) in nodes.iter().enumerate() {
                    if i > 0 {
                        write!(f, " {} ", operator.text())?;
                    }
                    match (operator, node) {
                        (Operator::And, Self::Join(..)) => write!(f, "({node})")?,
                        (Operator::And | Operator::Or, _) => write!(f, "{node}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl Operator {
    fn text(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
        }
    }
}
