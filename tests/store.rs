mod faults;
mod races;
mod requests;
mod stored_form;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushcast::clock::Chance;
use pushcast::dynamo::embedded;
use pushcast::json::Change;
use pushcast::store::Store;
use pushcast::subscribers::Row;
use pushcast::subscribers::registration::{MadeWith, Registration};
use pushcast::subscribers::{Pruned, Subscribed};
use serde_json::Value;
use webpush::{AllowList, KeyId, Subscription};

use crate::support::aws::faulty_dynamodb::{Fault, Seen, with_faults};
use crate::support::random::impatient;
use crate::support::subscribers::browser::Browser;

/// The push services' hosts, used in turn.
const SERVICES: [(&str, &str); 4] = [
    (
        "mozilla",
        "https://updates.push.services.mozilla.com/wpush/v2",
    ),
    ("fcm", "https://fcm.googleapis.com/fcm/send"),
    ("apple", "https://web.push.apple.com"),
    ("wns", "https://db5p.notify.windows.com/w"),
];

fn endpoint(n: usize) -> String {
    let (_, base) = SERVICES[n % SERVICES.len()];
    format!("{base}/subscription-{n}")
}

/// Strictly increasing times, one per call.
fn now() -> Timestamp {
    static CLOCK: AtomicI64 = AtomicI64::new(1_800_000_000_000_000);
    let micros = CLOCK.fetch_add(1, Ordering::Relaxed);
    Timestamp::from_microsecond(micros).expect("a time")
}

/// The keys of one browser, for any endpoint.
fn browser() -> Browser {
    Browser::new("keys".to_owned(), endpoint(0))
}

fn registration(keys: &Browser, endpoint: &str) -> Registration {
    let mut json = keys.to_json();
    json["endpoint"] = Value::from(endpoint);
    Registration {
        subscription: Subscription::from_json(&json.to_string(), &AllowList::default())
            .expect("it is good"),
        expires_at: None,
        tags: Change::Keep,
        user: Change::Keep,
        timezone: Change::Keep,
        vapid: MadeWith::Unknown,
        created_at: None,
    }
}

async fn in_memory() -> Store {
    Store::open(None, impatient()).await.expect("it opens")
}

/// A store in memory whose requests can fail, and a second store over the same database without faults.
async fn behind(
    plan: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static,
) -> (Store, Store, Seen) {
    // Only the SDK repeats reads: often enough for temporary faults.
    behind_sdk(8, plan).await
}

async fn behind_sdk(
    attempts: u32,
    plan: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static,
) -> (Store, Store, Seen) {
    let client = embedded::client(None).expect("it opens");
    let tables = embedded::tables();
    pushcast::dynamo::schema::create_missing(&client, &tables)
        .await
        .expect("tables");
    let (faulty, seen) = with_faults(&client, attempts, plan);
    (
        Store::new(faulty, tables.clone(), impatient()),
        Store::new(client, tables, impatient()),
        seen,
    )
}

/// All rows, read in small pages.
async fn scan(store: &Store) -> HashMap<String, Row> {
    let (mut rows, mut from) = (HashMap::new(), None);
    loop {
        let page = store.subscribers.all(from, 7).await.expect("it reads");
        assert!(page.rows.len() <= 7);
        for row in page.rows {
            let twice = rows.insert(row.endpoint.clone(), row);
            assert!(twice.is_none(), "a row was read twice: {twice:?}");
        }
        from = page.next;
        if from.is_none() {
            return rows;
        }
    }
}

async fn count(store: &Store) -> usize {
    let count = store.subscribers.count().await.expect("it counts");
    usize::try_from(count).expect("few")
}

async fn assert_count(store: &Store, expected: usize) {
    assert_eq!(scan(store).await.len(), expected);
    assert_totals(store).await;
}

/// The counts equal the number of rows, in all and at each push service.
async fn assert_totals(store: &Store) {
    let rows = scan(store).await;
    let mut services: BTreeMap<&str, u64> = BTreeMap::from([("other", 0)]);
    for (name, base) in SERVICES {
        let there = rows.keys().filter(|endpoint| endpoint.starts_with(base));
        services.insert(name, there.count() as u64);
    }
    let totals = store.subscribers.totals().await.expect("it counts");
    assert_eq!(totals.count, rows.len() as u64);
    assert_eq!(totals.services(), services);
}

