use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use pushcast::audience::Audience;
use pushcast::campaign::checkpoint::{Delta, Step};
use pushcast::campaign::{Campaign, Faults, Figures, PartKey, State, Tally};
use pushcast::clock::Chance;
use pushcast::dynamo::{embedded, schema};
use pushcast::json::Change;
use pushcast::ledger::Written;
use pushcast::ledger::{Taken, Worker};
use pushcast::store::Store;
use pushcast::subscribers::MAX_AT_ONCE;
use pushcast::subscribers::MOST_ROWS;
use pushcast::subscribers::MOST_TAGS;
use pushcast::subscribers::Row;
use pushcast::subscribers::registration::{MadeWith, Registration};
use pushcast::subscribers::{Day, MOST_DAYS};
use serde_json::{Value, json};
use webpush::{AllowList, PushService as Vendor, Subscription};

use crate::support::aws::faulty_dynamodb::{Fault, Seen, possible, with_faults};
use crate::support::program::Server;
use crate::support::push_service::PushService;
use crate::support::random::{Random, impatient};
use crate::support::subscribers::browser::Browser;

const BASES: [&str; 4] = [
    "https://updates.push.services.mozilla.com/wpush/v2",
    "https://fcm.googleapis.com/fcm/send",
    "https://web.push.apple.com",
    "https://db5p.notify.windows.com/w",
];

/// The `n`th endpoint, at each push service in turn.
fn endpoint(n: usize) -> String {
    format!("{}/subscription-{n}", BASES[n % BASES.len()])
}

/// Makes registrations. All have the same keys, because new keys are slow to make.
pub(crate) struct Registry(Value);

impl Registry {
    pub(crate) fn new() -> Self {
        Self(Browser::new("keys".to_owned(), endpoint(0)).to_json())
    }

    /// A registration of the subscription at `endpoint(n)`.
    pub(crate) fn registration(&self, n: usize, tags: &[&str]) -> Registration {
        let mut json = self.0.clone();
        json["endpoint"] = endpoint(n).into();
        let tags: BTreeSet<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        Registration {
            subscription: Subscription::from_json(&json.to_string(), &AllowList::default())
                .expect("it is good"),
            expires_at: None,
            tags: Change::Set(tags),
            user: Change::Keep,
            timezone: Change::Keep,
            vapid: MadeWith::Unknown,
            created_at: None,
        }
    }
}

async fn database() -> Client {
    let client = embedded::client(None).expect("it opens");
    let made = schema::create_missing(&client, &embedded::tables()).await;
    made.expect("tables");
    client
}

/// One process's store over the shared database. Each process has its own random numbers.
fn process(client: &Client) -> Store {
    static CHANCE: LazyLock<Chance> = LazyLock::new(impatient);
    Store::new(client.clone(), embedded::tables(), CHANCE.clone())
}

