//! Turns a registration into an update of its row, whether or not the row exists.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::dynamo::Database;
use crate::dynamo::item::{Item, bytes, number, string};
use crate::dynamo::write::Write;
use crate::json::Change;
use crate::subscribers::registration::{MadeWith, Registration};

/// An update expression that fits both a new row and an existing one.
pub(crate) struct Upsert {
    endpoint: String,
    expression: String,
    names: HashMap<String, String>,
    values: Item,
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
        let mut set = vec![upsert.assign_once("created_at", number(created_at.as_microsecond()))];
        let mut remove = Vec::new();
        set.push(upsert.assign("p256dh", bytes(keys.p256dh())));
        set.push(upsert.assign("auth", bytes(keys.auth())));
        set.push(upsert.assign("updated_at", number(now.as_microsecond())));
        match &registration.vapid {
            MadeWith::Known(id) => set.push(upsert.assign("vapid", string(id.as_str()))),
            MadeWith::Presumed(id) => set.push(upsert.assign_once("vapid", string(id.as_str()))),
            MadeWith::Unknown => {}
        }
        let expires_at = registration.expires_at.map_or(Change::Clear, |end| {
            Change::Set(number(end.as_millisecond()))
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

    /// The placeholder of an attribute's name. DynamoDB reserves several of the names.
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn assign(&mut self, name: &str, value: AttributeValue) -> String {
        self.values.insert(format!(":{name}"), value);
        format!("{} = :{name}", self.name(name))
    }

    /// Sets the attribute only if the row does not have it.
    fn assign_once(&mut self, name: &str, value: AttributeValue) -> String {
        self.values.insert(format!(":{name}"), value);
        let alias = self.name(name);
        format!("{alias} = if_not_exists({alias}, :{name})")
    }

    /// The write of the row.
    pub(crate) fn write(&self, db: &Database) -> Write {
        db.subscription(&self.endpoint)
            .update(&self.expression)
            .names(self.names.clone())
            .values(self.values.clone())
    }
}

fn text(change: &Change<String>) -> Change<AttributeValue> {
    match change {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(text) => Change::Set(string(text)),
    }
}
