//! Turns an audience into a filter expression for a DynamoDB scan.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::{Node, Operator};

/// A filter expression over the attribute `tags` of a subscription. In a row without tags the attribute is missing, and
/// `contains` is false.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// `contains(#tags, :t0) AND NOT contains(#tags, :t1)`
    pub expression: String,
    /// The attribute name for the placeholder `#tags`.
    pub names: HashMap<String, String>,
    /// The values for the placeholders `:t0`, `:t1` and so on.
    pub values: HashMap<String, AttributeValue>,
}

impl Filter {
    pub(super) fn new(node: &Node) -> Self {
        let mut filter = Self {
            expression: String::new(),
            names: HashMap::from([("#tags".to_owned(), "tags".to_owned())]),
            values: HashMap::new(),
        };
        filter.add(node, false, Operator::Or);
        filter
    }

    /// Appends `node`. Moves every negation down to a tag (De Morgan), so that there are at most as many negations as
    /// tags. Writes parentheses only where they change the meaning, because DynamoDB refuses redundant ones.
    fn add(&mut self, node: &Node, negated: bool, within: Operator) {
        match node {
            Node::Tag(tag) => {
                let not = if negated { "NOT " } else { "" };
                let value = self.value(tag);
                self.expression += &format!("{not}contains(#tags, {value})");
            }
            Node::Not(node) => self.add(node, !negated, within),
            Node::Join(operator, nodes) => {
                let (operator, word) = match (operator, negated) {
                    (Operator::And, false) | (Operator::Or, true) => (Operator::And, " AND "),
                    (Operator::Or, false) | (Operator::And, true) => (Operator::Or, " OR "),
                };
                let parentheses = (within, operator) == (Operator::And, Operator::Or);
                self.expression += if parentheses { "(" } else { "" };
                for (i, node) in nodes.iter().enumerate() {
                    self.expression += if i > 0 { word } else { "" };
                    self.add(node, negated, operator);
                }
                self.expression += if parentheses { ")" } else { "" };
            }
        }
    }

    /// The placeholder of a tag. A repeated tag reuses its placeholder.
    fn value(&mut self, tag: &str) -> String {
        let tag = AttributeValue::S(tag.to_owned());
        let known = self.values.iter().find(|(_, value)| **value == tag);
        if let Some((name, _)) = known {
            return name.clone();
        }
        let name = format!(":t{}", self.values.len());
        self.values.insert(name.clone(), tag);
        name
    }
}