async fn row(store: &Store, endpoint: &str) -> Row {
    let found = store.subscribers.get(endpoint).await.expect("it reads");
    found.expect("it is there")
}

/// Several workers push for the same segment of a rate-limited campaign.
#[tokio::test]
async fn sending_slots_that_workers_reserve_at_once_never_overlap() {
    let store = in_memory().await;
    let id = "paced".parse().unwrap();
    store
        .ledger
        .plan_segments(&id, 2)
        .await
        .expect("it is written");
    let (second, now) = (
        Duration::from_secs(1),
        Timestamp::from_second(1_800_000_000).unwrap(),
    );
    let turns = (0..20).map(|_| store.ledger.take_turn(&id, 0, second, now));
    let turns = futures_util::future::join_all(turns).await;
    let mut turns: Vec<_> = turns
        .into_iter()
        .map(|turn| turn.expect("it is taken").duration_since(now).as_secs())
        .collect();
    turns.sort_unstable();
    assert_eq!(turns, (0..20).collect::<Vec<_>>());
    let other = store.ledger.take_turn(&id, 1, second, now).await;
    assert_eq!(other.unwrap(), now, "each segment has its own");
    let later = now + SignedDuration::from_secs(60);
    let turn = store.ledger.take_turn(&id, 0, second, later).await;
    assert_eq!(
        turn.unwrap(),
        later,
        "time that has passed is not made up for"
    );
}

#[tokio::test]
async fn a_subscriber_that_comes_back_is_not_pruned() {
    let store = in_memory().await;
    let (keys, others) = (browser(), browser());
    for (n, again) in [(1, &keys), (2, &others)] {
        let target = endpoint(n);
        let first = registration(&keys, &target);
        store
            .subscribers
            .subscribe(&first, now())
            .await
            .expect("it is stored");
        let read = row(&store, &target).await;
        let back = registration(again, &target);
        let done = store.subscribers.subscribe(&back, now()).await;
        assert_eq!(done.expect("it is stored"), Subscribed::Refreshed);
        assert_eq!(
            store.subscribers.prune(&read, now()).await.expect("kept"),
            Pruned::Kept
        );
        let kept = row(&store, &target).await;
        assert_eq!(kept.raw_keys().1, &back.subscription.keys.auth()[..]);
    }
    assert_count(&store, 2).await;
}

#[tokio::test]
async fn a_prune_lowers_the_count_once() {
    let store = in_memory().await;
    let keys = browser();
    for n in 0..3 {
        let new = registration(&keys, &endpoint(n));
        let done = store.subscribers.subscribe(&new, now()).await;
        assert_eq!(done.expect("it is stored"), Subscribed::New);
    }
    let read = row(&store, &endpoint(0)).await;
    assert_eq!(
        store.subscribers.prune(&read, now()).await.expect("gone"),
        Pruned::Removed
    );
    assert_eq!(
        store.subscribers.prune(&read, now()).await.expect("kept"),
        Pruned::Kept
    );
    assert_count(&store, 2).await;

    // The browser unsubscribes and returns with the same keys: this is another row.
    let target = endpoint(1);
    let read = row(&store, &target).await;
    store
        .subscribers
        .unsubscribe(&target, now())
        .await
        .expect("removed");
    store
        .subscribers
        .unsubscribe(&target, now())
        .await
        .expect("idempotent");
    assert_count(&store, 1).await;
    let back = store
        .subscribers
        .subscribe(&registration(&keys, &target), now())
        .await;
    assert_eq!(back.expect("it is stored"), Subscribed::New);
    assert_eq!(
        store.subscribers.prune(&read, now()).await.expect("kept"),
        Pruned::Kept
    );
    assert_count(&store, 2).await;
}

