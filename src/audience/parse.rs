//! Parses the text of an audience:
//!
//! ```text
//! or    = and ("||" and)*
//! and   = unary ("&&" unary)*
//! unary = "!" unary | "(" or ")" | "all" | tag
//! ```
//!
//! The text comes from outside. The limits below bound the parser's stack, and make sure that DynamoDB accepts the
//! filter.

use std::str::FromStr;

use super::expression::{Node, Operator};
use super::tag::{MAX_TAG_LEN, is_tag, is_tag_character};
use super::{Audience, EVERYONE};

/// Maximum characters of an audience, not counting white space.
pub const MAX_LEN: usize = 2048;
/// Maximum number of tags that are named, repetitions included. A DynamoDB expression may have 300 operators and 4 kB;
/// a tag takes at most three operators (`AND NOT contains`) and 32 bytes.
pub const MAX_NAMED: usize = 100;
/// Maximum depth of nested parentheses.
pub const MAX_DEPTH: usize = 16;

/// Why a text is not an audience. The first character is number 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// The text has something unexpected at this position.
    #[error("at character {position}: expected {expected}, found {found}")]
    Syntax {
        /// Position of the character, from 1.
        position: usize,
        /// The words or signs that the parser expected.
        expected: &'static str,
        /// The character that it found, in backquotes, or `the end`.
        found: String,
    },
    /// A tag is longer than any subscription's tag can be.
    #[error("at character {position}: a tag has at most {MAX_TAG_LEN} characters")]
    LongTag {
        /// Position of the tag's first character, from 1.
        position: usize,
    },
    /// Parentheses are nested too deeply.
    #[error("at character {position}: more than {MAX_DEPTH} parentheses are open")]
    TooDeep {
        /// Position of the first one too many, from 1.
        position: usize,
    },
    /// The text names more tags than a DynamoDB filter can hold.
    #[error("at character {position}: more than {MAX_NAMED} tags are named")]
    TooManyTags {
        /// Position of the first one too many, from 1.
        position: usize,
    },
    /// The text is too long.
    #[error("has more than {MAX_LEN} characters")]
    TooLong,
    /// The audience is empty, such as `!all`.
    #[error("matches nobody, because `all` matches everyone")]
    Nobody,
}

impl FromStr for Audience {
    type Err = AudienceError;

    fn from_str(text: &str) -> Result<Self, AudienceError> {
        let written = text.chars().filter(|c| !c.is_whitespace());
        if written.count() > MAX_LEN {
            return Err(AudienceError::TooLong);
        }
        let mut parser = Parser {
            text: text.chars().collect(),
            at: 0,
            depth: 0,
            named: 0,
        };
        let part = parser.join(Operator::Or)?;
        if parser.peek().is_some() {
            return Err(parser.expected("`&&`, `||` or the end"));
        }
        match part {
            Part::Node(node) => Ok(Self(Some(node))),
            Part::Constant(true) => Ok(Self::EVERYONE),
            Part::Constant(false) => Err(AudienceError::Nobody),
        }
    }
}

/// The meaning of a part of the text. The parser simplifies `all` (true) and `!all` (false) at once.
enum Part {
    Constant(bool),
    Node(Node),
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
    named: usize,
}

impl Parser {
    /// `a || b || c`, or `a && b && c`.
    fn join(&mut self, operator: Operator) -> Result<Part, AudienceError> {
        // `true` decides an "or", and `false` an "and". The other constant has no effect.
        let decisive = operator == Operator::Or;
        let (mut nodes, mut decided) = (Vec::new(), false);
        loop {
            let part = match operator {
                Operator::Or => self.join(Operator::And)?,
                Operator::And => self.unary()?,
            };
            match part {
                Part::Constant(constant) => decided |= constant == decisive,
                Part::Node(Node::Join(same, inner)) if same == operator => nodes.extend(inner),
                Part::Node(node) => nodes.push(node),
            }
            if !self.skip_operator(operator)? {
                break;
            }
        }
        if decided {
            return Ok(Part::Constant(decisive));
        }
        Ok(match (nodes.pop(), nodes.is_empty()) {
            (None, _) => Part::Constant(!decisive),
            (Some(only), true) => Part::Node(only),
            (Some(last), false) => {
                nodes.push(last);
                Part::Node(Node::Join(operator, nodes))
            }
        })
    }

    /// A tag, `all` or a group, perhaps negated. It loops over `!` instead of recursing: a text may consist of `!`
    /// alone.
    fn unary(&mut self) -> Result<Part, AudienceError> {
        let mut negated = false;
        while self.peek() == Some('!') {
            self.at += 1;
            negated = !negated;
        }
        let part = match self.peek() {
            Some('(') => self.group()?,
            Some(c) if is_tag_character(c) => self.word()?,
            _ => return Err(self.expected("a tag, `!` or `(`")),
        };
        Ok(match part {
            part if !negated => part,
            Part::Constant(constant) => Part::Constant(!constant),
            Part::Node(Node::Not(node)) => Part::Node(*node),
            Part::Node(node) => Part::Node(Node::Not(Box::new(node))),
        })
    }

    fn group(&mut self) -> Result<Part, AudienceError> {
        if self.depth == MAX_DEPTH {
            let position = self.at + 1;
            return Err(AudienceError::TooDeep { position });
        }
        (self.at, self.depth) = (self.at + 1, self.depth + 1);
        let part = self.join(Operator::Or)?;
        if self.peek() != Some(')') {
            return Err(self.expected("`&&`, `||` or `)`"));
        }
        (self.at, self.depth) = (self.at + 1, self.depth - 1);
        Ok(part)
    }

    fn word(&mut self) -> Result<Part, AudienceError> {
        let position = self.at + 1;
        let rest = self.text[self.at..].iter().copied();
        let word: String = rest.take_while(|c| is_tag_character(*c)).collect();
        self.at += word.len();
        if word == EVERYONE {
            return Ok(Part::Constant(true));
        }
        if !is_tag(&word) {
            return Err(AudienceError::LongTag { position });
        }
        self.named += 1;
        if self.named > MAX_NAMED {
            return Err(AudienceError::TooManyTags { position });
        }
        Ok(Part::Node(Node::Tag(word)))
    }

    /// Skips the operator if it comes next. Returns whether it did.
    fn skip_operator(&mut self, operator: Operator) -> Result<bool, AudienceError> {
        let (sign, expected) = match operator {
            Operator::And => ('&', "`&&`"),
            Operator::Or => ('|', "`||`"),
        };
        if self.peek() != Some(sign) {
            return Ok(false);
        }
        if self.text.get(self.at + 1) != Some(&sign) {
            return Err(self.expected(expected));
        }
        self.at += 2;
        Ok(true)
    }

    /// Skips white space and returns the next character, which stays unread.
    fn peek(&mut self) -> Option<char> {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn expected(&self, expected: &'static str) -> AudienceError {
        let found = self.text.get(self.at).map(|c| c.escape_debug());
        AudienceError::Syntax {
            position: self.at + 1,
            expected,
            found: found.map_or_else(|| "the end".to_owned(), |c| format!("`{c}`")),
        }
    }
}
