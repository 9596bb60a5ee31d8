//! Concurrent writers and temporary faults: each row is what one of its last writers left, and the count equals the
//! rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pushcast::json::Change;
use pushcast::store::Store;
use pushcast::subscribers::Row;
use pushcast::subscribers::registration::Registration;
use pushcast::subscribers::{MAX_AT_ONCE, Pruned, Subscribed};
use webpush::KeyId;

use super::{
    assert_count, assert_totals, behind, browser, count, endpoint, in_memory, now, registration,
    scan,
};
use crate::support::aws::faulty_dynamodb::{Fault, possible};
use crate::support::random::{Random, impatient};
use crate::support::subscribers::browser::Browser;

fn timezone(operation: u64) -> String {
    format!("operation {operation}")
}

/// The effect of one call on one endpoint, and when the call began and ended.
#[derive(Debug)]
struct Event {
    endpoint: String,
    /// The operation that the row records, and the browser whose keys it has. `None` if the call removed the row.
    wrote: Option<(u64, usize)>,
    from: u64,
    to: u64,
}

/// The change of the number of rows, as the answers report it.
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
    /// The operations that may occur.
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

/// Operations whose answers report the change of the count.
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

    /// Runs `workers` tasks at once, each with its own random operations.
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

    async fn remember_key(&self, row: &Row) {
        let key = KeyId::from("another".to_owned());
        let done = self.store.subscribers.remember_key(row, &key).await;
        done.expect("it is remembered or not");
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
                    let done = self.store.subscribers.subscribe(&registration, now()).await;
                    let done = done.expect("it is stored");
                    event(target, Some((from, keys)), self.moment());
                    tally.new += usize::from(done == Subscribed::New);
                }
                Operation::Unsubscribe => {
                    let done = self.store.subscribers.unsubscribe(&target, now()).await;
                    done.expect("it is removed");
                    event(target, None, self.moment());
                }
                Operation::Replace => {
                    let old = endpoint(random.below(self.endpoints));
                    let store = &self.store.subscribers;
                    let done = store.replace(&old, &registration, now()).await;
                    done.expect("it is replaced");
                    let to = self.moment();
                    if old != target {
                        event(old, None, to);
                    }
                    event(target, Some((from, keys)), to);
                }
                Operation::Prune | Operation::RememberKey if read.is_empty() => {
                    read.extend(self.store.subscribers.get(&target).await.expect("it reads"));
                }
                Operation::RememberKey => self.remember_key(&read[random.below(read.len())]).await,
                Operation::Prune => {
                    read.extend(self.store.subscribers.get(&target).await.expect("it reads"));
                    let row = read.swap_remove(random.below(read.len()));
                    let done = self.store.subscribers.prune(&row, now()).await;
                    if done.expect("it is pruned or kept") == Pruned::Removed {
                        event(row.endpoint, None, self.moment());
                        tally.pruned += 1;
                    }
                }
            }
        }
        tally
    }

    /// The count equals the rows, and each row is one of its last writers' or was removed by one of them.
    async fn check(&self, faultless: &Store, tally: &Tally) {
        let rows = scan(faultless).await;
        assert_totals(faultless).await;
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
async fn the_count_is_exact_under_races() {
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
    let open = || Store::open(Some(&file), impatient());
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

/// One request in four fails in some way.
fn one_in_four(seed: u64) -> impl Fn(&str) -> Option<Fault> + Send + Sync + 'static {
    let random = Random::new(seed);
    move |operation| {
        let possible = possible(operation);
        (random.below(4) == 0).then(|| random.pick(&possible))
    }
}

/// Every second write is done, but its answer is lost.
fn lost_answers(seed: u64) -> impl Fn(&str) -> Option<Fault> + Send + Sync + 'static {
    let random = Random::new(seed);
    move |operation| {
        let write = matches!(operation, "TransactWriteItems" | "UpdateItem");
        (write && random.below(2) == 0).then_some(Fault::LostAnswer)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn temporary_faults_lose_and_repeat_no_write() {
    for seed in 20..23 {
        let (store, faultless, _) = behind(one_in_four(seed)).await;
        let race = Race::new(store, 16, ALL);
        let tally = race.run(seed, 8, 20).await;
        race.check(&faultless, &tally).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn temporary_faults_leave_the_answers_right() {
    for seed in 30..33 {
        let (store, faultless, _) = behind(one_in_four(seed)).await;
        let race = Race::new(store, 12, COUNTED);
        let tally = race.run(seed, 8, 20).await;
        race.check(&faultless, &tally).await;
        assert_eq!(count(&faultless).await, tally.new - tally.pruned);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_whose_answer_was_lost_is_not_done_twice() {
    for seed in 40..43 {
        let (store, faultless, _) = behind(lost_answers(seed)).await;
        let race = Race::new(store, 12, COUNTED);
        let tally = race.run(seed, 8, 20).await;
        race.check(&faultless, &tally).await;
        assert_eq!(count(&faultless).await, tally.new - tally.pruned);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bulk_writes_are_counted_exactly_under_races_and_lost_answers() {
    let keys = browser();
    let all: Vec<Registration> = (0..MAX_AT_ONCE)
        .map(|n| registration(&keys, &endpoint(n)))
        .collect();
    for seed in 50..53 {
        for plan in [None, Some(seed)] {
            let faults = plan.map(lost_answers);
            let plan = move |operation: &str| faults.as_ref().and_then(|plan| plan(operation));
            let (store, faultless, _) = behind(plan).await;
            assert_eq!(
                store
                    .subscribers
                    .subscribe_all(&[], now())
                    .await
                    .expect("nothing"),
                0
            );
            let first = store.subscribers.subscribe_all(&all[..40], now()).await;
            assert_eq!(first.expect("it stores"), 40);
            assert_count(&faultless, 40).await;
            // Two calls at once store rows that exist, rows that both of them have, and rows of their own.
            let (one, other) = tokio::join!(
                store.subscribers.subscribe_all(&all[20..80], now()),
                store.subscribers.subscribe_all(&all[60..], now()),
            );
            let new = one.expect("it stores") + other.expect("it stores");
            assert_eq!(new, MAX_AT_ONCE - 40);
            assert_count(&faultless, MAX_AT_ONCE).await;
        }
    }
}