#[tokio::test]
async fn remembering_a_key_neither_prevents_a_prune_nor_changes_a_newer_row() {
    let store = in_memory().await;
    let (keys, target) = (browser(), endpoint(1));
    let key = |name: &str| KeyId::from(name.to_owned());
    let made_with = |name: &str| Registration {
        vapid: MadeWith::Known(key(name)),
        ..registration(&keys, &target)
    };
    let old = made_with("old");
    store
        .subscribers
        .subscribe(&old, now())
        .await
        .expect("it is stored");
    let read = row(&store, &target).await;
    store
        .subscribers
        .remember_key(&read, &key("new"))
        .await
        .expect("done");
    assert_eq!(row(&store, &target).await.vapid, Some(key("new")));

    let back = made_with("newer");
    store
        .subscribers
        .subscribe(&back, now())
        .await
        .expect("it is stored");
    let key_of_old = store.subscribers.remember_key(&read, &key("old")).await;
    key_of_old.expect("no error");
    assert_eq!(row(&store, &target).await.vapid, Some(key("newer")));

    let read = row(&store, &target).await;
    store
        .subscribers
        .remember_key(&read, &key("last"))
        .await
        .expect("done");
    assert_eq!(
        store.subscribers.prune(&read, now()).await.expect("gone"),
        Pruned::Removed
    );
    store
        .subscribers
        .remember_key(&read, &key("last"))
        .await
        .expect("done");
    assert_count(&store, 0).await;
}

#[tokio::test]
async fn replacing_moves_every_member_and_keeps_the_count_right() {
    let store = in_memory().await;
    let (keys, others) = (browser(), browser());
    let news = BTreeSet::from(["news".to_owned()]);
    let told = |n: usize| Registration {
        tags: Change::Set(news.clone()),
        user: Change::Set("ada".to_owned()),
        timezone: Change::Set("Europe/Paris".to_owned()),
        created_at: Some(Timestamp::from_second(1_600_000_000).expect("a time")),
        ..registration(&keys, &endpoint(n))
    };
    let replace = async |old: usize, new: &Registration| {
        let done = store.subscribers.replace(&endpoint(old), new, now()).await;
        done.expect("it is replaced")
    };
    store
        .subscribers
        .subscribe(&told(1), now())
        .await
        .expect("stored");
    let before = row(&store, &endpoint(1)).await;

    // The old endpoint is stored and the new one is not: the row moves.
    let new = registration(&others, &endpoint(2));
    assert_eq!(replace(1, &new).await, Subscribed::New);
    assert_count(&store, 1).await;
    let moved = row(&store, &endpoint(2)).await;
    assert_eq!(moved.tags, news);
    assert_eq!(moved.user.as_deref(), Some("ada"));
    assert_eq!(moved.timezone.as_deref(), Some("Europe/Paris"));
    assert_eq!(moved.created_at, before.created_at);
    assert_eq!(moved.raw_keys().1, &new.subscription.keys.auth()[..]);

    // The old endpoint is not stored either: a plain subscription. Repeating the request changes nothing.
    assert_eq!(
        replace(1, &registration(&keys, &endpoint(3))).await,
        Subscribed::New
    );
    assert_eq!(
        replace(1, &registration(&keys, &endpoint(3))).await,
        Subscribed::Refreshed
    );
    assert_count(&store, 2).await;
    assert_eq!(row(&store, &endpoint(3)).await.user, None);
    two_become_one(&store, [&keys, &others], [&before, &moved]).await;
}

/// Replaces the second by the third, then the third by itself. Rows read before prune nobody.
async fn two_become_one(store: &Store, [keys, others]: [&Browser; 2], before: [&Row; 2]) {
    let news = BTreeSet::from(["news".to_owned()]);
    let replace = async |old: usize, new: &Registration| {
        let done = store.subscribers.replace(&endpoint(old), new, now()).await;
        done.expect("it is replaced")
    };

    // Both endpoints are stored: the rows merge, and members of the request win.
    let said = Registration {
        user: Change::Set("grace".to_owned()),
        timezone: Change::Clear,
        ..registration(keys, &endpoint(3))
    };
    assert_eq!(replace(2, &said).await, Subscribed::Refreshed);
    assert_count(store, 1).await;
    let merged = row(store, &endpoint(3)).await;
    assert_eq!(merged.user.as_deref(), Some("grace"));
    assert_eq!((merged.tags, merged.timezone), (news, None));

    // Replaced by itself: the row is refreshed.
    let itself = registration(others, &endpoint(3));
    assert_eq!(replace(3, &itself).await, Subscribed::Refreshed);
    assert_count(store, 1).await;
    // A row read before the change prunes nobody.
    for row in before {
        let done = store.subscribers.prune(row, now()).await;
        assert_eq!(done.expect("kept"), Pruned::Kept);
    }
    assert_count(store, 1).await;
}

