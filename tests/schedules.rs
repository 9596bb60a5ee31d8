use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use pushcast::clock::Clock;
use pushcast::json::Members;
use pushcast::schedule::local::{Fired, Firing};
use pushcast::schedule::{LocalSchedules, Schedule, Schedules as _, Stored};
use pushcast::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::program::{Answer, Server, program};
use crate::support::push_service::PushService;
use crate::support::random::impatient;
use crate::support::table::rows;

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn json(name: &str, expression: &str, zone: &str) -> Value {
    json!({
        "name": name, "expression": expression, "timezone": zone,
        "message": {"to": {"audience": "news && !beta"}, "data": {"n": 1}, "ttl": 60},
    })
}

fn schedule(name: &str, expression: &str, zone: &str) -> Schedule {
    let json = json(name, expression, zone);
    Schedule::read(Members::of(&json).expect("an object")).expect("it is good")
}

/// Schedules in a database file, so that one server can die and another take over, and a record of the firings.
struct Scene {
    folder: TempDir,
    schedules: LocalSchedules,
    firing: Firing,
    fired: Mutex<Vec<Fired>>,
    /// How often each schedule still fails to fire.
    failures: Mutex<HashMap<String, u32>>,
}

impl Scene {
    async fn open() -> Self {
        let folder = TempDir::new().expect("a folder");
        let schedules = Self::schedules(&folder).await;
        Self {
            firing: schedules.firing(),
            schedules,
            folder,
            fired: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    async fn schedules(folder: &TempDir) -> LocalSchedules {
        let file = folder.path().join("pushcast.db");
        let store = Store::open(Some(&file), impatient()).await;
        LocalSchedules::new(store.expect("it opens"))
    }

    /// Another server takes over the same data.
    async fn restart(&mut self) {
        self.schedules = Self::schedules(&self.folder).await;
        self.firing = self.schedules.firing();
    }

    async fn create(&self, name: &str, expression: &str, zone: &str, now: &str) {
        let schedule = schedule(name, expression, zone);
        let created = self.schedules.create(&schedule, time(now)).await;
        created.expect("it is kept");
    }

    /// Fires what is due at `now`. Returns the firings and the next time.
    async fn fire(&mut self, now: &str) -> (Vec<(String, String)>, Option<String>) {
        let fire = async |fired: Fired| {
            let mut failures = self.failures.lock().unwrap();
            let left = failures.entry(fired.schedule.clone()).or_default();
            if *left > 0 {
                *left -= 1;
                return Err("the queue is away");
            }
            drop(failures);
            self.fired.lock().unwrap().push(fired);
            Ok(())
        };
        let next = self.firing.fire_due(time(now), &fire).await;
        let fired = std::mem::take(&mut *self.fired.lock().unwrap());
        let fired = fired.into_iter().map(|fired| {
            assert_eq!(fired.message["to"]["audience"], "news && !beta");
            (fired.schedule, fired.scheduled_time.to_string())
        });
        let mut fired: Vec<_> = fired.collect();
        fired.sort();
        (fired, next.expect("it reads").map(|it| it.to_string()))
    }

    fn fail(&self, name: &str, times: u32) {
        self.failures.lock().unwrap().insert(name.to_owned(), times);
    }

    async fn next(&self, name: &str) -> Option<String> {
        let listed = self.schedules.list(Timestamp::UNIX_EPOCH).await;
        let mut listed = listed.expect("it lists").into_iter();
        let found = listed.find(|it| it.name == name);
        found.and_then(|it| it.next).map(|next| next.to_string())
    }
}

fn at(firings: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, at): &(&str, &str)| ((*name).to_owned(), (*at).to_owned());
    firings.iter().map(owned).collect()
}

fn some(time: &str) -> Option<String> {
    Some(time.to_owned())
}

#[tokio::test]
async fn a_schedule_fires_at_its_time_and_not_before() {
    let mut scene = Scene::open().await;
    scene
        .create(
            "daily",
            "cron(0 9 * * ? *)",
            "Europe/Berlin",
            "2026-06-01T12:00:00Z",
        )
        .await;
    scene
        .create(
            "often",
            "rate(90 minutes)",
            "UTC",
            "2026-06-01T12:00:00.750Z",
        )
        .await;
    scene
        .create(
            "once",
            "at(2026-06-02T08:00:00)",
            "America/New_York",
            "2026-06-01T12:00:00Z",
        )
        .await;

    let (fired, next) = scene.fire("2026-06-01T13:29:59Z").await;
    assert_eq!((fired, next), (vec![], some("2026-06-01T13:30:00Z")));
    let (fired, next) = scene.fire("2026-06-01T13:30:00.020Z").await;
    assert_eq!(fired, at(&[("often", "2026-06-01T13:30:00Z")]));
    assert_eq!(next, some("2026-06-01T15:00:00Z"));
    // The same minute again: the firing is recorded, so it does not repeat.
    let (fired, _) = scene.fire("2026-06-01T13:30:01Z").await;
    assert_eq!(fired, []);

    let (fired, next) = scene.fire("2026-06-02T12:00:00Z").await;
    assert_eq!(
        fired,
        at(&[
            ("daily", "2026-06-02T07:00:00Z"),
            ("often", "2026-06-02T12:00:00Z"),
            ("once", "2026-06-02T12:00:00Z"),
        ])
    );
    assert_eq!(next, some("2026-06-02T13:30:00Z"));
    // A one-time schedule is deleted after its firing.
    assert_eq!(
        scene
            .schedules
            .list(time("2026-06-02T12:00:00Z"))
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(scene.next("daily").await, some("2026-06-03T07:00:00Z"));
}

#[tokio::test]
async fn missed_firings_are_made_up_once_for_the_latest_time() {
    let mut scene = Scene::open().await;
    scene
        .create(
            "minutely",
            "cron(* * * * ? *)",
            "UTC",
            "2026-01-01T00:00:00Z",
        )
        .await;
    scene
        .create(
            "weekly",
            "cron(0 9 ? * MON *)",
            "UTC",
            "2026-01-01T00:00:00Z",
        )
        .await;
    scene
        .create("rate", "rate(7 minutes)", "UTC", "2026-01-01T00:00:00Z")
        .await;
    scene
        .create(
            "later",
            "at(2027-01-01T00:00:00)",
            "UTC",
            "2026-01-01T00:00:00Z",
        )
        .await;
    scene
        .create(
            "last",
            "cron(0 0 1 2 ? 2026)",
            "UTC",
            "2026-01-01T00:00:00Z",
        )
        .await;
    scene.restart().await;
    let (fired, next) = scene.fire("2026-11-25T10:20:30Z").await;
    assert_eq!(
        fired,
        at(&[
            ("last", "2026-02-01T00:00:00Z"),
            ("minutely", "2026-11-25T10:20:00Z"),
            // 328 days, 10 hours and 20 minutes are 67 562 times seven minutes, and six minutes.
            ("rate", "2026-11-25T10:14:00Z"),
            ("weekly", "2026-11-23T09:00:00Z"),
        ])
    );
    assert_eq!(next, some("2026-11-25T10:21:00Z"));
    assert_eq!(scene.next("weekly").await, some("2026-11-30T09:00:00Z"));
    assert_eq!(scene.next("last").await, None);
    let (fired, _) = scene.fire("2026-11-25T10:20:31Z").await;
    assert_eq!(fired, []);
    scene.restart().await;
    let (fired, _) = scene.fire("2026-11-25T10:20:32Z").await;
    assert_eq!(fired, [], "it is recorded for every server to come");
}

#[tokio::test]
async fn a_failed_firing_is_retried_with_growing_delay_and_delays_no_other_schedule() {
    let mut scene = Scene::open().await;
    for name in ["broken", "whole"] {
        scene
            .create(name, "cron(0 9 * * ? *)", "UTC", "2026-06-01T00:00:00Z")
            .await;
    }
    scene
        .create(
            "once",
            "at(2026-06-01T09:00:00)",
            "UTC",
            "2026-06-01T00:00:00Z",
        )
        .await;
    scene.fail("broken", 3);
    scene.fail("once", 1);
    let whole = [("whole", "2026-06-01T09:00:00Z")];
    let (fired, next) = scene.fire("2026-06-01T09:00:00Z").await;
    assert_eq!((fired, next), (at(&whole), some("2026-06-01T09:00:01Z")));
    assert_eq!(scene.fire("2026-06-01T09:00:00.500Z").await.0, []);
    let (fired, next) = scene.fire("2026-06-01T09:00:01Z").await;
    assert_eq!(fired, at(&[("once", "2026-06-01T09:00:00Z")]));
    assert_eq!(next, some("2026-06-01T09:00:03Z"));
    let (fired, next) = scene.fire("2026-06-01T09:00:03Z").await;
    assert_eq!((fired, next), (vec![], some("2026-06-01T09:00:07Z")));
    assert_eq!(scene.next("broken").await, some("2026-06-01T09:00:00Z"));
    let (fired, next) = scene.fire("2026-06-01T09:00:07Z").await;
    assert_eq!(fired, at(&[("broken", "2026-06-01T09:00:00Z")]));
    assert_eq!(next, some("2026-06-02T09:00:00Z"));
}

#[tokio::test]
async fn a_schedule_that_keeps_failing_is_retried_every_five_minutes() {
    let mut scene = Scene::open().await;
    scene
        .create(
            "broken",
            "at(2026-06-01T09:00:00)",
            "UTC",
            "2026-06-01T00:00:00Z",
        )
        .await;
    scene.fail("broken", 40);
    let mut now = time("2026-06-01T09:00:00Z");
    let mut waits = Vec::new();
    loop {
        let (fired, next) = scene.fire(&now.to_string()).await;
        let Some(next) = next else {
            assert_eq!(fired, at(&[("broken", "2026-06-01T09:00:00Z")]));
            break;
        };
        waits.push(time(&next).duration_since(now).as_secs());
        now = time(&next);
    }
    assert_eq!(waits.len(), 40);
    assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert!(waits[10..].iter().all(|wait| *wait == 300));
}

#[tokio::test]
async fn a_schedule_that_replaces_a_failing_one_is_not_delayed() {
    let mut scene = Scene::open().await;
    let daily = "cron(0 9 * * ? *)";
    scene
        .create("it", daily, "UTC", "2026-06-01T00:00:00Z")
        .await;
    scene.fail("it", 9);
    let mut now = "2026-06-01T09:00:00Z".to_owned();
    for _ in 0..9 {
        let (fired, next) = scene.fire(&now).await;
        assert_eq!(fired, []);
        now = next.expect("it is tried again");
    }
    assert_eq!(now, "2026-06-01T09:08:31Z");
    let again = "at(2026-06-01T09:05:00)";
    scene
        .create("it", again, "UTC", "2026-06-01T09:04:16Z")
        .await;
    let (fired, _) = scene.fire("2026-06-01T09:05:00Z").await;
    assert_eq!(fired, at(&[("it", "2026-06-01T09:05:00Z")]));
}

#[tokio::test]
async fn a_firing_that_was_not_recorded_is_repeated_with_the_same_time() {
    let mut scene = Scene::open().await;
    scene
        .create("daily", "cron(0 9 * * ? *)", "UTC", "2026-06-01T00:00:00Z")
        .await;
    // The server dies after it has fired the schedule and before it records that.
    let dies = async |_: Fired| -> Result<(), String> { std::future::pending().await };
    {
        let mut firing = scene.schedules.firing();
        let dying = firing.fire_due(time("2026-06-01T09:00:00Z"), &dies);
        tokio::select! {
            biased;
            _ = dying => panic!("it never ends"),
            () = async { for _ in 0..1000 { tokio::task::yield_now().await; } } => {}
        }
    }
    scene.restart().await;
    let same = at(&[("daily", "2026-06-01T09:00:00Z")]);
    assert_eq!(scene.fire("2026-06-01T09:00:20Z").await.0, same);
    assert_eq!(scene.fire("2026-06-01T09:00:21Z").await.0, []);
}

#[tokio::test]
async fn a_schedule_that_is_replaced_while_it_fires_keeps_its_new_time() {
    let scene = Scene::open().await;
    scene
        .create("it", "cron(0 9 * * ? *)", "UTC", "2026-06-01T00:00:00Z")
        .await;
    scene
        .create(
            "at",
            "at(2026-06-01T09:00:00)",
            "UTC",
            "2026-06-01T00:00:00Z",
        )
        .await;
    scene
        .create("gone", "cron(0 9 * * ? *)", "UTC", "2026-06-01T00:00:00Z")
        .await;
    let replaces = async |fired: Fired| -> Result<(), String> {
        let name = fired.schedule.as_str();
        if name == "gone" {
            assert!(scene.schedules.delete(name).await.expect("it is deleted"));
            return Ok(());
        }
        let same = match name {
            "at" => "at(2026-06-01T09:00:00)",
            _ => "cron(0 9 * * ? *)",
        };
        // The new schedule is for the same time, but it is another schedule.
        scene
            .create(name, same, "UTC", "2026-06-01T08:59:59Z")
            .await;
        Ok(())
    };
    let mut firing = scene.schedules.firing();
    let fired = firing
        .fire_due(time("2026-06-01T09:00:00Z"), &replaces)
        .await;
    fired.expect("it reads");
    assert_eq!(scene.next("it").await, some("2026-06-01T09:00:00Z"));
    assert_eq!(scene.next("at").await, some("2026-06-01T09:00:00Z"));
    let left = scene.schedules.list(Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn the_server_wakes_for_a_schedule_that_is_created_while_it_sleeps() {
    let scene = Scene::open().await;
    let (seen, mut fired) = tokio::sync::mpsc::unbounded_channel();
    let fire = move |it: Fired| {
        let seen = seen.clone();
        async move { seen.send(it).map_err(|error| error.to_string()) }
    };
    // The server's clock stays just before nine until the schedule exists.
    let now = Arc::new(Mutex::new(time("2026-06-01T08:59:59Z")));
    let clock = Arc::clone(&now);
    let clock = Clock::from_fn(move || *clock.lock().unwrap());
    let server = tokio::spawn(scene.schedules.firing().run(clock, fire));
    scene
        .create("it", "cron(0 9 * * ? *)", "UTC", "2026-06-01T08:59:59Z")
        .await;
    *now.lock().unwrap() = time("2026-06-01T09:00:00Z");
    let first = fired.recv().await.expect("it is fired");
    assert_eq!(first.schedule, "it");
    assert_eq!(first.scheduled_time, time("2026-06-01T09:00:00Z"));
    assert_eq!(first.message["data"], json!({"n": 1}));
    server.abort();
}

#[tokio::test]
async fn a_long_list_of_schedules_is_complete_and_sorted_by_name() {
    let scene = Scene::open().await;
    let name = |n: usize| format!("schedule-{n:03}");
    for n in (0..250).rev() {
        scene
            .create(&name(n), "rate(1 day)", "UTC", "2026-06-01T00:00:00Z")
            .await;
    }
    let listed = scene.schedules.list(Timestamp::UNIX_EPOCH).await.unwrap();
    let names: Vec<String> = listed.into_iter().map(|it| it.name).collect();
    assert_eq!(names, (0..250).map(name).collect::<Vec<_>>());
    let again = schedule("schedule-000", "rate(2 days)", "UTC");
    let replaced = scene
        .schedules
        .create(&again, time("2026-06-01T00:00:00Z"))
        .await;
    assert_eq!(replaced.unwrap(), Stored::Replaced);
    assert_eq!(
        scene.next("schedule-000").await,
        some("2026-06-03T00:00:00Z")
    );
}

async fn ask(server: &Server, method: Method, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", server.token());
    let headers = [("authorization", &bearer[..])];
    server
        .request(method, path, &headers, body.to_string())
        .await
}

#[tokio::test]
async fn schedules_survive_a_kill() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    let weekdays = json("weekdays", "cron(0 9 ? * MON-FRI *)", "Europe/Berlin");
    let created = ask(&server, Method::POST, "/push/schedules", &weekdays).await;
    assert_eq!(created.status, 201, "{created:?}");
    for (name, value) in weekdays.as_object().expect("an object") {
        assert_eq!(&created.json[name], value);
    }
    let next: Timestamp = created.json["next"].as_str().unwrap().parse().unwrap();
    let nine = next.to_zoned(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
    assert_eq!((nine.hour(), nine.minute()), (9, 0));
    server.kill().await;
    server.restart().await;
    let listed = ask(&server, Method::GET, "/push/schedules", &Value::Null).await;
    assert_eq!(listed.json["schedules"], json!([created.json]));
    let path = "/push/schedules/weekdays";
    let deleted = ask(&server, Method::DELETE, path, &Value::Null).await;
    assert_eq!(deleted.status, 204);
    let again = ask(&server, Method::DELETE, path, &Value::Null).await;
    assert_eq!(again.json["type"], "urn:pushcast:no-such-schedule");
    let listed = ask(&server, Method::GET, "/push/schedules", &Value::Null).await;
    assert_eq!(listed.json, json!({"schedules": []}));
}

#[tokio::test]
async fn a_schedule_reaches_its_audience_at_its_time() {
    let service = PushService::start().await;
    let mut server = Server::start(&service).await;
    let (for_her, not_for_him) = (service.subscribe(None), service.subscribe(None));
    for (browser, tags) in [(&for_her, json!(["news"])), (&not_for_him, json!(["beta"]))] {
        let body = browser.to_json_with(json!({"tags": tags}));
        let subscribed = server.post("/push/subscribe", &body).await;
        assert_eq!(subscribed.status, 200, "{subscribed:?}");
    }
    // The time passes while the server is down.
    let clock = Clock::system();
    let soon = clock.now().checked_add(Duration::from_secs(8));
    let soon = soon.expect("a time");
    let at = soon.strftime("at(%Y-%m-%dT%H:%M:%S)").to_string();
    let once = json("once", &at, "UTC");
    let created = ask(&server, Method::POST, "/push/schedules", &once).await;
    assert_eq!(created.status, 201, "{created:?}");
    server.kill().await;
    while clock.now() <= soon {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.restart().await;
    let patience = Duration::from_secs(60);
    let deliveries = service.wait_for(1, patience).await;
    assert_eq!(deliveries[0].json(), json!({"n": 1}));
    assert_eq!(deliveries[0].ttl, 60);
    assert_eq!(service.deliveries_to(&for_her).len(), 1);
    service.wait_until_idle(patience).await;
    // The server records a firing a moment after it.
    loop {
        let listed = ask(&server, Method::GET, "/push/schedules", &Value::Null).await;
        if listed.json == json!({"schedules": []}) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let campaigns = ask(&server, Method::GET, "/push/campaigns", &Value::Null).await;
    let campaigns = campaigns.json["campaigns"].as_array().expect("a list");
    let ids: Vec<&str> = campaigns
        .iter()
        .filter_map(|it| it["id"].as_str())
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let time = created.json["next"].as_str().expect("a time");
    assert!(ids[0].starts_with(&format!("once.{time}.")), "{ids:?}");
    assert_eq!(service.deliveries().len(), 1, "and nobody else");
}

/// Path, body, the member that the error names, and its message.
const WRONG_SCHEDULES: &str = r#"
/name | null | name | is required
/name | "a/b" | name | must be 1 to 64 characters of A-Z, a-z, 0-9, _ . and -
/expression | null | expression | is required
/expression | "daily" | expression | must be at(
/expression | "cron(0 24 * * ? *)" | expression | has `24` in its hours: must be 0 to 23
/expression | "at(2020-01-01T00:00:00)" | expression | has no future time in the time zone UTC
/expression | "cron(0 0 30 2 ? *)" | expression | has no future time in the time zone UTC
/timezone | "Mars/Olympus" | timezone | must be an IANA time zone such as Europe/Berlin
/timezone | "Etc/Unknown" | timezone | must be an IANA time zone such as Europe/Berlin
/timezone | 1 | timezone | must be a string
/message | null | message | is required
/message | "hello" | message | must be an object
/message | {"data": "x"} | message.to | is required
/message/to | {"user": "ada"} | message.to | must hold an audience, and no endpoint or user
/message/to | {"audience": "all", "endpoint": "x"} | message.to | must hold an audience
/message/to | {} | message.to.audience | is required
/message/to/audience | "news && )" | message.to.audience | at character 9: expected a tag, `!` or `(`, found `)`
/message/data | null | message.notification | is required, or data
/message/ttl | -1 | message.ttl | must be a whole number of seconds
/message/id | "i" | message.id | must be left out: each firing is a campaign of its own
"#;

#[tokio::test]
async fn a_wrong_schedule_is_refused_with_the_member_s_name() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let good = json("it", "rate(5 minutes)", "UTC");
    let notification = json!({"to": {"audience": "all"}, "notification": {"title": ""}});
    let long = [
        (
            "/name",
            json!("n".repeat(65)),
            "name",
            "must be 1 to 64 characters",
        ),
        (
            "/message/data",
            json!("x".repeat(4000)),
            "message.data",
            "7 more than the 3993 that push services take",
        ),
        ("/message", notification, "message.notification.title", ""),
    ];
    let short = rows(WRONG_SCHEDULES)
        .into_iter()
        .map(|[at, wrong, field, detail]| {
            let wrong: Value = serde_json::from_str(wrong).expect("JSON");
            (at, wrong, field, detail)
        });
    for (at, wrong, field, detail) in short.chain(long) {
        let mut schedule = good.clone();
        let (parent, member) = at.rsplit_once('/').expect("a pointer");
        schedule.pointer_mut(parent).expect("its parent")[member] = wrong;
        let answer = ask(&server, Method::POST, "/push/schedules", &schedule).await;
        assert_eq!(answer.status, 400, "{schedule}: {answer:?}");
        assert_eq!(answer.json["field"], field, "{schedule}: {answer:?}");
        let said = answer.json["detail"].as_str().expect("a detail");
        assert!(said.contains(detail), "{said}");
    }
    let listed = ask(&server, Method::GET, "/push/schedules", &Value::Null).await;
    assert_eq!(listed.json, json!({"schedules": []}), "nothing was kept");
    for name in ["it", "a b", "%F0%9F%92%A5"] {
        let path = format!("/push/schedules/{}", name.replace(' ', "%20"));
        let deleted = ask(&server, Method::DELETE, &path, &Value::Null).await;
        assert_eq!(deleted.status, 404, "{name}");
    }
}

/// Runs `pushcast schedules`. Returns exit code, standard output and standard error.
async fn run(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = server.command(&[&["schedules"], arguments].concat());
    let output = command
        .env("PUSHCAST_URL", &server.url)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn the_program_lists_creates_and_deletes_schedules() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let run = async |arguments: &[&str]| run(&server, arguments).await;
    let listed = run(&["list"]).await;
    assert_eq!(
        listed,
        (
            Some(0),
            String::new(),
            "there are no schedules\n".to_owned()
        )
    );

    let message = r#"{"to": {"audience": "all"}, "data": "good morning"}"#;
    let expression = "cron(0 9 ? * MON-FRI *)";
    let created = run(&[
        "create",
        "weekdays",
        expression,
        message,
        "--timezone",
        "Europe/Berlin",
    ])
    .await;
    assert_eq!(created.0, Some(0), "{created:?}");
    for said in ["weekdays", expression, "Europe/Berlin", "next 2"] {
        assert!(created.1.contains(said), "{created:?}");
    }
    let file = server.data().join("message.json");
    std::fs::write(&file, message).unwrap();
    let file = file.display().to_string();
    let created = run(&["create", "refresh", "rate(6 hours)", &file, "--json"]).await;
    let created: Value = serde_json::from_str(&created.1).expect("JSON");
    assert_eq!(created["timezone"], "UTC");
    assert_eq!(created["message"]["data"], "good morning");

    let listed = run(&["list"]).await.1;
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|it| it.split_whitespace().next())
        .collect();
    assert_eq!(names, ["refresh", "weekdays"]);
    let listed = run(&["list", "--json"]).await.1;
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).expect("JSON");
    assert_eq!(first, created);
}

#[tokio::test]
async fn the_program_explains_a_wrong_schedule_and_deletes_only_the_named_one() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let run = async |arguments: &[&str]| run(&server, arguments).await;
    let message = r#"{"to": {"audience": "all"}, "data": "good morning"}"#;
    let created = run(&["create", "refresh", "rate(6 hours)", message]).await;
    assert_eq!(created.0, Some(0), "{created:?}");
    let wrong = run(&["create", "it", "rate(5)", message]).await;
    assert_eq!(wrong.0, Some(1));
    assert!(
        wrong.2.contains("expression holds `5` in rate(..)"),
        "{wrong:?}"
    );
    assert!(wrong.2.contains("400"), "{wrong:?}");
    let deleted = run(&["delete", "refresh"]).await;
    assert_eq!(
        (deleted.0, deleted.2.as_str()),
        (Some(0), "refresh is deleted\n")
    );
    let unknown = run(&["delete", "../key"]).await;
    assert_eq!(unknown.0, Some(1));
    assert!(
        unknown.2.contains("There is no schedule with this name"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_client_command_says_what_is_missing() {
    let run = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = program(&[&["schedules", "list"], arguments].concat());
        let output = command
            .envs(environment.iter().copied())
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    let token = ("PUSHCAST_TOKEN", "a-token-that-is-long-enough");
    let said = run(&["--data", "/nowhere"], &[]).await;
    assert!(said.contains("there is no API token"), "{said}");
    // Nothing listens on port 1.
    let said = run(&[], &[token, ("PUSHCAST_URL", "http://127.0.0.1:1/stage")]).await;
    assert!(
        said.contains("http://127.0.0.1:1/stage cannot be reached"),
        "{said}"
    );
    let said = run(&["--url", "ftp://a.example"], &[token]).await;
    assert!(
        said.contains("must begin with http:// or https://"),
        "{said}"
    );

    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let said = run(&["--url", &server.url], &[token]).await;
    assert!(said.contains("The API token is missing or wrong"), "{said}");
    assert!(said.contains("401") && !said.contains(token.1), "{said}");
    // The data folder's token is only for the server on this machine.
    let data = server.data().display().to_string();
    let said = run(&["--url", "https://push.example.org", "--data", &data], &[]).await;
    assert!(
        said.contains("there is no API token for https://push.example.org"),
        "{said}"
    );
}
