//! Every attribute of the ledger's items with its type. A later release must still read these items.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use pushcast::campaign::{Campaign, CampaignId, End, State, Transition};
use pushcast::dynamo::embedded;
use pushcast::json::Change;
use pushcast::ledger::StoredSchedule;
use pushcast::store::Store;
use pushcast::subscribers::registration::Registration;
use serde_json::json;

use super::{browser, endpoint, registration};
use crate::support::random::impatient;

async fn database() -> (Store, Client) {
    let client = embedded::client(None).expect("it opens");
    let tables = embedded::tables();
    pushcast::dynamo::schema::create_missing(&client, &tables)
        .await
        .expect("tables");
    let store = Store::new(client.clone(), tables, impatient());
    (store, client)
}

/// Every item of the ledger by its key `id part`, with its other attributes as `name type value`.
async fn ledger(client: &Client) -> BTreeMap<String, Vec<String>> {
    let tables = embedded::tables();
    let found = client.scan().table_name(&tables.ledger).send().await;
    let text = |value: &AttributeValue| {
        let text = value.as_s().map(|text| format!("S {text}"));
        let text = text.or_else(|_| value.as_n().map(|number| format!("N {number}")));
        let text = text.or_else(|_| value.as_bool().map(|it| format!("BOOL {it}")));
        text.unwrap_or_else(|other| panic!("an attribute of another type: {other:?}"))
    };
    let items = found.expect("it reads").items.expect("items");
    let of = |mut item: std::collections::HashMap<String, AttributeValue>| {
        let key = ["id", "part"].map(|name| match item.remove(name) {
            Some(AttributeValue::S(text)) => text,
            other => panic!("{name} is {other:?}"),
        });
        let mut rest: Vec<String> = item
            .iter()
            .map(|(name, value)| format!("{name} {}", text(value)))
            .collect();
        rest.sort();
        (key.join(" "), rest)
    };
    items.into_iter().map(of).collect()
}