#[tokio::test]
async fn a_registration_keeps_clears_or_sets_each_member() {
    let store = in_memory().await;
    let (keys, target) = (browser(), endpoint(1));
    let tags =
        |names: &[&str]| -> BTreeSet<String> { names.iter().copied().map(str::to_owned).collect() };
    let end = Timestamp::from_millisecond(1_900_000_000_123).expect("a time");
    let full = Registration {
        tags: Change::Set(tags(&["a", "b"])),
        user: Change::Set("ada".to_owned()),
        timezone: Change::Set("Europe/Paris".to_owned()),
        expires_at: Some(end),
        ..registration(&keys, &target)
    };
    let store_and_read = async |registration: &Registration| {
        let done = store.subscribers.subscribe(registration, now()).await;
        done.expect("it is stored");
        row(&store, &target).await
    };
    let first = store_and_read(&full).await;
    assert_eq!(first.tags, tags(&["a", "b"]));
    assert_eq!(first.expires_at, Some(end));

    let kept = store_and_read(&registration(&keys, &target)).await;
    assert_eq!(
        (kept.tags, kept.user, kept.timezone),
        (first.tags, first.user, first.timezone)
    );
    assert_eq!(kept.created_at, first.created_at);
    assert_eq!(kept.expires_at, None, "the browser's word, every time");

    let mut fewer = registration(&keys, &target);
    fewer.tags = Change::Set(tags(&["c"]));
    fewer.user = Change::Set("grace".to_owned());
    let set = store_and_read(&fewer).await;
    assert_eq!(
        (set.tags, set.user),
        (tags(&["c"]), Some("grace".to_owned()))
    );
    fewer.tags = Change::Set(tags(&[]));
    fewer.user = Change::Clear;
    fewer.timezone = Change::Clear;
    let cleared = store_and_read(&fewer).await;
    assert_eq!(
        (cleared.tags, cleared.user, cleared.timezone),
        (tags(&[]), None, None)
    );
    let nobody = store
        .subscribers
        .of_user("grace", None, 10)
        .await
        .expect("it reads");
    assert_eq!(nobody.rows, []);
    assert_count(&store, 1).await;
}

#[tokio::test]
async fn the_store_reads_a_user_s_subscriptions_page_by_page() {
    let store = in_memory().await;
    let keys = browser();
    for n in 0..11 {
        let user = if n % 2 == 0 { "ada" } else { "grace" };
        let theirs = Registration {
            user: Change::Set(user.to_owned()),
            ..registration(&keys, &endpoint(n))
        };
        store
            .subscribers
            .subscribe(&theirs, now())
            .await
            .expect("stored");
    }
    for (user, expected) in [("ada", 6), ("grace", 5), ("nobody", 0)] {
        let (mut found, mut from) = (BTreeSet::new(), None);
        loop {
            let page = store
                .subscribers
                .of_user(user, from, 2)
                .await
                .expect("it reads");
            assert!(page.rows.len() <= 2);
            for row in page.rows {
                assert_eq!(row.user.as_deref(), Some(user));
                assert!(found.insert(row.endpoint), "read twice");
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), expected, "{user}");
    }
}

#[tokio::test]
async fn a_database_file_keeps_everything_and_a_clone_of_the_store_keeps_it_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("database");
    let open = || Store::open(Some(&file), Chance::system());
    let store = open().await.expect("it opens");
    let keys = browser();
    let copy = store.clone();
    store
        .subscribers
        .subscribe(&registration(&keys, &endpoint(1)), now())
        .await
        .expect("it is stored");
    drop(store);
    assert_count(&copy, 1).await;
    let before = scan(&copy).await;
    drop(copy);

    let again = open().await.expect("it opens again");
    assert_eq!(scan(&again).await, before);
    let back = registration(&keys, &endpoint(1));
    let done = again.subscribers.subscribe(&back, now()).await;
    assert_eq!(done.expect("it is stored"), Subscribed::Refreshed);
    assert_count(&again, 1).await;
}
