//! The tables' keys and index. `template.yaml` declares the same for AWS.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription,
};

use super::key::{ID, PART};
use super::write::ENDPOINT;
use super::{Database, StoreError, Tables};

/// The index that finds a user's subscriptions.
pub const BY_USER: &str = "by-user";

/// Creates the tables that do not exist yet.
///
/// # Errors
/// When one cannot be created.
pub async fn create_missing(client: &Client, tables: &Tables) -> Result<(), StoreError> {
    let by_user = GlobalSecondaryIndex::builder()
        .index_name(BY_USER)
        .key_schema(key("user", KeyType::Hash))
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::All)
                .build(),
        )
        .build()
        .expect("name and key schema are given");
    let subscriptions = client
        .create_table()
        .table_name(&tables.subscriptions)
        .attribute_definitions(string(ENDPOINT))
        .attribute_definitions(string("user"))
        .key_schema(key(ENDPOINT, KeyType::Hash))
        .global_secondary_indexes(by_user);
    let ledger = client
        .create_table()
        .table_name(&tables.ledger)
        .attribute_definitions(string(ID))
        .attribute_definitions(string(PART))
        .key_schema(key(ID, KeyType::Hash))
        .key_schema(key(PART, KeyType::Range));
    create(subscriptions).await?;
    create(ledger).await
}

async fn create(table: CreateTableFluentBuilder) -> Result<(), StoreError> {
    match table.billing_mode(BillingMode::PayPerRequest).send().await {
        Ok(_) => Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(CreateTableError::is_resource_in_use_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(StoreError::sdk("CreateTable", error)),
    }
}

fn string(name: &str) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .expect("name and type are given")
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
        .expect("name and type are given")
}

impl Database {
    /// Checks the tables' keys and index. Returns one sentence for each table that is wrong.
    ///
    /// # Errors
    /// When DynamoDB does not describe a table, because it does not exist or the caller lacks the permission.
    pub async fn check_tables(&self) -> Result<Vec<String>, StoreError> {
        let mut wrong = Vec::new();
        for (table, keys, index) in [
            (&self.tables.subscriptions, &[ENDPOINT][..], Some(BY_USER)),
            (&self.tables.ledger, &[ID, PART][..], None),
        ] {
            let described = self.client.describe_table().table_name(table).send().await;
            let described = described.map_err(|error| StoreError::sdk("DescribeTable", error))?;
            wrong.extend(
                described
                    .table()
                    .and_then(|t| schema_error(table, t, keys, index)),
            );
        }
        Ok(wrong)
    }
}

fn schema_error(
    name: &str,
    table: &TableDescription,
    keys: &[&str],
    index: Option<&str>,
) -> Option<String> {
    let found: Vec<&str> = table
        .key_schema()
        .iter()
        .map(KeySchemaElement::attribute_name)
        .collect();
    if found != keys {
        return Some(format!(
            "table {name} has the key {found:?}, it must be {keys:?}"
        ));
    }
    let index = index?;
    let Some(found) = table
        .global_secondary_indexes()
        .iter()
        .find(|found| found.index_name() == Some(index))
    else {
        return Some(format!("table {name} has no index {index}"));
    };
    let keys: Vec<&str> = found
        .key_schema()
        .iter()
        .map(KeySchemaElement::attribute_name)
        .collect();
    let projection = found.projection().and_then(Projection::projection_type);
    if keys != ["user"] || projection != Some(&ProjectionType::All) {
        return Some(format!(
            "index {index} of table {name} must have the key user and hold all attributes"
        ));
    }
    None
}
