//! A registration as an update of its row, whether or not that is there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use jiff::Timestamp;

use crate::dynamo::item::{Item, bytes, string};
use crate::json::Change;
use crate::subscribers::registration::{MadeWith, Registration};

/// One update expression for both: a new row, and one that is there.
pub(crate) struct Upsert {
    pub(crate) endpoint: String,
    pub(crate) expression: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Item,
}

impl Upsert {
    pub(crate) fn new(registration: &Registration, now: Timestamp) -> Self {
        let keys = &registration.subscription.keys;
        let created_at = registration.created_at.unwrap_or(now);
        let mut upsert = Self {
            endpoint: registration.subscription.endpoint.as_str().to_owned(),
            expression: String::new(),
            names: HashMap::new(),
            values: Item::new(),
        };
        let mut set = vec![upsert.assign_once("created_at", microseconds(created_at))];
        let mut remove = Vec::new();
        set.push(upsert.assign("p256dh", bytes(keys.p256dh())));
        set.push(upsert.assign("auth", bytes(keys.auth())));
        set.push(upsert.assign("updated_at", microseconds(now)));
        match &registration.vapid {
            MadeWith::Known(id) => set.push(upsert.assign("vapid", string(id.as_str()))),
            MadeWith::Presumed(id) => set.push(upsert.assign_once("vapid", string(id.as_str()))),
            MadeWith::Unknown => {}
        }
        let expires_at = registration.expires_at.map_or(Change::Clear, |end| {
            Change::Set(AttributeValue::N(end.as_millisecond().to_string()))
        });
        // DynamoDB has no empty set.
        let tags = match &registration.tags {
            Change::Set(tags) if tags.is_empty() => Change::Clear,
            Change::Set(tags) => Change::Set(AttributeValue::Ss(tags.iter().cloned().collect())),
            Change::Clear => Change::Clear,
            Change::Keep => Change::Keep,
        };
        for (name, change) in [
            ("expires_at", expires_at),
            ("tags", tags),
            ("user", text(&registration.user)),
            ("timezone", text(&registration.timezone)),
        ] {
            match change {
                Change::Keep => {}
                Change::Clear => remove.push(upsert.name(name)),
                Change::Set(value) => set.push(upsert.assign(name, value)),
            }
        }
        upsert.expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            upsert
                .expression
                .push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        upsert
    }

    /// Several attributes have names that DynamoDB reserves: all are written with a placeholder.
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn assign(&mut self, name: &str, value: AttributeValue) -> String {
        self.values.insert(format!(":{name}"), value);
        format!("{} = :{name}", self.name(name))
    }

    /// Only where there is none yet.
    fn assign_once(&mut self, name: &str, value: AttributeValue) -> String {
        self.values.insert(format!(":{name}"), value);
        let name_of = self.name(name);
        format!("{name_of} = if_not_exists({name_of}, :{name})")
    }

    pub(crate) fn item(&self, table: &str, condition: &str) -> TransactWriteItem {
        let update = Update::builder()
            .table_name(table)
            .key("endpoint", string(&self.endpoint))
            .condition_expression(condition)
            .update_expression(&self.expression)
            .set_expression_attribute_names(Some(self.names.clone()))
            .set_expression_attribute_values(Some(self.values.clone()))
            .build()
            .expect("table, key and expression are given");
        TransactWriteItem::builder().update(update).build()
    }
}

fn text(change: &Change<String>) -> Change<AttributeValue> {
    match change {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(text) => Change::Set(string(text)),
    }
}

fn microseconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_microsecond().to_string())
}
