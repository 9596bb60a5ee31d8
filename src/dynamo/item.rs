//! DynamoDB items, and helpers for their attribute values.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

/// An item: attribute values by name.
pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn bytes(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(crate) fn number(n: impl ToString) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

/// The number in the attribute `name`. `None` if it is missing, negative or not whole.
pub(crate) fn count(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// Turns a struct of texts, numbers and booleans into an item.
pub(crate) fn to_item(attributes: &impl Serialize) -> Item {
    serde_dynamo::to_item(attributes).expect("a struct of texts, numbers and booleans")
}
