use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::chromium::{Chromium, Target};
use crate::support::program::Server;
use crate::support::push_service::PushService;

/// Both widths and both colours in which everything is looked at.
const LOOKS: [(u32, bool); 4] = [(1440, false), (1440, true), (390, false), (390, true)];

/// Where screenshots go: the README's are made by `tests/screenshots`.
fn pictures() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("target/screenshots")
}

/// Takes a picture of the page in every look, and has axe judge it there.
async fn judge(tab: &Target<'_>, name: &str) {
    for (width, dark) in LOOKS {
        tab.look(width, dark).await;
        let colour = if dark { "dark" } else { "light" };
        let file = pictures().join(format!("{name}-{width}-{colour}.png"));
        tab.screenshot(&file, true).await;
        assert_eq!(tab.axe().await, json!([]), "{name}, {width} px, {colour}");
        let wide = "document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(
            tab.run(wide).await,
            true,
            "{name} scrolls sideways at {width} px"
        );
    }
    tab.look(1440, false).await;
}

// ---- the service worker ----

/// The notifications of the page's worker.
const SHOWN: &str = "navigator.serviceWorker.getRegistration('/').then((it) => it.getNotifications()) \
    .then((all) => all.map(({title, body, icon, tag, data, actions, requireInteraction}) => \
        ({title, body, icon, tag, data, requireInteraction, actions: actions.map(({action, title}) => ({action, title}))})))";

/// A page of `serve` with its worker, and the right to notify.
async fn with_worker<'a>(chromium: &'a Chromium, server: &Server) -> Target<'a> {
    chromium.permit_notifications(&server.url).await;
    let tab = chromium.open(&format!("{}/", server.url), "").await;
    tab.run("navigator.serviceWorker.register('/service-worker.js').then(() => navigator.serviceWorker.ready).then(() => null)")
        .await;
    tab
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_worker_shows_every_form_of_push() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let tab = with_worker(&chromium, &server).await;
    let host = server.url.trim_start_matches("http://");
    let generic = (host, "There is something new.");
    let declarative = json!({"web_push": 8030, "notification": {
        "title": "Declared", "body": "In full", "navigate": "https://www.example.org/a", "tag": "t",
        "requireInteraction": true, "data": {"mine": 1},
        "actions": [{"action": "x", "title": "Do it", "navigate": "https://www.example.org/x"}],
    }});
    let breaking = json!({"title": "Broken", "body": "all the same", "dir": "sideways", "vibrate": "no", "timestamp": {}});
    let cases = [
        (declarative.to_string(), ("Declared", "In full")),
        (
            json!({"title": "Plain", "body": "JSON", "url": "/b"}).to_string(),
            ("Plain", "JSON"),
        ),
        (
            json!({"notification": {"title": "Legacy", "body": "FCM"}}).to_string(),
            ("Legacy", "FCM"),
        ),
        (
            json!({"title": "Only a title"}).to_string(),
            ("Only a title", ""),
        ),
        ("Just words".to_owned(), (host, "Just words")),
        (json!("A JSON string").to_string(), (host, "A JSON string")),
        (json!({"unread": 3}).to_string(), generic),
        (json!([1, 2]).to_string(), generic),
        ("null".to_owned(), generic),
        (String::new(), generic),
        (breaking.to_string(), ("Broken", "all the same")),
    ];
    for (push, (title, body)) in cases {
        tab.run("navigator.serviceWorker.getRegistration('/').then((it) => it.getNotifications()).then((all) => { for (const it of all) it.close(); return null; })")
            .await;
        tab.wait_for(&format!("{SHOWN}.then((all) => all.length === 0)"))
            .await;
        chromium.push(&tab, &server.url, &push).await;
        tab.wait_for(&format!("{SHOWN}.then((all) => all.length === 1)"))
            .await;
        let shown = tab.run(SHOWN).await[0].clone();
        assert_eq!(
            (&shown["title"], &shown["body"]),
            (&json!(title), &json!(body)),
            "{push}"
        );
        if push.contains("8030") {
            assert_eq!(shown["tag"], "t");
            assert_eq!(shown["requireInteraction"], true);
            assert_eq!(shown["data"]["data"], json!({"mine": 1}));
            assert_eq!(shown["actions"], json!([{"action": "x", "title": "Do it"}]));
        }
    }
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_worker_opens_what_a_click_or_an_action_means_and_sets_the_badge() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let tab = with_worker(&chromium, &server).await;
    let worker = chromium.worker(&server.url).await;
    // Only a real click may open a window, so what it would open is written down. Firefox's tests click for real.
    worker
        .inject("self.opened = []; self.badges = []; clients.openWindow = async (url) => { opened.push(url); }; navigator.setAppBadge = async (n) => { badges.push(n); };")
        .await;
    let push = json!({"web_push": 8030, "app_badge": 7, "notification": {
        "title": "Click", "navigate": "https://www.example.org/a",
        "actions": [{"action": "x", "title": "Do it", "navigate": "https://www.example.org/x"}],
    }});
    chromium.push(&tab, &server.url, &push.to_string()).await;
    tab.wait_for(&format!("{SHOWN}.then((all) => all.length === 1)"))
        .await;
    let click = |action: &str| {
        format!(
            "self.registration.getNotifications().then(([notification]) => {{ try {{ \
             self.dispatchEvent(new NotificationEvent('notificationclick', {{ notification, action: {} }})); }} catch {{ }} }})",
            json!(action)
        )
    };
    worker.run(&click("x")).await;
    worker.wait_for("opened.length === 1").await;
    assert_eq!(
        worker.run("opened").await,
        json!(["https://www.example.org/x"])
    );
    assert_eq!(worker.run("badges").await, json!([7]));

    for (navigate, opens) in [
        (
            json!("https://www.example.org/a"),
            "https://www.example.org/a".to_owned(),
        ),
        (json!("/relative"), format!("{}/relative", server.url)),
        (json!("javascript:alert(1)"), format!("{}/", server.url)),
    ] {
        tab.run("navigator.serviceWorker.getRegistration('/').then((it) => it.getNotifications()).then((all) => { for (const it of all) it.close(); return null; })")
            .await;
        worker.run("(opened.length = 0, null)").await;
        let push = json!({"title": "Click", "navigate": navigate});
        tab.go("about:blank").await;
        chromium.push(&tab, &server.url, &push.to_string()).await;
        worker
            .wait_for("self.registration.getNotifications().then((all) => all.length === 1)")
            .await;
        worker.run(&click("")).await;
        worker.wait_for("opened.length === 1").await;
        assert_eq!(worker.run("opened").await, json!([opens]), "{navigate}");
        tab.go(&format!("{}/", server.url)).await;
    }
}

