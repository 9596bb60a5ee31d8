//! ```text
//! or    = and ("||" and)*
//! and   = unary ("&&" unary)*
//! unary = "!" unary | "(" or ")" | "all" | tag
//! ```
//!
//! Text from outside costs a bounded stack and ends as a filter that DynamoDB takes: its limits are these limits.

use std::str::FromStr;

use super::expression::{Node, Operator};
use super::tag::{MAX_TAG_LEN, is_tag, is_tag_character};
use super::{Audience, EVERYONE};

/// Characters of an audience that are read, white space not counted.
pub const MAX_LEN: usize = 2048;
/// Times that tags may be named. DynamoDB takes 300 operators and 4 kB in one expression; a tag costs at most three
/// operators (`AND NOT contains`) and 32 bytes.
pub const MAX_NAMED: usize = 100;
/// Parentheses that may be open at once.
pub const MAX_DEPTH: usize = 16;

/// Why a text is not an audience. The first character is number 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// Something else should stand here.
    #[error("at character {position}: expected {expected}, found {found}")]
    Syntax {
        /// Which character, from 1.
        position: usize,
        /// What could stand here.
        expected: &'static str,
        /// What does, in backquotes, or `the end`.
        found: String,
    },
    /// A tag that no subscription can have.
    #[error("at character {position}: a tag has at most {MAX_TAG_LEN} characters")]
    LongTag {
        /// Of its first character, from 1.
        position: usize,
    },
    /// Parentheses in parentheses.
    #[error("at character {position}: more than {MAX_DEPTH} parentheses are open")]
    TooDeep {
        /// Of the one too many, from 1.
        position: usize,
    },
    /// More than one filter can ask for.
    #[error("at character {position}: more than {MAX_NAMED} tags are named")]
    TooManyTags {
        /// Of the one too many, from 1.
        position: usize,
    },
    /// More text than is read.
    #[error("has more than {MAX_LEN} characters")]
    TooLong,
    /// `!all`
    #[error("is nobody, since all is everyone")]
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

/// What a part of the text means: `all` and `!all` are folded away as they are met.
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
        // True decides an "or", false an "and"; the other of the two adds nothing.
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
            if !self.passes(operator)? {
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

    /// A tag, `all` or a group, perhaps denied. A loop, not a recursion: a text may be nothing but `!`.
    fn unary(&mut self) -> Result<Part, AudienceError> {
        let mut denied = false;
        while self.peek() == Some('!') {
            self.at += 1;
            denied = !denied;
        }
        let part = match self.peek() {
            Some('(') => self.group()?,
            Some(c) if is_tag_character(c) => self.word()?,
            _ => return Err(self.expected("a tag, `!` or `(`")),
        };
        Ok(match part {
            part if !denied => part,
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

    /// Whether the operator stands here; goes past it.
    fn passes(&mut self, operator: Operator) -> Result<bool, AudienceError> {
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

    /// The next character that is not white space.
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
