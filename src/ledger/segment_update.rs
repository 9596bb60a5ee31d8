//! Builds the update of a segment's item for a checkpoint. It changes figures and the number of open retry parts by
//! `ADD`, because several workers change them at once.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::campaign::{Faults, Figures};
use crate::dynamo::item::{Item, number, string};
use crate::dynamo::write::{Location, Write};

/// An update expression under construction.
pub(super) struct SegmentUpdate {
    /// Number of retry parts that the checkpoint opens.
    pub(super) opened: usize,
    /// Number of retry parts that the checkpoint finishes.
    pub(super) closed: usize,
    set: Vec<String>,
    add: Vec<String>,
    remove: &'static str,
    condition: Option<&'static str>,
    names: HashMap<String, String>,
    values: Item,
}

impl SegmentUpdate {
    /// Starts an update that adds `figures`.
    pub(super) fn new(figures: &Figures) -> Self {
        let mut update = Self {
            opened: 0,
            closed: 0,
            set: Vec::new(),
            add: Vec::new(),
            remove: "",
            condition: None,
            names: HashMap::new(),
            values: Item::new(),
        };
        for (i, (name, n)) in figures.entries().enumerate() {
            update.add(&format!("#f{i}"), &name, number(n));
        }
        update
    }

    /// Adds the origins' answers. `resumed` is how often the campaign was resumed.
    pub(super) fn add_faults(&mut self, faults: &Faults, resumed: u32) {
        for (i, (name, n)) in faults.entries(resumed).enumerate() {
            self.add(&format!("#a{i}"), &name, number(n));
        }
    }

    /// Moves the segment's position to `cursor`. The last batch marks the segment as read.
    pub(super) fn advance(&mut self, cursor: Option<&str>, is_last: bool, scanned: u64) {
        self.add("#scanned", "scanned", number(scanned));
        if let Some(cursor) = cursor {
            self.set("#cursor", "cursor", string(cursor));
        }
        if is_last {
            self.set("#read", "read", AttributeValue::Bool(true));
        }
    }

    /// Counts rows that a scan looked at.
    pub(super) fn scanned(&mut self, rows: usize) {
        self.add("#scanned", "scanned", number(rows));
    }

    /// Makes the update conditional on `owner` holding the lease. Does not change the lease.
    pub(super) fn fence_only(&mut self, owner: &str) {
        self.name("#owner", "owner", string(owner));
        self.condition = Some("#owner = :owner");
    }

    /// Makes the update conditional on `owner` holding the lease. Renews the lease until `renew`; without `renew`,
    /// gives it back.
    pub(super) fn fence(&mut self, owner: &str, renew: Option<Timestamp>) {
        self.fence_only(owner);
        match renew {
            Some(until) => self.set("#until", "until", number(until.as_millisecond())),
            None => {
                self.names.insert("#until".to_owned(), "until".to_owned());
                self.remove = " REMOVE #owner, #until";
            }
        }
    }

    /// The write of the segment's item at `location`.
    pub(super) fn write(mut self, location: Location) -> Write {
        let few = |parts| i64::try_from(parts).expect("a transaction holds a hundred items");
        let open = few(self.opened) - few(self.closed);
        self.add("#open", "open", number(open));
        let mut expression = String::new();
        if !self.set.is_empty() {
            expression += &format!("SET {} ", self.set.join(", "));
        }
        expression += &format!("ADD {}{}", self.add.join(", "), self.remove);
        let write = location
            .update(expression)
            .names(self.names)
            .values(self.values);
        match self.condition {
            Some(condition) => write.when(condition),
            None => write,
        }
    }

    fn set(&mut self, alias: &str, name: &str, value: AttributeValue) {
        let placeholder = self.name(alias, name, value);
        self.set.push(format!("{alias} = {placeholder}"));
    }

    fn add(&mut self, alias: &str, name: &str, value: AttributeValue) {
        let placeholder = self.name(alias, name, value);
        self.add.push(format!("{alias} {placeholder}"));
    }

    fn name(&mut self, alias: &str, name: &str, value: AttributeValue) -> String {
        let placeholder = alias.replace('#', ":");
        self.names.insert(alias.to_owned(), name.to_owned());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }
}
