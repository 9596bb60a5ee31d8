use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pushcast::campaign::PartKey;
use pushcast::clock::Chance;
use pushcast::registration::{MadeWith, Registration};
use pushcast::store::parts::{Taken, Worker};
use pushcast::store::row::Row;
use pushcast::store::subscriptions::{MAX_AT_ONCE, Pruned, Subscribed};
use pushcast::store::{Store, embedded};
use pushcast::webpush::{AllowList, KeyId, Subscription};
use pushcast::wire::Change;
use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::faults::{Fault, Random, Seen, impatient, possible, with_faults};

/// One at each push service, in turn.
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

/// A time of its own for every call, in order.
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
    embedded::open(None, impatient()).await.expect("it opens")
}

/// A database in memory behind faults, and the same without.
async fn behind(
    plan: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static,
) -> (Store, Store, Seen) {
    // Reads are tried by the SDK alone: often enough for faults that pass.
    behind_sdk(8, plan).await
}

async fn behind_sdk(
    attempts: u32,
    plan: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static,
) -> (Store, Store, Seen) {
    let client = embedded::client(None).expect("it opens");
    let tables = embedded::tables();
    pushcast::store::schema::create_missing(&client, &tables)
        .await
        .expect("tables");
    let (faulty, seen) = with_faults(&client, attempts, plan);
    (
        Store::new(faulty, tables.clone(), impatient()),
        Store::new(client, tables, impatient()),
        seen,
    )
}

