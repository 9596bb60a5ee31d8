//! An audience as DynamoDB's filter of a scan.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::{Node, Operator};

/// A filter expression over the attribute `tags` of a subscription. A row without it has no tags: `contains` is false.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// `contains(#tags, :t0) AND NOT contains(#tags, :t1)`
    pub expression: String,
    /// What `#tags` stands for.
    pub names: HashMap<String, String>,
    /// What `:t0`, `:t1`.. stand for.
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

    /// Denials go down to the tags (De Morgan), so that their number is bounded by the tags'. Parentheses stand only
    /// where they change the meaning: DynamoDB refuses redundant ones.
    fn add(&mut self, node: &Node, denied: bool, within: Operator) {
        match node {
            Node::Tag(tag) => {
                let not = if denied { "NOT " } else { "" };
                let value = self.value(tag);
                self.expression += &format!("{not}contains(#tags, {value})");
            }
            Node::Not(node) => self.add(node, !denied, within),
            Node::Join(operator, nodes) => {
                let (operator, word) = match (operator, denied) {
                    (Operator::And, false) | (Operator::Or, true) => (Operator::And, " AND "),
                    (Operator::Or, false) | (Operator::And, true) => (Operator::Or, " OR "),
                };
                let parentheses = (within, operator) == (Operator::And, Operator::Or);
                self.expression += if parentheses { "(" } else { "" };
                for (i, node) in nodes.iter().enumerate() {
                    self.expression += if i > 0 { word } else { "" };
                    self.add(node, denied, operator);
                }
                self.expression += if parentheses { ")" } else { "" };
            }
        }
    }

    /// A tag that is named again is the same value.
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