// ---- the demo page ----

/// Chromium's own push service is out of reach: this subscription is one of the tests' push service.
fn subscribing_as(browser: &Value) -> String {
    format!(
        "{{
            const json = {browser};
            const make = (key) => ({{
                endpoint: json.endpoint,
                options: {{ applicationServerKey: Uint8Array.from(key).buffer }},
                toJSON: () => json,
                unsubscribe: async () => (localStorage.removeItem('subscribed'), true),
            }});
            PushManager.prototype.getSubscription = async () => {{
                const kept = localStorage.getItem('subscribed');
                return kept ? make(JSON.parse(kept)) : null;
            }};
            PushManager.prototype.subscribe = async ({{ applicationServerKey }}) => {{
                localStorage.setItem('subscribed', JSON.stringify([...applicationServerKey]));
                return make([...applicationServerKey]);
            }};
        }}"
    )
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_demo_page_is_used_as_a_person_would_and_axe_finds_nothing() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    chromium.permit_notifications(&server.url).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    let before = subscribing_as(&browser.to_json());
    let tab = chromium.open(&format!("{}/", server.url), &before).await;
    tab.reads("Not subscribed").await;
    judge(&tab, "demo-new").await;

    tab.click("#subscribe").await;
    tab.reads("Subscribed: the first one here.").await;
    tab.fill("#title", "Doors open at seven").await;
    tab.fill("#text", "The concert begins at eight. Bring a friend.")
        .await;
    tab.click("#send").await;
    tab.reads("Accepted by the push service (201).").await;
    let delivered = service.deliveries_to(&browser);
    let text = String::from_utf8(delivered[0].text.clone()).expect("JSON");
    chromium.push(&tab, &server.url, &text).await;
    tab.wait_for(
        "document.querySelector('#arrived strong')?.textContent === 'Doors open at seven'",
    )
    .await;
    judge(&tab, "demo").await;
    assert_eq!(chromium.complaints(), Vec::<Value>::new());
}