fn assert_item(items: &BTreeMap<String, Vec<String>>, key: &str, expected: &[&str]) {
    let item = items
        .get(key)
        .unwrap_or_else(|| panic!("no item {key} in {items:#?}"));
    assert_eq!(item, expected, "{key}");
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

const PLANNED: &str = "2026-11-26T12:00:00.000001Z";
const ENDED: &str = "2026-11-26T12:30:00Z";

fn campaign(id: &CampaignId) -> Campaign {
    let message = json!({"data": "hello", "ttl": 60});
    Campaign {
        id: id.clone(),
        state: State::Planned,
        audience: "news && !beta".parse().expect("an audience"),
        message: message.as_object().expect("an object").clone(),
        rate: Some(10),
        created_at: at(PLANNED),
        subscribers: 3,
        segments: 2,
        segments_done: 0,
        resumed: 0,
    }
}

/// Checks the campaign's item. `changing` replaces the attributes that change between states.
async fn assert_campaign(client: &Client, changing: &[&str]) {
    let mut expected = vec![
        "audience S news && !beta",
        "created_at N 1795694400000001",
        r#"message S {"data":"hello","ttl":60}"#,
        "rate N 10",
        "segments N 2",
        "segments_done N 0",
        "subscribers N 3",
    ];
    expected.extend(changing);
    expected.sort_unstable();
    assert_item(&ledger(client).await, "campaign#c-1 campaign", &expected);
}

#[tokio::test]
async fn a_campaign_is_stored_in_this_form_in_each_of_its_states() {
    let (store, client) = database().await;
    let id: CampaignId = "c-1".parse().expect("an id");
    store.ledger.plan(&campaign(&id)).await.expect("planned");
    assert_campaign(&client, &["resumed N 0", "status S planned"]).await;

    let move_by = async |transition| {
        let moved = store.ledger.move_campaign(&id, transition).await;
        moved.expect("it is written").expect("it may move so")
    };
    move_by(Transition::Start).await;
    assert_campaign(&client, &["resumed N 0", "status S running"]).await;
    let halt = Transition::Halt {
        at: at(ENDED),
        reason: "our fault",
        resumed: 0,
    };
    let halted = move_by(halt).await;
    let reason = "reason S our fault";
    let ended = "finished_at N 1795696200000000";
    let mut changing = vec!["resumed N 0", "status S halted", reason, ended];
    assert_campaign(&client, &changing).await;
    store.ledger.mark_announced(&halted).await.expect("written");
    changing.push("announced BOOL true");
    assert_campaign(&client, &changing).await;

    // A cancelled campaign keeps the reason of its halt.
    let cancel = Transition::Cancel { at: at(ENDED) };
    let cancelled = move_by(cancel).await;
    assert_eq!(cancelled.state.reason(), Some("our fault"));
    let changing = ["resumed N 0", "status S cancelled", reason, ended];
    assert_campaign(&client, &changing).await;
    move_by(Transition::Resume).await;
    assert_campaign(&client, &["resumed N 1", "status S running"]).await;
    let done = move_by(Transition::Finish { at: at(ENDED) }).await;
    store.ledger.mark_announced(&done).await.expect("written");
    let announced = "announced BOOL true";
    let changing = ["resumed N 1", "status S done", ended, announced];
    assert_campaign(&client, &changing).await;
    let read = store.ledger.campaign(&id).await.expect("it reads");
    let end = End {
        at: at(ENDED),
        announced: true,
    };
    assert_eq!(read.expect("it is there").state, State::Done(end));
}

#[tokio::test]
async fn a_campaign_is_found_by_two_links_until_its_end_is_announced() {
    let (store, client) = database().await;
    let id: CampaignId = "c-1".parse().expect("an id");
    store.ledger.plan(&campaign(&id)).await.expect("planned");
    store.ledger.plan_segments(&id, 2).await.expect("planned");
    let items = ledger(&client).await;
    let listed = "campaigns 1795694400000001#c-1";
    assert_item(&items, listed, &["campaign S c-1"]);
    assert_item(&items, "campaigns-under-way c-1", &["campaign S c-1"]);
    assert_item(&items, "campaign#c-1 segment#00000", &["open N 0"]);
    assert_item(&items, "campaign#c-1 segment#00001", &["open N 0"]);

    let finish = Transition::Finish { at: at(ENDED) };
    let done = store.ledger.move_campaign(&id, finish).await;
    let done = done.expect("written").expect("it was planned");
    store.ledger.mark_announced(&done).await.expect("written");
    let items = ledger(&client).await;
    assert_item(&items, listed, &["campaign S c-1"]);
    assert!(!items.contains_key("campaigns-under-way c-1"));
}

#[tokio::test]
async fn schedules_are_stored_in_this_form() {
    let (store, client) = database().await;
    let mut schedule = StoredSchedule {
        name: "daily".to_owned(),
        expression: "cron(0 9 * * ? *)".to_owned(),
        timezone: "Europe/Paris".to_owned(),
        message: r#"{"data":"hello"}"#.to_owned(),
        created_at: at(PLANNED),
        next: Some(at(ENDED)),
    };
    let put = store.ledger.put_schedule(&schedule).await;
    assert!(!put.expect("it is written"), "it is new");
    let mut expected = vec![
        "created_at N 1795694400000001",
        "expression S cron(0 9 * * ? *)",
        r#"message S {"data":"hello"}"#,
        "next N 1795696200",
        "timezone S Europe/Paris",
    ];
    assert_item(&ledger(&client).await, "schedules daily", &expected);
    let read = store.ledger.schedules().await.expect("it reads");
    assert_eq!(read, [schedule.clone()]);

    // After the last firing, `next` is gone.
    let fired = store.ledger.schedule_fired(&schedule, None).await;
    assert!(fired.expect("it is written"), "it was unchanged");
    expected.retain(|it| !it.starts_with("next"));
    assert_item(&ledger(&client).await, "schedules daily", &expected);
    schedule.next = None;
    let read = store.ledger.schedules().await.expect("it reads");
    assert_eq!(read, [schedule.clone()]);
    let put = store.ledger.put_schedule(&schedule).await;
    assert!(put.expect("it is written"), "it was there");
    assert_item(&ledger(&client).await, "schedules daily", &expected);
}

#[tokio::test]
async fn days_figures_and_the_tags_sample_are_stored_in_this_form() {
    let (store, client) = database().await;
    let now = at(PLANNED);
    let keys = browser();
    let news = ["news".to_owned(), "beta".to_owned()].into();
    let first = Registration {
        tags: Change::Set(news),
        ..registration(&keys, &endpoint(1))
    };
    let second = registration(&keys, &endpoint(2));
    for one in [first, second] {
        let stored = store.subscribers.subscribe(&one, now).await;
        stored.expect("it is stored");
    }
    let next_day = now + SignedDuration::from_hours(24);
    let third = registration(&keys, &endpoint(3));
    let stored = store.subscribers.subscribe(&third, next_day).await;
    stored.expect("it is stored");
    let tags = store.subscribers.tags(3, now).await.expect("it reads");
    assert!(tags.exact);
    let items = ledger(&client).await;
    assert_item(&items, "days 2026-11-26", &["added N 0", "n N 0"]);
    assert_item(&items, "days 2026-11-27", &["added N 2", "n N 2"]);
    let sample = [
        "at N 1795694400000",
        "more BOOL false",
        r#"rows S {"beta":1,"news":1}"#,
        "sampled N 3",
        "whole BOOL true",
    ];
    assert_item(&items, "tags sample", &sample);
    let again = store.subscribers.tags(3, now).await.expect("it reads");
    assert_eq!(again, tags, "as it was stored");

    // Up to sixteen items hold the count.
    let counts = || items.iter().filter(|(key, _)| key.starts_with("count "));
    for (key, _) in counts() {
        let shard = key.strip_prefix("count ").expect("it begins so");
        assert!(shard.len() == 2 && shard.parse::<u8>().is_ok_and(|n| n < 16));
    }
    let sum = |name: &str| -> u64 {
        let number = |it: &String| {
            it.strip_prefix(name)?
                .strip_prefix(" N ")?
                .parse::<u64>()
                .ok()
        };
        counts()
            .flat_map(|(_, item)| item.iter().filter_map(number))
            .sum()
    };
    let figures = ["n", "added", "fcm", "apple", "wns"].map(sum);
    assert_eq!(figures, [3, 3, 1, 1, 1]);
}