/// Everyone, read in small pages.
async fn scan(store: &Store) -> HashMap<String, Row> {
    let (mut rows, mut from) = (HashMap::new(), None);
    loop {
        let page = store.all(from, 7).await.expect("it reads");
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
    let count = store.count().await.expect("it counts");
    usize::try_from(count).expect("few")
}

async fn assert_count(store: &Store, expected: usize) {
    assert_eq!(scan(store).await.len(), expected);
    assert_totals(store).await;
}

/// What is counted is what is there, in all and at each push service.
async fn assert_totals(store: &Store) {
    let rows = scan(store).await;
    let mut services: BTreeMap<&str, u64> = BTreeMap::from([("other", 0)]);
    for (name, base) in SERVICES {
        let there = rows.keys().filter(|endpoint| endpoint.starts_with(base));
        services.insert(name, there.count() as u64);
    }
    let totals = store.totals().await.expect("it counts");
    assert_eq!(totals.count, rows.len() as u64);
    assert_eq!(totals.services(), services);
}

async fn row(store: &Store, endpoint: &str) -> Row {
    let found = store.get(endpoint).await.expect("it reads");
    found.expect("it is there")
}

fn timezone(operation: u64) -> String {
    format!("operation {operation}")
}

/// What one call did to one endpoint, and between which moments.
#[derive(Debug)]
struct Event {
    endpoint: String,
    /// The operation whose mark the row carries and the browser whose keys it has; `None` when it was removed.
    wrote: Option<(u64, usize)>,
    from: u64,
    to: u64,
}

/// What the answers say of the number of rows.
#[derive(Debug, Default)]
struct Tally {
    events: Vec<Event>,
    new: usize,
    pruned: usize,
}

struct Race {
    store: Store,
    browsers: Vec<Browser>,
    endpoints: usize,
    /// Which of the operations below may happen.
    operations: &'static [Operation],
    time: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Subscribe,
    Prune,
    RememberKey,
    Unsubscribe,
    Replace,
}

/// Those whose answers say by how much the count changes.
const COUNTED: &[Operation] = &[
    Operation::Subscribe,
    Operation::Prune,
    Operation::RememberKey,
];
const ALL: &[Operation] = &[
    Operation::Subscribe,
    Operation::Subscribe,
    Operation::Prune,
    Operation::RememberKey,
    Operation::Unsubscribe,
    Operation::Replace,
];

impl Race {
    fn new(store: Store, endpoints: usize, operations: &'static [Operation]) -> Arc<Self> {
        Arc::new(Self {
            store,
            browsers: (0..3).map(|_| browser()).collect(),
            endpoints,
            operations,
            time: AtomicU64::new(0),
        })
    }

    fn moment(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    /// `workers` at once, each with a plan of its own.
    async fn run(self: &Arc<Self>, seed: u64, workers: u64, steps: usize) -> Tally {
        let running: Vec<_> = (0..workers)
            .map(|worker| {
                let random = Random::new(seed * 1000 + worker);
                tokio::spawn(Arc::clone(self).work(random, steps))
            })
            .collect();
        let mut all = Tally::default();
        for worker in running {
            let tally = worker.await.expect("no worker fails");
            all.events.extend(tally.events);
            all.new += tally.new;
            all.pruned += tally.pruned;
        }
        all
    }

    async fn work(self: Arc<Self>, random: Random, steps: usize) -> Tally {
        let mut tally = Tally::default();
        let mut read: Vec<Row> = Vec::new();
        for _ in 0..steps {
            let target = endpoint(random.below(self.endpoints));
            let keys = random.below(self.browsers.len());
            let from = self.moment();
            let registration = Registration {
                timezone: Change::Set(timezone(from)),
                ..registration(&self.browsers[keys], &target)
            };
            let mut event = |endpoint: String, wrote, to| {
                tally.events.push(Event {
                    endpoint,
                    wrote,
                    from,
                    to,
                });
            };
            match random.pick(self.operations) {
                Operation::Subscribe => {
                    let done = self.store.subscribe(&registration, now()).await;
                    let done = done.expect("it is stored");
                    event(target, Some((from, keys)), self.moment());
                    tally.new += usize::from(done == Subscribed::New);
                }
                Operation::Unsubscribe => {
                    let done = self.store.unsubscribe(&target, now()).await;
                    done.expect("it is removed");
                    event(target, None, self.moment());
                }
                Operation::Replace => {
                    let old = endpoint(random.below(self.endpoints));
                    let done = self.store.replace(&old, &registration, now()).await;
                    done.expect("it is replaced");
                    let to = self.moment();
                    if old != target {
                        event(old, None, to);
                    }
                    event(target, Some((from, keys)), to);
                }
                Operation::Prune | Operation::RememberKey if read.is_empty() => {
                    read.extend(self.store.get(&target).await.expect("it reads"));
                }
                Operation::RememberKey => {
                    let row = &read[random.below(read.len())];
                    let key = KeyId::from("another".to_owned());
                    let done = self.store.remember_key(row, &key).await;
                    done.expect("it is remembered or not");
                }
                Operation::Prune => {
                    read.extend(self.store.get(&target).await.expect("it reads"));
                    let row = read.swap_remove(random.below(read.len()));
                    let done = self.store.prune(&row, now()).await;
                    if done.expect("it is pruned or kept") == Pruned::Removed {
                        event(row.endpoint, None, self.moment());
                        tally.pruned += 1;
                    }
                }
            }
        }
        tally
    }

    /// The count is the rows', and each row is what one of the last writers left, or none did.
    async fn check(&self, calm: &Store, tally: &Tally) {
        let rows = scan(calm).await;
        assert_totals(calm).await;
        for n in 0..self.endpoints {
            let endpoint = endpoint(n);
            let events = tally.events.iter().filter(|it| it.endpoint == endpoint);
            let (writes, removals): (Vec<_>, Vec<_>) = events.partition(|it| it.wrote.is_some());
            let Some(row) = rows.get(&endpoint) else {
                for write in writes {
                    let removed = removals.iter().any(|it| it.to > write.from);
                    assert!(removed, "lost: {write:?}");
                }
                continue;
            };
            let mark = row.timezone.clone().expect("each has one");
            let writer = writes.iter().find(|it| {
                let (operation, _) = it.wrote.expect("it wrote");
                timezone(operation) == mark
            });
            let writer = writer.expect("it was written by somebody");
            let (_, keys) = writer.wrote.expect("it wrote");
            let written = registration(&self.browsers[keys], &endpoint).subscription;
            assert_eq!(
                row.raw_keys(),
                (&written.keys.p256dh()[..], &written.keys.auth()[..]),
                "its keys are its writer's"
            );
            let later = writes
                .iter()
                .chain(&removals)
                .find(|it| it.from > writer.to);
            assert!(later.is_none(), "{later:?} came after {writer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_count_is_exact_whoever_races_whom() {
    for seed in 0..4 {
        let race = Race::new(in_memory().await, 24, ALL);
        let tally = race.run(seed, 16, 30).await;
        race.check(&race.store, &tally).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_answers_add_up_to_the_count() {
    for seed in 10..13 {
        let race = Race::new(in_memory().await, 20, COUNTED);
        let tally = race.run(seed, 16, 25).await;
        race.check(&race.store, &tally).await;
        assert!(tally.pruned > 0, "some prunes met the row they had read");
        assert_eq!(count(&race.store).await, tally.new - tally.pruned);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_count_is_exact_in_a_file_that_is_opened_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("database");
    let open = || embedded::open(Some(&file), impatient());
    let race = Race::new(open().await.expect("it opens"), 24, ALL);
    let tally = race.run(77, 12, 20).await;
    let before = scan(&race.store).await;
    drop(race.store.clone());
    let race = Arc::into_inner(race).expect("every worker has ended");
    let (browsers, endpoints) = (race.browsers, race.endpoints);
    drop(race.store);

    let again = Race {
        store: open().await.expect("it opens again"),
        browsers,
        endpoints,
        operations: ALL,
        time: AtomicU64::new(0),
    };
    assert!(!before.is_empty());
    assert_eq!(scan(&again.store).await, before);
    again.check(&again.store, &tally).await;
}

/// One request in four meets something.
fn one_in_four(seed: u64) -> impl Fn(&str) -> Option<Fault> + Send + Sync + 'static {
    let random = Random::new(seed);
    move |operation| {
        let possible = possible(operation);
        (random.below(4) == 0).then(|| random.pick(&possible))
    }
}

/// Of the writes, every other one is done and its answer lost.
fn lost_answers(seed: u64) -> impl Fn(&str) -> Option<Fault> + Send + Sync + 'static {
    let random = Random::new(seed);
    move |operation| {
        let write = matches!(operation, "TransactWriteItems" | "UpdateItem");
        (write && random.below(2) == 0).then_some(Fault::LostAnswer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_that_pass_lose_and_double_nothing() {
    for seed in 20..23 {
        let (store, calm, _) = behind(one_in_four(seed)).await;
        let race = Race::new(store, 16, ALL);
        let tally = race.run(seed, 8, 20).await;
        race.check(&calm, &tally).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_that_pass_leave_the_answers_right() {
    for seed in 30..33 {
        let (store, calm, _) = behind(one_in_four(seed)).await;
        let race = Race::new(store, 12, COUNTED);
        let tally = race.run(seed, 8, 20).await;
        race.check(&calm, &tally).await;
        assert_eq!(count(&calm).await, tally.new - tally.pruned);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_answer_is_asked_for_again_and_not_done_twice() {
    for seed in 40..43 {
        let (store, calm, _) = behind(lost_answers(seed)).await;
        let race = Race::new(store, 12, COUNTED);
        let tally = race.run(seed, 8, 20).await;
        race.check(&calm, &tally).await;
        assert_eq!(count(&calm).await, tally.new - tally.pruned);
    }
}

/// The SDK asks again, and finds a lease that is its own.
#[tokio::test]
async fn a_lease_whose_answer_was_lost_is_ours_all_the_same() {
    let lost = AtomicBool::new(false);
    let first = move |operation: &str| {
        let first = operation == "UpdateItem" && !lost.swap(true, Ordering::Relaxed);
        first.then_some(Fault::LostAnswer)
    };
    let (store, real, _) = behind_sdk(3, first).await;
    let (id, part) = ("leased".parse().unwrap(), PartKey::Segment(0));
    real.plan_segments(&id, 1).await.expect("it is written");
    let worker = Worker::one_of_many(&impatient());
    let minute = Duration::from_secs(60);
    let taken = store.take_segment(&id, &part, &worker, minute, now()).await;
    let taken = taken.expect("it is asked for again");
    assert!(matches!(taken, Taken::Ours(..)), "{taken:?}");
    let other = real.take_segment(&id, &part, &worker, minute, now()).await;
    let other = other.expect("it reads");
    assert!(matches!(other, Taken::Held(_)), "{other:?}");
}

/// Whoever pushes for one segment of a campaign that keeps to a rate.
#[tokio::test]
async fn turns_never_overlap_whoever_takes_them_at_once() {
    let store = in_memory().await;
    let id = "paced".parse().unwrap();
    store.plan_segments(&id, 2).await.expect("it is written");
    let (second, now) = (
        Duration::from_secs(1),
        Timestamp::from_second(1_800_000_000).unwrap(),
    );
    let turns = (0..20).map(|_| store.take_turn(&id, 0, second, now));
    let turns = futures_util::future::join_all(turns).await;
    let mut turns: Vec<_> = turns
        .into_iter()
        .map(|turn| turn.expect("it is taken").duration_since(now).as_secs())
        .collect();
    turns.sort_unstable();
    assert_eq!(turns, (0..20).collect::<Vec<_>>());
    let other = store.take_turn(&id, 1, second, now).await;
    assert_eq!(other.unwrap(), now, "each segment has its own");
    let later = now + SignedDuration::from_secs(60);
    let turn = store.take_turn(&id, 0, second, later).await;
    assert_eq!(
        turn.unwrap(),
        later,
        "time that has passed is not made up for"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_counted_exactly_whoever_is_there_and_whatever_is_lost() {
    let keys = browser();
    let all: Vec<Registration> = (0..MAX_AT_ONCE)
        .map(|n| registration(&keys, &endpoint(n)))
        .collect();
    for seed in 50..53 {
        for plan in [None, Some(seed)] {
            let faults = plan.map(lost_answers);
            let plan = move |operation: &str| faults.as_ref().and_then(|plan| plan(operation));
            let (store, calm, _) = behind(plan).await;
            assert_eq!(store.subscribe_all(&[], now()).await.expect("nothing"), 0);
            let first = store.subscribe_all(&all[..40], now()).await;
            assert_eq!(first.expect("it stores"), 40);
            assert_count(&calm, 40).await;
            // The same ones, and others, by two at once.
            let (one, other) = tokio::join!(
                store.subscribe_all(&all[20..80], now()),
                store.subscribe_all(&all[60..], now()),
            );
            let new = one.expect("it stores") + other.expect("it stores");
            assert_eq!(new, MAX_AT_ONCE - 40);
            assert_count(&calm, MAX_AT_ONCE).await;
        }
    }
}

#[tokio::test]
async fn a_fault_that_never_ends_is_a_transient_error_and_writes_nothing_by_halves() {
    let mut faults = possible("TransactWriteItems");
    faults.push(Fault::Refused(400, "TransactionConflictException"));
    for fault in faults {
        let (store, calm, seen) = behind_sdk(2, move |operation| match (operation, fault) {
            ("UpdateItem", Fault::Cancelled(_)) => None,
            ("UpdateItem" | "TransactWriteItems", fault) => Some(fault),
            _ => None,
        })
        .await;
        let keys = browser();
        let (there, fresh) = (endpoint(1), endpoint(2));
        let kept = registration(&keys, &there);
        calm.subscribe(&kept, now()).await.expect("it is stored");
        let before = row(&calm, &there).await;
        let mut errors = Vec::new();
        let new = registration(&keys, &fresh);
        errors.extend(store.subscribe(&new, now()).await.err());
        errors.extend(store.replace(&there, &new, now()).await.err());
        errors.extend(store.prune(&before, now()).await.err());
        errors.extend(store.unsubscribe(&there, now()).await.err());
        assert_eq!(errors.len(), 4, "{fault:?}: {errors:?}");
        for error in &errors {
            assert!(error.is_transient(), "{fault:?}: {error:?}");
        }
        let rows = scan(&calm).await;
        assert_eq!(count(&calm).await, rows.len(), "{fault:?}");
        if fault != Fault::LostAnswer {
            assert_eq!(rows.values().collect::<Vec<_>>(), [&before], "{fault:?}");
        }
        // Each of the four operations is tried a dozen times, each time twice by the SDK; beside them the day is opened.
        assert!(seen.requests().len() <= 4 * 12 * 2 + 10, "{fault:?}");
    }
}

#[tokio::test]
async fn a_read_that_fails_is_a_transient_error() {
    for fault in possible("Query") {
        let (store, _, _) = behind(move |_| Some(fault)).await;
        let errors = [
            store.count().await.err(),
            store.get(&endpoint(1)).await.err(),
            store.all(None, 1).await.err(),
            store.of_user("ada", None, 1).await.err(),
        ];
        for error in errors {
            let error = error.expect("there is no answer");
            assert!(error.is_transient(), "{fault:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn what_dynamodb_refuses_for_good_is_not_tried_again() {
    let fault = Fault::Refused(400, "ResourceNotFoundException");
    let (store, _, seen) = behind(move |_| Some(fault)).await;
    let new = registration(&browser(), &endpoint(1));
    let error = store.subscribe(&new, now()).await.expect_err("no table");
    assert!(!error.is_transient());
    let error = store
        .unsubscribe(&endpoint(1), now())
        .await
        .expect_err("no table");
    assert!(!error.is_transient());
    let written = seen.requests();
    let written = written.iter().filter(|(operation, _)| operation != "Query");
    assert_eq!(written.count(), 2, "the opening of the day was not written");
}

#[tokio::test]
async fn a_subscriber_who_comes_back_is_not_pruned() {
    let store = in_memory().await;
    let (keys, others) = (browser(), browser());
    for (n, again) in [(1, &keys), (2, &others)] {
        let target = endpoint(n);
        let first = registration(&keys, &target);
        store.subscribe(&first, now()).await.expect("it is stored");
        let read = row(&store, &target).await;
        let back = registration(again, &target);
        let done = store.subscribe(&back, now()).await;
        assert_eq!(done.expect("it is stored"), Subscribed::Refreshed);
        assert_eq!(store.prune(&read, now()).await.expect("kept"), Pruned::Kept);
        let kept = row(&store, &target).await;
        assert_eq!(kept.raw_keys().1, &back.subscription.keys.auth()[..]);
    }
    assert_count(&store, 2).await;
}

#[tokio::test]
async fn a_prune_counts_once() {
    let store = in_memory().await;
    let keys = browser();
    for n in 0..3 {
        let new = registration(&keys, &endpoint(n));
        let done = store.subscribe(&new, now()).await;
        assert_eq!(done.expect("it is stored"), Subscribed::New);
    }
    let read = row(&store, &endpoint(0)).await;
    assert_eq!(
        store.prune(&read, now()).await.expect("gone"),
        Pruned::Removed
    );
    assert_eq!(store.prune(&read, now()).await.expect("kept"), Pruned::Kept);
    assert_count(&store, 2).await;

    // Unsubscribed, and back with the same keys: another row.
    let target = endpoint(1);
    let read = row(&store, &target).await;
    store.unsubscribe(&target, now()).await.expect("removed");
    store.unsubscribe(&target, now()).await.expect("idempotent");
    assert_count(&store, 1).await;
    let back = store.subscribe(&registration(&keys, &target), now()).await;
    assert_eq!(back.expect("it is stored"), Subscribed::New);
    assert_eq!(store.prune(&read, now()).await.expect("kept"), Pruned::Kept);
    assert_count(&store, 2).await;
}

#[tokio::test]
async fn a_remembered_key_neither_saves_a_row_from_its_prune_nor_meets_a_newer_one() {
    let store = in_memory().await;
    let (keys, target) = (browser(), endpoint(1));
    let key = |name: &str| KeyId::from(name.to_owned());
    let made_with = |name: &str| Registration {
        vapid: MadeWith::Known(key(name)),
        ..registration(&keys, &target)
    };
    let old = made_with("old");
    store.subscribe(&old, now()).await.expect("it is stored");
    let read = row(&store, &target).await;
    store.remember_key(&read, &key("new")).await.expect("done");
    assert_eq!(row(&store, &target).await.vapid, Some(key("new")));

    let back = made_with("newer");
    store.subscribe(&back, now()).await.expect("it is stored");
    let key_of_old = store.remember_key(&read, &key("old")).await;
    key_of_old.expect("no error");
    assert_eq!(row(&store, &target).await.vapid, Some(key("newer")));

    let read = row(&store, &target).await;
    store.remember_key(&read, &key("last")).await.expect("done");
    assert_eq!(
        store.prune(&read, now()).await.expect("gone"),
        Pruned::Removed
    );
    store.remember_key(&read, &key("last")).await.expect("done");
    assert_count(&store, 0).await;
}

#[tokio::test]
async fn replacing_moves_what_is_known_and_counts_right_in_every_case() {
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
        let done = store.replace(&endpoint(old), new, now()).await;
        done.expect("it is replaced")
    };
    store.subscribe(&told(1), now()).await.expect("stored");
    let before = row(&store, &endpoint(1)).await;

    // The old one is there, the new one is not: moved.
    let new = registration(&others, &endpoint(2));
    assert_eq!(replace(1, &new).await, Subscribed::New);
    assert_count(&store, 1).await;
    let moved = row(&store, &endpoint(2)).await;
    assert_eq!(moved.tags, news);
    assert_eq!(moved.user.as_deref(), Some("ada"));
    assert_eq!(moved.timezone.as_deref(), Some("Europe/Paris"));
    assert_eq!(moved.created_at, before.created_at);
    assert_eq!(moved.raw_keys().1, &new.subscription.keys.auth()[..]);

    // Neither the old one: a subscription as any other; asked again, too.
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

    // Both are there: two become one, and what is said outright wins.
    let said = Registration {
        user: Change::Set("grace".to_owned()),
        timezone: Change::Clear,
        ..registration(&keys, &endpoint(3))
    };
    assert_eq!(replace(2, &said).await, Subscribed::Refreshed);
    assert_count(&store, 1).await;
    let merged = row(&store, &endpoint(3)).await;
    assert_eq!(merged.user.as_deref(), Some("grace"));
    assert_eq!((merged.tags, merged.timezone), (news, None));

    // By itself: refreshed.
    let itself = registration(&others, &endpoint(3));
    assert_eq!(replace(3, &itself).await, Subscribed::Refreshed);
    assert_count(&store, 1).await;
    // What was read of the old one prunes nobody.
    assert_eq!(
        store.prune(&before, now()).await.expect("kept"),
        Pruned::Kept
    );
    assert_eq!(
        store.prune(&moved, now()).await.expect("kept"),
        Pruned::Kept
    );
    assert_count(&store, 1).await;
}

#[tokio::test]
async fn fields_are_kept_cleared_or_set_as_the_registration_says() {
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
        let done = store.subscribe(registration, now()).await;
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
    let nobody = store.of_user("grace", None, 10).await.expect("it reads");
    assert_eq!(nobody.rows, []);
    assert_count(&store, 1).await;
}

#[tokio::test]
async fn a_user_s_subscriptions_are_read_page_by_page() {
    let store = in_memory().await;
    let keys = browser();
    for n in 0..11 {
        let user = if n % 2 == 0 { "ada" } else { "grace" };
        let theirs = Registration {
            user: Change::Set(user.to_owned()),
            ..registration(&keys, &endpoint(n))
        };
        store.subscribe(&theirs, now()).await.expect("stored");
    }
    for (user, expected) in [("ada", 6), ("grace", 5), ("nobody", 0)] {
        let (mut found, mut from) = (BTreeSet::new(), None);
        loop {
            let page = store.of_user(user, from, 2).await.expect("it reads");
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

/// Of the names of our attributes and their like, those that DynamoDB reserves (Developer Guide, "Reserved words").
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

/// What an expression itself is written with.
const SYNTAX: &[&str] = &["SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT"];

/// Every expression in a request, wherever it stands.
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

/// The attribute names that stand in an expression without a placeholder.
fn bare_names(expression: &str) -> Vec<&str> {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '#');
    expression
        .split(|c: char| !part_of_word(c))
        .filter(|word| !word.is_empty() && !word.starts_with([':', '#']))
        .filter(|word| !SYNTAX.contains(word))
        .collect()
}

#[tokio::test]
async fn requests_name_no_reserved_word_read_what_is_written_and_end() {
    let (store, _, seen) = behind(|_| None).await;
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
        let done = store.subscribe(&registration, now()).await;
        done.expect("it is stored");
    }
    let moved = store.replace(&endpoint(1), &bare(2), now()).await;
    moved.expect("it is moved");
    let merged = store.replace(&endpoint(2), &full(3), now()).await;
    merged.expect("it is merged");
    let read = row(&store, &endpoint(3)).await;
    let key = KeyId::from("other".to_owned());
    store.remember_key(&read, &key).await.expect("done");
    store.prune(&read, now()).await.expect("it is pruned");
    store
        .unsubscribe(&endpoint(3), now())
        .await
        .expect("idempotent");
    store.of_user("ada", None, 5).await.expect("it reads");
    store.all(None, 5).await.expect("it reads");
    let totals = store.totals().await.expect("it counts");
    assert_eq!(totals.count, 0);
    store.days(&totals, now()).await.expect("it reads");
    store.tags(totals.count, now()).await.expect("it reads");
    let some = "news && !beta".parse().expect("an audience");
    store.estimate(&some).await.expect("it reads");

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
        // An index has no consistent reads, and a scan of everyone wants none.
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

#[tokio::test]
async fn the_embedded_database_refuses_reserved_words_too() {
    let client = embedded::client(None).expect("it opens");
    let tables = embedded::tables();
    let created = pushcast::store::schema::create_missing(&client, &tables).await;
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

/// As dynoxide asks for the next page of a segment: a million rows must not be sorted for it.
#[tokio::test]
async fn a_segment_of_a_file_is_read_through_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pushcast.db");
    // Twice: the index is there already.
    for _ in 0..2 {
        let store = embedded::open(Some(&file), impatient()).await;
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

#[tokio::test]
async fn a_file_keeps_everything_and_a_copy_of_the_store_keeps_it_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("database");
    let open = || embedded::open(Some(&file), Chance::system());
    let store = open().await.expect("it opens");
    let keys = browser();
    let copy = store.clone();
    store
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
    let done = again.subscribe(&back, now()).await;
    assert_eq!(done.expect("it is stored"), Subscribed::Refreshed);
    assert_count(&again, 1).await;
}

/// As on a machine that has a lot to do, or whose disk has.
#[tokio::test]
async fn a_database_that_takes_its_time_is_waited_for() {
    let (store, _, _) = behind_sdk(1, |_| Some(Fault::Late(Duration::from_secs(8)))).await;
    let registration = registration(&browser(), &endpoint(1));
    let stored = store.subscribe_all(&[registration], now()).await;
    assert_eq!(stored.expect("it waits"), 1);
}