// ---- the console ----

/// The console with an API of canned figures, and what was asked of it.
struct Stage {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

const TOKEN: &str = "the-token-of-the-tests";

type Asked = Arc<Mutex<Vec<Value>>>;

fn campaign(id: &str, status: &str, share: f64) -> Value {
    let count = |n: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
        let n = (n * share) as i64;
        n
    };
    let counts = |all: f64, gone: f64, failed: f64, retrying: f64| {
        json!({"accepted": count(all), "gone": count(gone), "mismatched": 0, "too_large": 0, "refused": 0,
            "failed": count(failed), "retrying": if status == "done" { 0 } else { count(retrying) }})
    };
    let mut view = json!({
        "id": id, "status": status, "audience": "news && !(sports || beta)", "created_at": "2026-11-24T09:00:00Z",
        "segments": {"total": 8, "done": count(8.0)}, "subscribers": 18_420, "scanned": count(18_420.0),
        "counts": counts(17_804.0, 302.0, 92.0, 222.0),
        "services": {
            "fcm": counts(11_690.0, 204.0, 12.0, 40.0), "mozilla": counts(2_911.0, 31.0, 0.0, 0.0),
            "apple": counts(2_604.0, 48.0, 80.0, 182.0), "wns": counts(599.0, 19.0, 0.0, 0.0),
        },
    });
    if status == "done" {
        view["finished_at"] = json!("2026-11-24T09:00:41Z");
    }
    if status == "halted" {
        view["reason"] = json!(
            "fcm.googleapis.com refuses our token: 61 of 80 answers were 403. Check the VAPID key and subject."
        );
    }
    view
}

fn stats() -> Value {
    let day = |i: i64| {
        let date = jiff::civil::date(2026, 8, 27) + jiff::Span::new().days(i);
        let count = 9_000 + 210 * i - 900 * i64::from(i > 52) + (i * i * 7) % 160;
        json!({"date": date.to_string(), "count": count, "new": 190 + (i * 37) % 120, "gone": 20 + (i * 13) % 45})
    };
    json!({
        "count": 26_841,
        "services": {"fcm": 17_420, "mozilla": 4_310, "apple": 3_902, "wns": 1_201, "other": 8},
        "tags": {"news": 18_204, "offers": 9_120, "events": 6_400, "beta": 802, "team:blue": 311},
        "days": (0..90).map(day).collect::<Vec<_>>(),
    })
}

impl Stage {
    async fn start() -> Self {
        let asked = Asked::default();
        let api = Router::new()
            .route("/push/stats", get(async || Json(stats())))
            .route("/push/audience", post(estimate))
            .route("/push/send", post(send))
            .route("/push/campaigns", get(list))
            .route("/push/campaigns/{id}", get(show))
            .route(
                "/push/campaigns/{id}/cancel",
                post(async || Json(campaign("running", "cancelled", 0.7))),
            )
            .route(
                "/push/campaigns/{id}/resume",
                post(async || Json(campaign("halted", "running", 0.5))),
            )
            .route("/push/schedules", get(scheduled).post(schedule))
            .route("/push/schedules/{name}", delete(unschedule))
            .layer(from_fn(admit))
            .with_state(Arc::clone(&asked))
            .merge(pushcast::pages::console());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, api).await });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn admit(request: Request, next: Next) -> axum::response::Response {
    let bearer = format!("Bearer {TOKEN}");
    if request
        .headers()
        .get("authorization")
        .is_some_and(|it| *it == *bearer)
    {
        return next.run(request).await;
    }
    StatusCode::UNAUTHORIZED.into_response()
}

