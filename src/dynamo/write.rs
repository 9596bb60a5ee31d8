//! One write: it puts, updates or deletes an item. It knows its table and key, so callers give only the attributes or
//! the expression.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, TransactWriteItem, Update,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::item::{Item, string};
use super::key::LedgerKey;
use super::transaction::COLLISION;
use super::{Database, StoreError};
use crate::backoff::Attempts;

/// The partition key of the table `Subscriptions`.
pub(crate) const ENDPOINT: &str = "endpoint";

/// Condition of a write to the ledger: there is no item with this key.
pub(crate) const IS_NEW: &str = "attribute_not_exists(id)";

/// The location of an item: its table and key.
#[derive(Clone)]
pub(crate) struct Location {
    pub(super) table: String,
    pub(super) key: Item,
}

impl Database {
    /// An item of the table `Ledger`.
    pub(crate) fn ledger(&self, key: &LedgerKey) -> Location {
        Location {
            table: self.tables.ledger.clone(),
            key: key.item(),
        }
    }

    /// A row of the table `Subscriptions`.
    pub(crate) fn subscription(&self, endpoint: &str) -> Location {
        Location {
            table: self.tables.subscriptions.clone(),
            key: Item::from([(ENDPOINT.to_owned(), string(endpoint))]),
        }
    }
}

#[derive(Clone)]
enum Action {
    /// The item's attributes, without its key.
    Put(Item),
    Update(String),
    Delete,
}

/// One write.
#[derive(Clone)]
pub(crate) struct Write {
    location: Location,
    action: Action,
    condition: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<Item>,
}

impl Location {
    /// Writes the whole item. `attributes` do not include its key.
    pub(crate) fn put(self, attributes: Item) -> Write {
        self.write(Action::Put(attributes))
    }

    /// Changes the item by an update expression.
    pub(crate) fn update(self, expression: impl Into<String>) -> Write {
        self.write(Action::Update(expression.into()))
    }

    /// Removes the item.
    pub(crate) fn delete(self) -> Write {
        self.write(Action::Delete)
    }

    fn write(self, action: Action) -> Write {
        Write {
            location: self,
            action,
            condition: None,
            names: None,
            values: None,
        }
    }
}

impl Write {
    /// Makes the write conditional: it does nothing unless `condition` holds.
    pub(crate) fn when(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// Sets the attribute name for a placeholder `#name` of an expression.
    pub(crate) fn name(mut self, placeholder: &str, name: &str) -> Self {
        let names = self.names.get_or_insert_default();
        names.insert(placeholder.to_owned(), name.to_owned());
        self
    }

    /// Sets the value for a placeholder `:value` of an expression.
    pub(crate) fn value(mut self, placeholder: &str, value: AttributeValue) -> Self {
        let values = self.values.get_or_insert_default();
        values.insert(placeholder.to_owned(), value);
        self
    }

    /// Sets the attribute names for several placeholders.
    pub(crate) fn names(mut self, names: HashMap<String, String>) -> Self {
        self.names.get_or_insert_default().extend(names);
        self
    }

    /// Sets the values for several placeholders.
    pub(crate) fn values(mut self, values: Item) -> Self {
        self.values.get_or_insert_default().extend(values);
        self
    }

    /// The write as an item of a transaction.
    pub(crate) fn transact(self) -> TransactWriteItem {
        let item = TransactWriteItem::builder();
        let Location { table, key } = self.location;
        match self.action {
            Action::Put(attributes) => item.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(with_key(key, attributes)))
                    .set_condition_expression(self.condition)
                    .set_expression_attribute_names(self.names)
                    .set_expression_attribute_values(self.values)
                    .build()
                    .expect("table and item are given"),
            ),
            Action::Update(expression) => item.update(
                Update::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .update_expression(expression)
                    .set_condition_expression(self.condition)
                    .set_expression_attribute_names(self.names)
                    .set_expression_attribute_values(self.values)
                    .build()
                    .expect("table, key and expression are given"),
            ),
            Action::Delete => item.delete(
                Delete::builder()
                    .table_name(table)
                    .set_key(Some(key))
                    .set_condition_expression(self.condition)
                    .set_expression_attribute_names(self.names)
                    .set_expression_attribute_values(self.values)
                    .build()
                    .expect("table and key are given"),
            ),
        }
        .build()
    }
}

impl Database {
    /// Does one write. Returns the attributes that `returned` asks for, or `None` if the condition does not hold and
    /// nothing is written. Retries transient failures, since a transaction may be writing the same item.
    pub(crate) async fn write(
        &self,
        write: Write,
        returned: ReturnValue,
    ) -> Result<Option<Item>, StoreError> {
        let mut attempts = Attempts::begin(COLLISION);
        loop {
            match self.write_once(write.clone(), returned.clone()).await {
                Err(error)
                    if error.is_transient() && attempts.wait_for_next(&self.chance).await => {}
                answer => return answer,
            }
        }
    }

    /// As [`Database::write`], but without retries.
    pub(crate) async fn write_once(
        &self,
        write: Write,
        returned: ReturnValue,
    ) -> Result<Option<Item>, StoreError> {
        let Location { table, key } = write.location;
        match write.action {
            Action::Put(attributes) => {
                let put = self.client.put_item().table_name(table);
                let put = put
                    .set_item(Some(with_key(key, attributes)))
                    .set_condition_expression(write.condition)
                    .set_expression_attribute_names(write.names)
                    .set_expression_attribute_values(write.values);
                let put = put.return_values(returned).send().await;
                let is_unmet = PutItemError::is_conditional_check_failed_exception;
                answer("PutItem", put.map(|it| it.attributes), is_unmet)
            }
            Action::Update(expression) => {
                let update = self.client.update_item().table_name(table);
                let update = update
                    .set_key(Some(key))
                    .update_expression(expression)
                    .set_condition_expression(write.condition)
                    .set_expression_attribute_names(write.names)
                    .set_expression_attribute_values(write.values);
                let update = update.return_values(returned).send().await;
                let is_unmet = UpdateItemError::is_conditional_check_failed_exception;
                answer("UpdateItem", update.map(|it| it.attributes), is_unmet)
            }
            Action::Delete => {
                let delete = self.client.delete_item().table_name(table);
                let delete = delete
                    .set_key(Some(key))
                    .set_condition_expression(write.condition)
                    .set_expression_attribute_names(write.names)
                    .set_expression_attribute_values(write.values);
                let delete = delete.return_values(returned).send().await;
                let is_unmet = DeleteItemError::is_conditional_check_failed_exception;
                answer("DeleteItem", delete.map(|it| it.attributes), is_unmet)
            }
        }
    }
}

/// Turns a failed condition into `None`, since it is an answer and not an error.
fn answer<E>(
    operation: &'static str,
    sent: Result<Option<Item>, SdkError<E, HttpResponse>>,
    is_unmet: fn(&E) -> bool,
) -> Result<Option<Item>, StoreError>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match sent {
        Ok(attributes) => Ok(Some(attributes.unwrap_or_default())),
        Err(error) if error.as_service_error().is_some_and(is_unmet) => Ok(None),
        Err(error) => Err(StoreError::sdk(operation, error)),
    }
}

/// Adds the key to an item's attributes.
fn with_key(mut key: Item, attributes: Item) -> Item {
    key.extend(attributes);
    key
}