/// The same with faults: every request is recorded, and `plan` decides which ones fail.
fn watched(
    client: &Client,
    plan: impl Fn(&str) -> Option<Fault> + Send + Sync + 'static,
) -> (Store, Seen) {
    let (client, seen) = with_faults(client, 8, plan);
    (process(&client), seen)
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

async fn rows(store: &Store) -> Vec<Row> {
    let (mut rows, mut from) = (Vec::new(), None);
    loop {
        let page = store.subscribers.all(from, 500).await.expect("it reads");
        rows.extend(page.rows);
        from = page.next;
        if from.is_none() {
            return rows;
        }
    }
}

/// The counts equal the number of rows, in all and at each push service.
async fn assert_totals(store: &Store) {
    let rows = rows(store).await;
    let mut services: BTreeMap<_, u64> = Vendor::ALL.map(|it| (it.label(), 0)).into();
    for row in &rows {
        let service = Vendor::of_url(&row.endpoint).label();
        *services.get_mut(service).expect("all are there") += 1;
    }
    let totals = store.subscribers.totals().await.expect("it counts");
    assert_eq!(totals.count, rows.len() as u64);
    assert_eq!(totals.services(), services);
}

async fn days(store: &Store, now: Timestamp) -> Vec<Day> {
    let totals = store.subscribers.totals().await.expect("it counts");
    store
        .subscribers
        .days(&totals, now)
        .await
        .expect("it reads")
}

/// Removes these rows as a campaign's worker does. The campaign is new and meets no faults before this.
async fn settle(store: &Store, faultless: &Store, campaign: u64, gone: &[Row], now: Timestamp) {
    let campaign = Campaign {
        id: format!("campaign-{campaign}").parse().expect("an id"),
        state: State::Running,
        audience: "all".parse().expect("an audience"),
        message: serde_json::Map::new(),
        rate: None,
        created_at: now,
        subscribers: 0,
        segments: 1,
        segments_done: 0,
        resumed: 0,
    };
    let id = &campaign.id;
    faultless
        .ledger
        .plan_segments(id, 1)
        .await
        .expect("it is planned");
    let worker = Worker::one_of_many(&Chance::system());
    let part = PartKey::Segment(0);
    let lease = Duration::from_secs(60);
    let taken = faultless
        .ledger
        .take_segment(id, &part, &worker, lease, now)
        .await;
    let Taken::Ours(lease, _) = taken.expect("it is there") else {
        panic!("nobody else works on it");
    };
    let mut figures = Figures::default();
    for row in gone {
        let service = Vendor::of_url(&row.endpoint);
        figures.add(service, Tally::Gone, 1);
    }
    let delta = Delta {
        step: Step::Advance {
            cursor: None,
            is_last: true,
            rows: gone.len(),
            scanned: gone.len() as u64,
        },
        figures,
        faults: Faults::default(),
        opened: Vec::new(),
        held: Vec::new(),
        gone: gone
            .iter()
            .map(|row| (row.endpoint.clone(), row.clone()))
            .collect(),
    };
    let written = store.ledger.checkpoint(&campaign, &lease, delta, None, now);
    assert_eq!(written.await.expect("it is written"), Written::Done);
}

/// One random operation that can change the counts.
async fn change(
    store: &Store,
    faultless: &Store,
    registry: &Registry,
    random: &Random,
    of: usize,
    now: Timestamp,
) {
    let n = random.below(of);
    let one = registry.registration(n, &["news"]);
    match random.below(7) {
        0 | 1 => drop(
            store
                .subscribers
                .subscribe(&one, now)
                .await
                .expect("it is stored"),
        ),
        2 => {
            let some: Vec<_> = (n..n + 5)
                .map(|n| registry.registration(n % of, &[]))
                .collect();
            store
                .subscribers
                .subscribe_all(&some, now)
                .await
                .expect("it is stored");
        }
        3 => {
            let old = endpoint(random.below(of));
            let replaced = store.subscribers.replace(&old, &one, now).await;
            replaced.expect("it is replaced");
        }
        4 => {
            let left = store.subscribers.unsubscribe(&endpoint(n), now).await;
            left.expect("it is removed");
        }
        5 => {
            if let Some(row) = store.subscribers.get(&endpoint(n)).await.expect("it reads") {
                let pruned = store.subscribers.prune(&row, now).await;
                pruned.expect("it is pruned or kept");
            }
        }
        _ => {
            let mut gone = rows(store).await;
            gone.retain(|_| random.below(4) == 0);
            let campaign = random.below(1 << 40) as u64;
            settle(store, faultless, campaign, &gone, now).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_push_services_counts_add_up_under_races_and_lost_answers() {
    for (seed, faulty) in [(1, false), (2, false), (3, true), (4, true)] {
        let client = database().await;
        let mut workers = Vec::new();
        for worker in 0..6 {
            let random = Random::new(seed * 100 + worker);
            let chances = Random::new(seed * 100 + worker + 50);
            let (store, _) = watched(&client, move |operation| {
                let faults = possible(operation);
                (faulty && chances.below(5) == 0).then(|| chances.pick(&faults))
            });
            let faultless = process(&client);
            workers.push(tokio::spawn(async move {
                let registry = Registry::new();
                for step in 0..15 {
                    let now = at("2026-11-26T12:00:00Z") + SignedDuration::from_hours(step * 7);
                    change(&store, &faultless, &registry, &random, 24, now).await;
                }
            }));
        }
        for worker in workers {
            worker.await.expect("no worker fails");
        }
        let store = process(&client);
        assert_totals(&store).await;
        let days = days(&store, at("2026-12-02T00:00:00Z")).await;
        let net: i64 = days
            .iter()
            .map(|day| i64::try_from(day.new).unwrap() - i64::try_from(day.gone).unwrap())
            .sum();
        let count = days.last().expect("some").count;
        assert_eq!(net, i64::try_from(count).unwrap(), "{days:?}");
    }
}

/// The days that a reader must see.
#[derive(Default)]
struct Diary(BTreeMap<Date, Day>);

impl Diary {
    fn note(&mut self, date: Date, before: &BTreeSet<String>, after: &BTreeSet<String>) {
        // At most one row changes. A replacement is neither a new subscription nor a lost one.
        let (came, gone) = (
            after.difference(before).count() as u64,
            before.difference(after).count() as u64,
        );
        let moved = came.min(gone);
        let day = self.0.entry(date).or_insert(Day {
            date,
            count: 0,
            new: 0,
            gone: 0,
        });
        day.count = after.len() as u64;
        day.new += came - moved;
        day.gone += gone - moved;
    }

    /// Every day up to today, without gaps.
    fn days(&self, today: Date) -> Vec<Day> {
        let Some(mut date) = self.0.keys().next().copied() else {
            return Vec::new();
        };
        let (mut days, mut count) = (Vec::new(), 0);
        while date <= today {
            let quiet = Day {
                date,
                count,
                new: 0,
                gone: 0,
            };
            let day = self.0.get(&date).copied().unwrap_or(quiet);
            count = day.count;
            days.push(day);
            date = date.tomorrow().expect("no end of time");
        }
        let most = usize::try_from(MOST_DAYS).unwrap();
        days.split_off(days.len().saturating_sub(most))
    }
}

#[tokio::test]
async fn each_day_counts_new_and_lost_subscribers_of_every_process() {
    for seed in 0..4 {
        let (client, random, registry) = (database().await, Random::new(seed), Registry::new());
        let processes = [process(&client), process(&client)];
        let (mut now, mut diary) = (at("2026-08-01T00:00:00Z"), Diary::default());
        let mut there = BTreeSet::new();
        for step in 0..150 {
            let store = random.pick(&[&processes[0], &processes[1]]);
            let hours = random.pick(&[0, 1, 5, 30, 70]);
            now += SignedDuration::from_hours(hours);
            change(store, store, &registry, &random, 16, now).await;
            let after: BTreeSet<_> = rows(store)
                .await
                .into_iter()
                .map(|it| it.endpoint)
                .collect();
            if after != there {
                diary.note(date(now), &there, &after);
            }
            there = after;
            if step % 10 == 0 {
                // A process may open a day without changing a count: such a day may come before the first change.
                let mut shown = days(&processes[0], now).await;
                let known = diary.days(date(now));
                shown.drain(..shown.len().saturating_sub(known.len()));
                assert_eq!(shown, known, "seed {seed}, step {step}");
            }
        }
        let later = now + SignedDuration::from_hours(24 * 200);
        let shown = days(&processes[1], later).await;
        assert_eq!(shown.len(), usize::try_from(MOST_DAYS).unwrap());
        assert!(shown.iter().all(|day| (day.new, day.gone) == (0, 0)));
        assert!(shown.iter().all(|day| day.count == there.len() as u64));
    }
}

#[tokio::test]
async fn a_day_s_opening_that_cannot_be_written_fails_no_request_and_comes_with_the_next_change() {
    let (client, registry) = (database().await, Registry::new());
    let broken = Arc::new(AtomicBool::new(false));
    let is = Arc::clone(&broken);
    let (store, seen) = watched(&client, move |operation| {
        (operation == "PutItem" && is.load(Ordering::Relaxed))
            .then_some(Fault::Refused(400, "AccessDeniedException"))
    });
    let subscribe = async |n: usize, now: &str| {
        let one = registry.registration(n, &[]);
        let done = store.subscribers.subscribe(&one, at(now)).await;
        done.expect("it is stored");
    };
    let day = |date: &str, count, new, gone| Day {
        date: date.parse().expect("a date"),
        count,
        new,
        gone,
    };
    subscribe(1, "2026-11-25T10:00:00Z").await;
    broken.store(true, Ordering::Relaxed);
    subscribe(2, "2026-11-26T00:00:00Z").await;
    subscribe(3, "2026-11-26T01:00:00Z").await;
    let now = at("2026-11-26T02:00:00Z");
    // Nothing is lost: the change counts for the previous day.
    let expected = [day("2026-11-25", 3, 3, 0), day("2026-11-26", 3, 0, 0)];
    assert_eq!(days(&store, now).await, expected);

    broken.store(false, Ordering::Relaxed);
    subscribe(4, "2026-11-26T03:00:00Z").await;
    let before = seen.requests().len();
    subscribe(5, "2026-11-26T04:00:00Z").await;
    let left = at("2026-11-26T05:00:00Z");
    let left = store.subscribers.unsubscribe(&endpoint(1), left).await;
    left.expect("it is removed");
    let after = seen.requests().split_off(before);
    let opens = |(operation, _): &&(String, Value)| matches!(&operation[..], "Query" | "PutItem");
    assert_eq!(after.iter().find(opens), None, "once a day and process");
    let expected = [day("2026-11-25", 3, 3, 0), day("2026-11-26", 4, 2, 1)];
    assert_eq!(days(&store, now).await, expected);
    assert_totals(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_race_at_midnight_agree_on_the_day_s_opening() {
    let (client, registry) = (database().await, Registry::new());
    let first = registry.registration(100, &[]);
    let stored = process(&client)
        .subscribers
        .subscribe(&first, at("2026-11-25T12:00:00Z"))
        .await;
    stored.expect("it is stored");
    let mut workers = Vec::new();
    for n in 0..12 {
        let (store, one) = (process(&client), registry.registration(n, &[]));
        workers.push(tokio::spawn(async move {
            store
                .subscribers
                .subscribe(&one, at("2026-11-26T00:00:00Z"))
                .await
        }));
    }
    for worker in workers {
        worker.await.unwrap().expect("it is stored");
    }
    let days = days(&process(&client), at("2026-11-26T00:01:00Z")).await;
    let figures: Vec<_> = days.iter().map(|it| (it.count, it.new, it.gone)).collect();
    assert_eq!(figures, [(1, 1, 0), (13, 12, 0)]);
}

#[tokio::test]
async fn a_process_whose_clock_is_behind_opens_its_day_late_and_nothing_is_counted_twice() {
    let (client, registry) = (database().await, Registry::new());
    let (ahead, behind) = (process(&client), process(&client));
    for (n, now) in [
        (1, "2026-11-25T12:00:00Z"),
        (2, "2026-11-27T00:00:00Z"),
        (3, "2026-11-27T00:00:01Z"),
        (4, "2026-11-27T00:00:02Z"),
    ] {
        let one = registry.registration(n, &[]);
        let stored = ahead.subscribers.subscribe(&one, at(now)).await;
        stored.expect("it is stored");
    }
    for n in [1, 2] {
        let left = at("2026-11-26T23:59:59Z");
        let left = behind.subscribers.unsubscribe(&endpoint(n), left).await;
        left.expect("it is removed");
    }
    let days = days(&behind, at("2026-11-27T00:01:00Z")).await;
    let figures: Vec<_> = days.iter().map(|it| (it.count, it.new, it.gone)).collect();
    assert_eq!(figures, [(1, 1, 0), (1, 0, 0), (2, 3, 2)]);
}

#[tokio::test]
async fn a_clock_that_was_wrong_once_affects_no_other_day() {
    let (client, registry) = (database().await, Registry::new());
    for (n, now) in [
        (1, "2026-11-25T12:00:00Z"),
        (2, "2031-01-01T00:00:00Z"),
        (3, "2026-11-26T12:00:00Z"),
    ] {
        let one = registry.registration(n, &[]);
        let stored = process(&client).subscribers.subscribe(&one, at(now)).await;
        stored.expect("it is stored");
    }
    let days = days(&process(&client), at("2026-11-26T13:00:00Z")).await;
    let figures: Vec<_> = days.iter().map(|it| (it.count, it.new)).collect();
    assert_eq!(figures, [(2, 2), (3, 1)]);
}

/// A database can be older than the counts per push service and per day.
#[tokio::test]
async fn rows_of_an_early_version_count_as_other_services_and_no_count_is_negative() {
    let (client, registry) = (database().await, Registry::new());
    let store = process(&client);
    let now = at("2026-11-26T12:00:00Z");
    for n in 0..8 {
        let one = registry.registration(n, &[]);
        store
            .subscribers
            .subscribe(&one, now)
            .await
            .expect("it is stored");
    }
    // The early version stored only the total count in the ledger.
    let ledger = embedded::tables().ledger;
    let items = client.query().table_name(&ledger).limit(100);
    let items = items
        .key_condition_expression("id = :id")
        .expression_attribute_values(":id", AttributeValue::S("count".to_owned()));
    for item in items.send().await.expect("it reads").items() {
        let keep = ["id", "part", "n"].map(|name| (name.to_owned(), item[name].clone()));
        let put = client.put_item().table_name(&ledger);
        let put = put.set_item(Some(HashMap::from(keep))).send().await;
        put.expect("it is written");
    }
    let services = async || {
        let totals = store.subscribers.totals().await.expect("it counts");
        let services = totals.services();
        assert_eq!(services.values().sum::<u64>(), totals.count, "{totals:?}");
        Vendor::ALL.map(|it| services[it.label()])
    };
    assert_eq!(services().await, [0, 0, 0, 0, 8]);
    let (gone, new) = (endpoint(1), registry.registration(10, &[]));
    let next = at("2026-11-27T12:00:00Z");
    store
        .subscribers
        .unsubscribe(&gone, next)
        .await
        .expect("it is removed");
    assert_eq!(services().await, [0, 0, 0, 0, 7]);
    store
        .subscribers
        .subscribe(&new, next)
        .await
        .expect("it is stored");
    assert_eq!(services().await, [0, 0, 1, 0, 7]);
    let days = days(&store, next).await;
    let last = days.last().expect("a day");
    assert_eq!((last.count, last.new, last.gone), (8, 1, 1));
}

// ---- samples ----

/// `Limit` of each read that took the sample.
fn read_by(seen: &Seen) -> Vec<i64> {
    let requests = seen.requests();
    let scans = requests.iter().filter(|(operation, _)| operation == "Scan");
    scans
        .map(|(_, body)| {
            assert!(body["Segment"].is_number(), "{body}");
            body["Limit"].as_i64().expect("a limit")
        })
        .collect()
}

#[tokio::test]
async fn a_small_audience_is_counted_and_so_is_the_audience_of_everyone() {
    let (client, registry) = (database().await, Registry::new());
    let (store, seen) = watched(&client, |_| None);
    let now = at("2026-11-26T12:00:00Z");
    let estimate = async |audience: &str| {
        let audience: Audience = audience.parse().expect("an audience");
        let estimate = store
            .subscribers
            .estimate(&audience)
            .await
            .expect("it reads");
        (estimate.subscribers, estimate.exact)
    };
    for audience in ["all", "news", "!news"] {
        assert_eq!(estimate(audience).await, (0, true), "{audience}");
    }
    for n in 0..60 {
        let tags = [&["news"][..], &["news", "beta"], &[]][n % 3];
        let one = registry.registration(n, tags);
        store
            .subscribers
            .subscribe(&one, now)
            .await
            .expect("it is stored");
    }
    for (audience, subscribers) in [
        ("news && !beta", 20),
        ("!(news || beta)", 20),
        ("news", 40),
        ("nothing", 0),
    ] {
        assert_eq!(estimate(audience).await, (subscribers, true), "{audience}");
    }
    let before = seen.requests().len();
    assert_eq!(estimate("all").await, (60, true));
    assert_eq!(seen.requests().len() - before, 1, "the count and no scan");
    let tags = store.subscribers.tags(60, now).await.expect("it reads");
    assert!(tags.exact);
    let expected = BTreeMap::from([("beta".to_owned(), 20), ("news".to_owned(), 40)]);
    assert_eq!(tags.subscribers, expected);
}

#[tokio::test]
async fn a_sample_of_tags_is_kept_for_a_minute_and_shared() {
    let (client, registry) = (database().await, Registry::new());
    let (one, seen) = watched(&client, |_| None);
    let (other, seen_by_other) = watched(&client, |_| None);
    let now = at("2026-11-26T12:00:00Z");
    let subscribe = async |n: usize, tag: &str| {
        let registration = registry.registration(n, &[tag]);
        let done = one.subscribers.subscribe(&registration, now).await;
        done.expect("it is stored");
    };
    let news = async |store: &Store, seconds: i64| {
        let now = now + SignedDuration::from_secs(seconds);
        let tags = store.subscribers.tags(10, now).await.expect("it reads");
        tags.subscribers.get("news").copied()
    };
    assert_eq!(news(&one, 0).await, None);
    subscribe(1, "news").await;
    assert_eq!(news(&other, 59).await, None, "what the first has kept");
    assert_eq!(read_by(&seen_by_other).len(), 0);
    assert_eq!(news(&other, 60).await, Some(1));
    assert_eq!(news(&one, 119).await, Some(1));
    assert_eq!(
        (read_by(&seen).len(), read_by(&seen_by_other).len()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_sample_that_cannot_be_stored_is_still_shown() {
    let (client, registry) = (database().await, Registry::new());
    let now = at("2026-11-26T12:00:00Z");
    let one = registry.registration(1, &["news"]);
    let stored = process(&client).subscribers.subscribe(&one, now).await;
    stored.expect("it is stored");
    let (store, _) = watched(&client, |operation| {
        (operation == "PutItem").then_some(Fault::Refused(400, "AccessDeniedException"))
    });
    let tags = store.subscribers.tags(1, now).await.expect("it reads");
    assert_eq!(tags.subscribers, BTreeMap::from([("news".to_owned(), 1)]));
}

#[tokio::test]
async fn the_most_frequent_of_thousands_of_tags_are_shown() {
    let (client, registry) = (database().await, Registry::new());
    let store = process(&client);
    let now = at("2026-11-26T12:00:00Z");
    for n in 0..20 {
        let own: Vec<String> = (0..20).map(|i| format!("own-{n}-{i}")).collect();
        let mut tags: Vec<&str> = own.iter().map(String::as_str).collect();
        tags.push("zz-everyone");
        let one = registry.registration(n, &tags);
        store
            .subscribers
            .subscribe(&one, now)
            .await
            .expect("it is stored");
    }
    let tags = store.subscribers.tags(20, now).await.expect("it reads");
    assert_eq!(tags.subscribers.len(), MOST_TAGS);
    assert_eq!(tags.subscribers["zz-everyone"], 20);
    assert!(!tags.exact, "there are more");
}

/// Stores `n` subscribers. Nine in ten have the tag `news`, and three of these nine also have `beta`.
async fn tag_most(store: &Store, n: usize, now: Timestamp) {
    let registry = Registry::new();
    let all: Vec<usize> = (0..n).collect();
    for some in all.chunks(MAX_AT_ONCE) {
        let tags = |n: &usize| match n % 10 {
            0..6 => &["news"][..],
            6..9 => &["news", "beta"],
            _ => &[],
        };
        let some: Vec<_> = some
            .iter()
            .map(|n| registry.registration(*n, tags(n)))
            .collect();
        let stored = store.subscribers.subscribe_all(&some, now).await;
        assert_eq!(stored.expect("it is stored"), some.len());
    }
}

/// The random numbers are fixed, and so are the key ranges that are read and the subscribers found in them.
#[tokio::test]
async fn a_large_audience_is_estimated_from_a_bounded_sample() {
    const ALL: usize = 20_000;
    let client = database().await;
    let now = at("2026-11-26T12:00:00Z");
    tag_most(&process(&client), ALL, now).await;
    let most = i64::try_from(MOST_ROWS).unwrap();
    // With a sample of this size a share is off by 4 standard deviations once in 16 000 times.
    let near = |found: u64, share: f64| {
        let off = found as f64 / ALL as f64 - share;
        let deviation = (share * (1.0 - share) / MOST_ROWS as f64).sqrt();
        assert!(off.abs() < 4.0 * deviation + 1e-4, "{found}: {off}");
    };
    for draw in 0..6 {
        let (client, seen) = with_faults(&client, 1, |_| None);
        let chance = Chance::from_fn(move || draw);
        let store = Store::new(client, embedded::tables(), chance);
        for (audience, share) in [("news", 0.9), ("news && !beta", 0.6), ("beta", 0.3)] {
            let audience: Audience = audience.parse().expect("an audience");
            let before = read_by(&seen).len();
            let estimate = store
                .subscribers
                .estimate(&audience)
                .await
                .expect("it reads");
            assert!(!estimate.exact);
            near(estimate.subscribers, share);
            let limits = read_by(&seen).split_off(before);
            // Each request may read what its predecessors left of the limit.
            assert_eq!(limits[0], most);
            assert!(limits.is_sorted_by(|a, b| a > b), "{limits:?}");
            assert!(limits.len() <= 4, "{limits:?}");
        }
    }
    let (store, seen) = watched(&client, |_| None);
    let tags = store
        .subscribers
        .tags(ALL as u64, now)
        .await
        .expect("it reads");
    assert!(!tags.exact);
    near(tags.subscribers["news"], 0.9);
    near(tags.subscribers["beta"], 0.3);
    assert_eq!(read_by(&seen)[0], most);
    let everyone = store.subscribers.estimate(&Audience::EVERYONE).await;
    let everyone = everyone.expect("it reads");
    assert_eq!((everyone.subscribers, everyone.exact), (ALL as u64, true));
}

// ---- over HTTP ----

#[tokio::test]
async fn the_server_s_statistics_match_its_subscribers() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let stats = async || {
        let answer = server.get_with_token("/push/stats").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json
    };
    let none = json!({"fcm": 0, "mozilla": 0, "apple": 0, "wns": 0, "other": 0});
    let empty = json!({"count": 0, "services": none, "tags": {}, "tags_exact": true, "days": []});
    // A request before the first subscription would keep the empty tags for a minute.
    let gone = service.subscribe(None);
    for n in 0..5 {
        let browser = if n == 0 {
            &gone
        } else {
            &service.subscribe(None)
        };
        let tags = if n < 2 { json!(["news"]) } else { json!([]) };
        let subscription = browser.to_json_with(json!({"tags": tags}));
        server.post("/push/subscribe", &subscription).await;
    }
    let endpoint = json!({"endpoint": gone.endpoint()});
    server.post("/push/unsubscribe", &endpoint).await;
    let today = date(pushcast::clock::Clock::system().now());
    let shown = stats().await;
    let mut expected = empty;
    expected["count"] = json!(4);
    expected["services"]["other"] = json!(4);
    expected["tags"]["news"] = json!(1);
    expected["days"] = json!([{"date": today, "count": 4, "new": 5, "gone": 1}]);
    if shown["days"][0]["date"] == json!(today) {
        assert_eq!(shown["days"].as_array().map(Vec::len), Some(1));
        assert_eq!(shown, expected);
    } else {
        // Midnight passed during the test.
        let yesterday = today.checked_sub(1.day()).unwrap();
        assert_eq!(shown["days"][0]["date"], json!(yesterday));
    }

    for (audience, subscribers) in [("all", 4), ("news", 1), (" !news ", 3)] {
        let answer = server
            .post_with_token("/push/audience", &json!({"audience": audience}))
            .await;
        assert_eq!(
            answer.json,
            json!({"subscribers": subscribers, "exact": true})
        );
    }
}

#[tokio::test]
async fn a_wrong_audience_is_refused_with_the_error_s_position() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    for (audience, says) in [
        (json!("news && ("), "at character 10"),
        (json!("news beta"), "at character 6"),
        (json!("!all"), "matches nobody"),
        (json!(""), "at character 1"),
        (json!(7), "must be a string"),
        (Value::Null, "is required"),
    ] {
        let body = json!({"audience": audience});
        let answer = server.post_with_token("/push/audience", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert_eq!(answer.json["field"], "audience");
        let detail = answer.json["detail"].as_str().expect("text");
        assert!(detail.contains(says), "{detail}");
    }
}