async fn estimate(Json(body): Json<Value>) -> axum::response::Response {
    match body["audience"].as_str() {
        Some("all") => Json(json!({"subscribers": 26_841, "exact": true})).into_response(),
        Some("news && !offers") => {
            Json(json!({"subscribers": 11_300, "exact": false})).into_response()
        }
        Some(_) | None => {
            let detail = "audience: a tag is expected at position 9";
            (
                StatusCode::BAD_REQUEST,
                Json(json!({"detail": detail, "field": "audience"})),
            )
                .into_response()
        }
    }
}

async fn send(State(asked): State<Asked>, Json(body): Json<Value>) -> axum::response::Response {
    asked.lock().expect("no panic").push(body);
    (StatusCode::ACCEPTED, Json(json!({"campaign": "running"}))).into_response()
}

async fn list() -> Json<Value> {
    let all = [
        campaign("running", "running", 0.62),
        campaign("halted", "halted", 0.04),
        campaign("done", "done", 1.0),
        campaign("cancelled", "cancelled", 0.4),
    ];
    Json(json!({"campaigns": all, "next": "cursor"}))
}

async fn show(Path(id): Path<String>) -> Json<Value> {
    let share = match &*id {
        "done" => 1.0,
        "halted" => 0.04,
        _ => 0.62,
    };
    Json(campaign(&id, &id, share))
}

async fn scheduled() -> Json<Value> {
    let message = |title: &str, audience: &str| json!({"to": {"audience": audience}, "notification": {"title": title, "navigate": "https://www.example.org/"}});
    Json(json!({"schedules": [
        {"name": "weekly-news", "expression": "cron(0 9 ? * MON *)", "timezone": "Europe/Paris", "message": message("This week", "news"), "next": "2026-11-30T08:00:00Z"},
        {"name": "christmas", "expression": "at(2026-12-24T18:00:00)", "timezone": "Europe/Berlin", "message": message("Merry Christmas", "all"), "next": "2026-12-24T17:00:00Z"},
    ]}))
}

async fn schedule(
    State(asked): State<Asked>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    asked.lock().expect("no panic").push(body.clone());
    (StatusCode::CREATED, Json(body))
}

async fn unschedule(State(asked): State<Asked>, Path(name): Path<String>) -> StatusCode {
    asked
        .lock()
        .expect("no panic")
        .push(json!({"deleted": name}));
    StatusCode::NO_CONTENT
}

async fn signed_in<'a>(chromium: &'a Chromium, url: &str, token: &str) -> Target<'a> {
    let tab = chromium.open(&format!("{url}/console"), "").await;
    tab.fill("#token", token).await;
    tab.click("button[type=submit]").await;
    tab.wait_for("!document.querySelector('#nav').hidden && !!document.querySelector('#view h1')")
        .await;
    tab
}

#[tokio::test]
#[ignore = "needs chromium and axe-core: tests/run"]
async fn axe_finds_nothing_in_any_view_of_the_console() {
    let (stage, chromium) = tokio::join!(Stage::start(), Chromium::start());
    let tab = chromium.open(&format!("{}/console", stage.url), "").await;
    tab.reads("API token").await;
    judge(&tab, "console-sign-in").await;
    tab.fill("#token", TOKEN).await;
    tab.click("button[type=submit]").await;

    for (hash, reads) in [
        ("#subscribers", "By push service"),
        ("#campaigns", "news && !(sports || beta)"),
        ("#campaigns/running", "What became of it"),
        ("#campaigns/halted", "refuses our token"),
        ("#schedules", "weekly-news"),
        ("#compose", "26,841"),
    ] {
        tab.run(&format!("(location.hash = {}, null)", json!(hash)))
            .await;
        tab.reads(reads).await;
        if hash == "#compose" {
            tab.fill("#compose-title", "Doors open at seven").await;
            tab.fill(
                "#compose-body",
                "The concert begins at eight. Bring a friend.",
            )
            .await;
            tab.fill("#compose-navigate", "https://www.example.org/concert")
                .await;
            tab.run("document.querySelectorAll('details').forEach((it) => { it.open = false; })")
                .await;
        }
        judge(&tab, &format!("console-{}", hash[1..].replace('/', "-"))).await;
    }
    tab.run("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        .await;
    tab.click("[name=time][value=later]").await;
    judge(&tab, "console-compose-open").await;
    assert_eq!(chromium.complaints(), Vec::<Value>::new());
}
