//! Requests to the database: no reserved words, consistent reads, and limited pages.

use std::collections::BTreeSet;

use pushcast::dynamo::embedded;
use pushcast::json::Change;
use pushcast::store::Store;
use pushcast::subscribers::registration::{MadeWith, Registration};
use serde_json::Value;
use webpush::KeyId;

use super::{behind, browser, endpoint, now, registration, row};
use crate::support::random::impatient;

/// Reserved words of DynamoDB that are names of our attributes or close to them (Developer Guide, "Reserved words").
const RESERVED: &[&str] = &[
    "auth",
    "bucket",
    "bytes",
    "count",
    "counter",
    "counters",
    "cursor",
    "data",
    "date",
    "delay",
    "end",
    "error",
    "errors",
    "expires",
    "hash",
    "index",
    "interval",
    "items",
    "key",
    "keys",
    "length",
    "level",
    "limit",
    "message",
    "name",
    "names",
    "number",
    "of",
    "offset",
    "owner",
    "partition",
    "plan",
    "position",
    "range",
    "region",
    "role",
    "segment",
    "segments",
    "set",
    "state",
    "status",
    "time",
    "timestamp",
    "timezone",
    "token",
    "topic",
    "total",
    "ttl",
    "type",
    "until",
    "url",
    "user",
    "users",
    "uuid",
    "value",
    "values",
    "zone",
];

/// Keywords of the expression syntax.
const SYNTAX: &[&str] = &["SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT"];

/// Collects every expression in a request, at any depth.
fn expressions(body: &Value, found: &mut Vec<String>) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if name.ends_with("Expression") => found.push(text.to_owned()),
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Attribute names in an expression that have no placeholder.
fn bare_names(expression: &str) -> Vec<&str> {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '#');
    expression
        .split(|c: char| !part_of_word(c))
        .filter(|word| !word.is_empty() && !word.starts_with([':', '#']))
        .filter(|word| !SYNTAX.contains(word))
        .collect()
}

#[tokio::test]
async fn requests_use_no_reserved_word_read_consistently_and_have_limits() {
    let (store, _, seen) = behind(|_| None).await;
    write_move_and_merge(&store).await;
    read_figures(&store).await;

    let (mut names, mut operations) = (BTreeSet::new(), BTreeSet::new());
    for (operation, body) in seen.requests() {
        operations.insert(operation.clone());
        let mut found = Vec::new();
        expressions(&body, &mut found);
        for expression in &found {
            for name in bare_names(expression) {
                let reserved = RESERVED.contains(&name.to_lowercase().as_str());
                assert!(!reserved, "{name} is reserved: {expression}");
                names.insert(name.to_owned());
            }
        }
        if matches!(&operation[..], "Scan" | "Query") {
            assert!(body["Limit"].as_i64().is_some(), "{operation}: {body}");
        }
        // An index has no consistent reads, and a scan of all rows needs none.
        if operation == "GetItem" || (operation == "Query" && body["IndexName"].is_null()) {
            assert_eq!(body["ConsistentRead"], true, "{operation}: {body}");
        }
        if operation == "TransactWriteItems" {
            assert!(body["ClientRequestToken"].is_string(), "{body}");
        }
    }
    let expected = [
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactWriteItems",
        "UpdateItem",
    ];
    assert_eq!(operations, expected.map(str::to_owned).into());
    assert!(
        names.contains("updated_at"),
        "expressions were read: {names:?}"
    );
}

/// Makes every request that changes a subscription.
async fn write_move_and_merge(store: &Store) {
    let keys = browser();
    let full = |n: usize| Registration {
        tags: Change::Set(BTreeSet::from(["news".to_owned()])),
        user: Change::Set("ada".to_owned()),
        timezone: Change::Set("Europe/Paris".to_owned()),
        vapid: MadeWith::Known(KeyId::from("key".to_owned())),
        expires_at: Some(now()),
        ..registration(&keys, &endpoint(n))
    };
    let bare = |n: usize| Registration {
        tags: Change::Clear,
        user: Change::Clear,
        timezone: Change::Clear,
        ..registration(&keys, &endpoint(n))
    };
    for registration in [full(1), bare(1), full(1), full(3)] {
        let done = store.subscribers.subscribe(&registration, now()).await;
        done.expect("it is stored");
    }
    let moved = store
        .subscribers
        .replace(&endpoint(1), &bare(2), now())
        .await;
    moved.expect("it is moved");
    let merged = store
        .subscribers
        .replace(&endpoint(2), &full(3), now())
        .await;
    merged.expect("it is merged");
    let read = row(store, &endpoint(3)).await;
    let key = KeyId::from("other".to_owned());
    store
        .subscribers
        .remember_key(&read, &key)
        .await
        .expect("done");
    store
        .subscribers
        .prune(&read, now())
        .await
        .expect("it is pruned");
    store
        .subscribers
        .unsubscribe(&endpoint(3), now())
        .await
        .expect("idempotent");
    store
        .subscribers
        .of_user("ada", None, 5)
        .await
        .expect("it reads");
}

/// Makes every request that reads many subscriptions, or their number.
async fn read_figures(store: &Store) {
    store.subscribers.all(None, 5).await.expect("it reads");
    let totals = store.subscribers.totals().await.expect("it counts");
    assert_eq!(totals.count, 0);
    store
        .subscribers
        .days(&totals, now())
        .await
        .expect("it reads");
    store
        .subscribers
        .tags(totals.count, now())
        .await
        .expect("it reads");
    let some = "news && !beta".parse().expect("an audience");
    store.subscribers.estimate(&some).await.expect("it reads");
}

#[tokio::test]
async fn the_embedded_database_refuses_reserved_words_too() {
    let client = embedded::client(None).expect("it opens");
    let tables = embedded::tables();
    let created = pushcast::dynamo::schema::create_missing(&client, &tables).await;
    created.expect("tables");
    for name in ["auth", "user", "timezone"] {
        let update = client
            .update_item()
            .table_name(&tables.subscriptions)
            .key(
                "endpoint",
                aws_sdk_dynamodb::types::AttributeValue::S(endpoint(1)),
            )
            .update_expression(format!("REMOVE {name}"));
        let error = update.send().await.expect_err("it is reserved");
        let error = format!("{error:?}");
        assert!(error.contains("reserved"), "{name}: {error}");
    }
}

/// dynoxide's query for the next page of a segment must not sort a million rows.
#[tokio::test]
async fn a_segment_of_a_database_file_is_read_through_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pushcast.db");
    // The second time, the index exists already.
    for _ in 0..2 {
        let store = Store::open(Some(&file), impatient()).await;
        store.expect("it opens");
    }
    let database = rusqlite::Connection::open(&file).expect("it is SQLite");
    let page = "EXPLAIN QUERY PLAN SELECT pk, sk, item_json FROM Subscriptions
        WHERE (hash_prefix, pk, sk) > ('a', 'b', '')
        AND substr(hash_prefix, 1, 3) >= '000' AND substr(hash_prefix, 1, 3) <= '7ff'
        ORDER BY hash_prefix ASC, pk ASC, sk ASC LIMIT 500";
    let mut plan = database.prepare(page).expect("it has the column");
    let steps = plan.query_map([], |step| step.get::<_, String>("detail"));
    let steps: Vec<String> = steps.expect("a plan").map(Result::unwrap).collect();
    assert!(
        steps[0].contains("USING INDEX Subscriptions by hash"),
        "{steps:?}"
    );
}
