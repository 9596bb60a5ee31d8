//! Items of DynamoDB, and the attribute values that both tables use.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

/// An item: attributes by name.
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

/// A number that the item holds under `name`.
pub(crate) fn count(item: &Item, name: &str) -> Option<u64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// A struct of texts, numbers and booleans as an item.
pub(crate) fn to_item(attributes: &impl Serialize) -> Item {
    serde_dynamo::to_item(attributes).expect("a struct of texts, numbers and booleans")
}
