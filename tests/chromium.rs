use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use jiff::SignedDuration;
use pushcast::clock::{Chance, Clock};
use pushcast::store::embedded;
use serde_json::{Value, json};

use crate::stats::Registry;
use crate::support::chromium::{Chromium, Target};
use crate::support::page::{LOOKS, Page as _, forms, listen, subscribing_as};
use crate::support::program::Server;
use crate::support::push_service::PushService;

/// Where screenshots go: the README's are made by `tests/screenshots`.
fn pictures() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("target/screenshots")
}

/// Takes a picture of the page in every look, and has axe judge it there.
async fn judge(tab: &Target<'_>, name: &str) {
    for (width, dark) in LOOKS {
        tab.look(width, dark).await;
        tab.run("(scrollTo(0, 0), null)").await;
        let colour = if dark { "dark" } else { "light" };
        let file = pictures().join(format!("{name}-{width}-{colour}.png"));
        tab.screenshot(&file, true).await;
        assert_eq!(tab.axe().await, json!([]), "{name}, {width} px, {colour}");
        let wide = tab.run("document.documentElement.scrollWidth").await;
        assert_eq!(wide, width, "{name} scrolls sideways");
    }
    tab.look(1440, false).await;
}

// ---- the service worker ----

/// Writes down what Chromium has shown, opened and counted. It asks Chromium all the same: what it does not take is no
/// notification. Only a real click may open a window; Firefox's tests click for real.
const WRITTEN_DOWN: &str = "
    self.shown = [];
    self.opened = [];
    self.badges = [];
    const show = registration.showNotification.bind(registration);
    registration.showNotification = async (title, options) => {
        await show(title, options);
        shown.push({ title, ...options });
    };
    clients.openWindow = async (url) => void opened.push(url);
    navigator.setAppBadge = async (number) => void badges.push(number);
    // A click on what was shown last.
    self.click = (action) => dispatchEvent(Object.assign(new Event('notificationclick'), {
        action,
        notification: { data: shown.at(-1).data, close() {} },
        waitUntil() {},
    }));";

/// A page of `serve`, its worker, and the right to notify.
async fn with_worker<'a>(chromium: &'a Chromium, server: &Server) -> (Target<'a>, Target<'a>) {
    chromium.permit_notifications(&server.url).await;
    let tab = chromium.open(&format!("{}/", server.url), "").await;
    tab.run("navigator.serviceWorker.register('/service-worker.js').then(() => navigator.serviceWorker.ready).then(() => null)")
        .await;
    let worker = chromium.worker(&server.url).await;
    worker.inject(WRITTEN_DOWN).await;
    (tab, worker)
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_worker_shows_every_form_of_push() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let (tab, worker) = with_worker(&chromium, &server).await;
    let host = server.url.trim_start_matches("http://");
    for (n, form) in forms(host).iter().enumerate() {
        chromium.push(&tab, &server.url, &form.push).await;
        worker
            .wait_for(&format!("shown.length === {}", n + 1))
            .await;
        let shown = worker.run("shown.at(-1)").await;
        assert_eq!(shown["title"], *form.title, "{}", form.push);
        assert_eq!(shown["body"], *form.body, "{}", form.push);
        if n == 0 {
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
    let (tab, worker) = with_worker(&chromium, &server).await;
    // No page of the site is open that a click could come back to.
    tab.go("about:blank").await;
    let push = json!({"web_push": 8030, "app_badge": 7, "notification": {
        "title": "Click", "navigate": "https://www.example.org/a",
        "actions": [{"action": "x", "title": "Do it", "navigate": "https://www.example.org/x"}],
    }});
    let local = |path: &str| format!("{}{path}", server.url);
    for (push, action, opens) in [
        (push.clone(), "x", "https://www.example.org/x".to_owned()),
        (push, "", "https://www.example.org/a".to_owned()),
        (
            json!({"title": "Relative", "navigate": "/there"}),
            "",
            local("/there"),
        ),
        (
            json!({"title": "A script", "navigate": "javascript:alert(1)"}),
            "",
            local("/"),
        ),
        (json!({"title": "Nowhere"}), "", local("/")),
    ] {
        worker.run("(shown.length = opened.length = 0, null)").await;
        chromium.push(&tab, &server.url, &push.to_string()).await;
        worker.wait_for("shown.length === 1").await;
        worker
            .run(&format!("(click({}), null)", json!(action)))
            .await;
        worker.wait_for("opened.length === 1").await;
        assert_eq!(worker.run("opened").await, json!([opens]), "{push}");
    }
    assert_eq!(worker.run("badges").await, json!([7, 7]));
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_worker_renews_a_subscription_with_or_without_the_old_one_and_never_hangs() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let (_tab, worker) = with_worker(&chromium, &server).await;
    let key = server.public_key().await;
    let known: Vec<_> = (0..3).map(|_| service.subscribe(Some(&key))).collect();
    let tagged = known[0].to_json_with(json!({"tags": ["kept"]}));
    server.post("/push/subscribe", &tagged).await;
    // Chromium cannot subscribe here: it is given what it would have made. First with the old one, as the standard
    // has it; then with nothing, as browsers do.
    let change = |new: &Value, old: Value, given: bool| {
        format!(
            "(() => {{
                const json = {new};
                const made = {{ endpoint: json.endpoint, options: {{}}, toJSON: () => json }};
                registration.pushManager.getSubscription = async () => null;
                registration.pushManager.subscribe = async () => made;
                self.ended = new Promise((resolve) => dispatchEvent(Object.assign(new Event('pushsubscriptionchange'), {{
                    oldSubscription: {old},
                    newSubscription: {given} ? made : null,
                    waitUntil: resolve,
                }})));
                return null;
            }})()"
        )
    };
    let old = json!({"endpoint": known[0].endpoint()});
    for (new, old, given) in [(&known[1], old, true), (&known[2], Value::Null, false)] {
        worker.run(&change(&new.to_json(), old, given)).await;
        worker.run("ended.then(() => null)").await;
        let rows = server.exported().await;
        assert_eq!(rows.keys().collect::<Vec<_>>(), [new.endpoint()]);
        assert_eq!(rows[new.endpoint()]["tags"], json!(["kept"]));
    }

    // A browser that never answers does not hold the event up for ever.
    worker
        .run("(() => { registration.pushManager.getSubscription = () => new Promise(() => {}); \
              self.ended = new Promise((resolve) => dispatchEvent(Object.assign(new Event('pushsubscriptionchange'), { waitUntil: resolve }))); return null; })()")
        .await;
    worker.run("ended.then(() => null)").await;
}

// ---- the demo page ----

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
    let created = Clock::system().now() - SignedDuration::from_secs(17);
    let mut view = json!({
        "id": id, "status": status, "audience": "news && !(sports || beta)", "created_at": created.to_string(),
        "segments": {"total": 8, "done": count(8.0)}, "subscribers": 18_420, "scanned": count(18_420.0),
        "counts": counts(17_804.0, 302.0, 92.0, 222.0),
        "services": {
            "fcm": counts(11_690.0, 204.0, 12.0, 40.0), "mozilla": counts(2_911.0, 31.0, 0.0, 0.0),
            "apple": counts(2_604.0, 48.0, 80.0, 182.0), "wns": counts(599.0, 19.0, 0.0, 0.0),
        },
    });
    if status == "done" {
        view["finished_at"] = json!((created + SignedDuration::from_secs(41)).to_string());
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
        "count": 26_877,
        "services": {"fcm": 17_420, "mozilla": 4_310, "apple": 3_902, "wns": 1_201, "other": 8},
        "tags": {"news": 18_204, "offers": 9_120, "events": 6_400, "beta": 802, "team:blue": 311},
        "tags_exact": false,
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
        let url = listen(api).await;
        Self { url, asked }
    }

    /// What changed something, in order.
    fn sent(&self) -> Vec<Value> {
        let mut asked = self.asked.lock().expect("no panic").clone();
        asked.retain(|it| it.get("shown").is_none());
        asked
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
        Some("all") => Json(json!({"subscribers": 26_877, "exact": true})).into_response(),
        Some("news && !offers") => {
            Json(json!({"subscribers": 11_300, "exact": false})).into_response()
        }
        Some(_) | None => {
            let detail = "audience at character 10: expected a tag, `!` or `(`, found the end";
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

/// One that runs goes on with every look at it.
async fn show(State(asked): State<Asked>, Path(id): Path<String>) -> Json<Value> {
    let mut asked = asked.lock().expect("no panic");
    asked.push(json!({"shown": id}));
    let looks = asked.iter().filter(|it| it["shown"] == *id).count();
    let share = match &*id {
        "done" => 1.0,
        "halted" => 0.04,
        _ => (0.3 + 0.02 * looks as f64).min(0.9),
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
        ("#compose", "26,877"),
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

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_operator_composes_previews_sees_whom_it_reaches_sends_and_watches() {
    let (stage, chromium) = tokio::join!(Stage::start(), Chromium::start());
    let tab = chromium.open(&format!("{}/console", stage.url), "").await;
    tab.fill("#token", "not the token").await;
    tab.click("button[type=submit]").await;
    tab.reads("This is not the API token.").await;
    tab.fill("#token", TOKEN).await;
    tab.press("Enter", 13).await;
    tab.reads("By push service").await;

    tab.click("a[href='#compose']").await;
    tab.fill("#compose-title", "Doors open").await;
    tab.fill("#compose-body", "At seven").await;
    tab.fill("#compose-navigate", "https://www.example.org/")
        .await;
    tab.wait_for("document.querySelector('.bubble .title').textContent === 'Doors open'")
        .await;
    let payload = json!({"web_push": 8030, "notification": {"title": "Doors open", "navigate": "https://www.example.org/", "body": "At seven"}});
    tab.reads(&format!("{} of 3,993 bytes", payload.to_string().len()))
        .await;
    tab.fill("#compose-body", &"x".repeat(3900)).await;
    tab.wait_for("document.querySelector('#compose-submit').disabled")
        .await;
    tab.reads("bytes too many").await;
    tab.fill("#compose-body", "At seven").await;

    tab.fill("#compose-audience", "news && (").await;
    tab.reads("at character 10").await;
    tab.wait_for(
        "document.querySelector('#compose-audience').getAttribute('aria-invalid') === 'true'",
    )
    .await;
    tab.fill("#compose-audience", "news && !offers").await;
    tab.reads("11,300").await;
    tab.click("#compose-submit").await;
    tab.reads("Send to about 11,300 subscribers?").await;
    assert!(
        stage.sent().is_empty(),
        "nothing goes out before the answer"
    );
    tab.click("dialog #yes").await;

    tab.reads("What became of it").await;
    let sent = stage.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["to"], json!({"audience": "news && !offers"}));
    assert_eq!(sent[0]["notification"], payload["notification"]);
    assert!(
        sent[0]["id"].is_string(),
        "a second click is the same campaign"
    );
    // It is watched: the figures move without a touch.
    let figure = "document.querySelectorAll('.figures dd')[1].textContent";
    let before = tab.run(figure).await;
    tab.wait_for(&format!("{figure} !== {before}")).await;
    tab.click("#cancel").await;
    tab.click("dialog #yes").await;
    tab.wait_for("document.querySelector('.pill').textContent === 'cancelled'")
        .await;

    // Signed out, nothing is left.
    tab.click("#leave").await;
    tab.reads("API token").await;
    assert_eq!(
        tab.run("sessionStorage.getItem('pushcast-token')").await,
        Value::Null
    );
    let unauthorized = |it: &Value| {
        it["params"]["entry"]["text"]
            .as_str()
            .is_some_and(|it| it.contains("401") || it.contains("400"))
    };
    let complaints: Vec<_> = chromium
        .complaints()
        .into_iter()
        .filter(|it| !unauthorized(it))
        .collect();
    assert_eq!(complaints, Vec::<Value>::new());
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_operator_schedules_and_deletes_with_the_keyboard_alone() {
    let (stage, chromium) = tokio::join!(Stage::start(), Chromium::start());
    let tab = signed_in(&chromium, &stage.url, TOKEN).await;
    let until = async |condition: &str| {
        for _ in 0..60 {
            if tab.run(condition).await == true {
                return;
            }
            tab.press("Tab", 9).await;
        }
        panic!("{condition} is out of the keyboard's reach");
    };
    until("document.activeElement.hash === '#compose'").await;
    tab.press("Enter", 13).await;
    tab.reads("Preview").await;
    for (field, text) in [
        ("compose-title", "Weekly"),
        ("compose-navigate", "https://www.example.org/"),
    ] {
        until(&format!("document.activeElement.id === '{field}'")).await;
        tab.write(text).await;
    }
    until("document.activeElement.name === 'time'").await;
    tab.press("ArrowRight", 39).await;
    for (field, text) in [
        ("compose-name", "weekly"),
        ("compose-expression", "rate(7 days)"),
    ] {
        until(&format!("document.activeElement.id === '{field}'")).await;
        tab.write(text).await;
    }
    tab.press("Enter", 13).await;
    tab.reads("Schedule it?").await;
    until("document.activeElement.id === 'yes'").await;
    tab.press("Enter", 13).await;
    tab.reads("weekly-news").await;
    let sent = stage.sent();
    assert_eq!(sent[0]["name"], "weekly");
    assert_eq!(sent[0]["expression"], "rate(7 days)");
    assert_eq!(sent[0]["timezone"], "UTC");
    assert_eq!(sent[0]["message"]["to"], json!({"audience": "all"}));
    assert_eq!(sent[0]["message"]["notification"]["title"], "Weekly");

    until("document.activeElement.getAttribute('aria-label') === 'Delete christmas'").await;
    tab.press("Enter", 13).await;
    until("document.activeElement.id === 'yes'").await;
    tab.press("Enter", 13).await;
    tab.wait_for("!document.querySelector('dialog')").await;
    crate::support::remote::eventually("it is deleted", async || {
        (stage.sent().last() == Some(&json!({"deleted": "christmas"}))).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn a_campaign_is_sent_from_the_console_of_serve_and_seen_to_its_end() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let key = server.public_key().await;
    for i in 0..30 {
        let browser = service.subscribe(Some(&key));
        let tags = if i % 3 == 0 {
            json!(["news", "beta"])
        } else {
            json!(["news"])
        };
        server
            .post(
                "/push/subscribe",
                &browser.to_json_with(json!({"tags": tags})),
            )
            .await;
        if i == 1 {
            service.forget(&browser);
        }
    }
    let tab = signed_in(&chromium, &server.url, &server.token()).await;
    tab.click("a[href='#compose']").await;
    tab.fill("#compose-title", "From the console").await;
    tab.fill("#compose-navigate", "https://www.example.org/")
        .await;
    tab.fill("#compose-audience", "news && !beta").await;
    tab.wait_for("document.querySelector('.reach strong')?.textContent === '20'")
        .await;
    tab.click("#compose-submit").await;
    tab.reads("Send to 20 subscribers?").await;
    tab.click("dialog #yes").await;
    tab.wait_for("document.querySelector('.pill')?.textContent === 'done'")
        .await;
    let delivered = service.deliveries();
    assert_eq!(delivered.len(), 19);
    assert_eq!(
        delivered[0].json()["notification"]["title"],
        "From the console"
    );
    tab.reads("19").await;
    tab.click("a[href='#campaigns']").await;
    tab.reads("news && !beta").await;

    tab.click("a[href='#compose']").await;
    tab.fill("#compose-title", "Every week").await;
    tab.fill("#compose-navigate", "https://www.example.org/")
        .await;
    tab.click("[name=time][value=later]").await;
    tab.fill("#compose-name", "weekly").await;
    tab.fill("#compose-expression", "every now and then").await;
    tab.click("#compose-submit").await;
    tab.click("dialog #yes").await;
    tab.wait_for("document.activeElement.id === 'compose-expression'")
        .await;
    tab.fill("#compose-expression", "cron(0 9 ? * MON *)").await;
    tab.click("#compose-submit").await;
    tab.click("dialog #yes").await;
    tab.wait_for("document.querySelector('#view h1').textContent === 'Schedules'")
        .await;
    tab.reads("Every week").await;
    let kept = server.get_with_token("/push/schedules").await.json;
    assert_eq!(kept["schedules"][0]["name"], "weekly", "{kept}");
    tab.click("[aria-label='Delete weekly']").await;
    tab.click("dialog #yes").await;
    tab.reads("Nothing is scheduled").await;
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_console_of_serve_shows_who_is_subscribed_and_whom_an_audience_reaches() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    // Twelve came the day before yesterday, three at each push service.
    let before = Clock::system().now() - SignedDuration::from_hours(48);
    let file = server.data().join("pushcast.db");
    let database = embedded::open(Some(&file), Chance::system()).await;
    let database = database.expect("it opens beside the server");
    let registry = Registry::new();
    for n in 0..12 {
        let tags = if n < 4 {
            &["news", "beta"][..]
        } else {
            &["news"]
        };
        let one = registry.registration(n, tags);
        database.subscribe(&one, before).await.expect("stored");
    }
    // Today five come, and one of them goes.
    for n in 0..5 {
        let browser = service.subscribe(None);
        let subscription = browser.to_json_with(json!({"tags": ["offers"]}));
        server.post("/push/subscribe", &subscription).await;
        if n == 0 {
            let gone = json!({"endpoint": browser.endpoint()});
            server.post("/push/unsubscribe", &gone).await;
        }
    }
    let tab = signed_in(&chromium, &server.url, &server.token()).await;
    tab.reads("By push service").await;
    let figures =
        "[...document.querySelectorAll('.figures dd')].map((it) => it.firstChild.textContent)";
    assert_eq!(tab.run(figures).await, json!(["16", "+17", "1", "3"]));
    let bars = "[...document.querySelectorAll('.bars')].map((it) => \
        [...it.children].map((bar) => [bar.querySelector('b').textContent, bar.querySelector('span').textContent]))";
    let services = json!([
        ["Other", "4 25%"],
        ["Google (Chrome, Android)", "3 19%"],
        ["Mozilla (Firefox)", "3 19%"],
        ["Apple (Safari)", "3 19%"],
        ["Microsoft (Edge)", "3 19%"],
    ]);
    let tags = json!([["news", "12 75%"], ["beta", "4 25%"], ["offers", "4 25%"]]);
    let shown = tab.run(bars).await;
    let sorted = |of: &Value| {
        let mut all = of.as_array().expect("a list").clone();
        all.sort_by_key(Value::to_string);
        all
    };
    assert_eq!(sorted(&shown[0]), sorted(&services));
    assert_eq!(shown[1], tags);
    let growth = tab.run("document.querySelector('svg.growth').getAttribute('aria-label')");
    let growth = growth.await;
    let growth = growth.as_str().expect("text");
    assert!(growth.contains("from 12 to 16"), "{growth}");
    tab.reads("16 subscribers, 5 new, 1 gone").await;

    tab.click("a[href='#compose']").await;
    let reach = "document.querySelector('.reach').textContent";
    tab.wait_for(&format!("{reach} === 'Reaches16subscribers'"))
        .await;
    for (audience, reaches) in [
        ("news && !beta", "Reaches8subscribers"),
        ("offers || beta", "Reaches8subscribers"),
        ("news && (", "audience at character 10"),
        ("!(news || offers)", "Reaches0subscribers"),
    ] {
        tab.fill("#compose-audience", audience).await;
        tab.wait_for(&format!("{reach}.startsWith({})", json!(reaches)))
            .await;
    }
    // Tags are there to be chosen.
    tab.fill("#compose-audience", "all").await;
    tab.click("button[title='12 subscribers']").await;
    tab.wait_for(&format!("{reach} === 'Reaches12subscribers'"))
        .await;
}

/// The README's pictures: `tests/screenshots` puts them into `docs/`.
#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_readme_s_pictures_can_be_taken() {
    let service = PushService::start().await;
    let (stage, server, chromium) =
        tokio::join!(Stage::start(), Server::start(&service), Chromium::start());
    chromium.permit_notifications(&server.url).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    let demo = subscribing_as(&browser.to_json());
    let demo = chromium.open(&format!("{}/", server.url), &demo).await;
    demo.click("#subscribe").await;
    demo.reads("Subscribed: the first one here.").await;
    for (title, body) in [
        ("Train 9:42", "Platform 7, on time."),
        (
            "Doors open at seven",
            "The concert begins at eight. Bring a friend.",
        ),
    ] {
        let push = json!({"title": title, "body": body});
        chromium.push(&demo, &server.url, &push.to_string()).await;
        demo.reads(body).await;
    }
    let console = signed_in(&chromium, &stage.url, TOKEN).await;
    for (tab, hash, reads, name) in [
        (&demo, "", "Train 9:42", "demo"),
        (&console, "#subscribers", "By tag", "console-subscribers"),
        (
            &console,
            "#campaigns/running",
            "What became of it",
            "console-campaign",
        ),
    ] {
        tab.run(&format!("(location.hash = {}, null)", json!(hash)))
            .await;
        tab.reads(reads).await;
        if name == "console-campaign" {
            // A rate is known from the second look on.
            tab.wait_for("document.querySelectorAll('.figures dd')[2]?.textContent > '1'")
                .await;
        }
        for dark in [false, true] {
            tab.look(1200, dark).await;
            tab.run("(document.activeElement.blur(), scrollTo(0, 0), null)")
                .await;
            let colour = if dark { "-dark" } else { "" };
            let file = pictures().join(format!("readme/{name}{colour}.png"));
            tab.screenshot(&file, false).await;
            assert!(
                std::fs::metadata(&file).is_ok_and(|it| it.len() > 10_000),
                "{file:?}"
            );
        }
    }
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn where_push_is_not_to_be_had_the_page_says_why() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let agent = |agent: &str| {
        format!(
            "delete globalThis.PushManager; Object.defineProperty(navigator, 'userAgent', {{ value: {} }});",
            json!(agent)
        )
    };
    let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1";
    let port = server.url.rsplit(':').next().expect("a port");
    let insecure = format!("http://pushcast.test:{port}/");
    let local = format!("{}/", server.url);
    let standalone = format!("{} navigator.standalone = true;", agent(iphone));
    for (url, before, says) in [
        (&local, agent(iphone), "add this site to the Home Screen"),
        (&local, standalone, "iOS 16.4 or later"),
        (
            &local,
            agent("Mozilla/5.0 (X11; Linux x86_64)"),
            "In a private window it never has.",
        ),
        (&insecure, String::new(), "Notifications need https"),
    ] {
        let tab = chromium.open(url, &before).await;
        tab.reads(says).await;
        tab.reads("Not here").await;
        assert_eq!(
            tab.run("document.querySelector('#subscribe').disabled")
                .await,
            true
        );
    }
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn a_browser_that_keeps_nothing_can_subscribe_all_the_same() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    chromium.permit_notifications(&server.url).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    let forgetful = "IDBFactory.prototype.open = () => { throw new DOMException('not here', 'SecurityError'); };";
    let before = forgetful.to_owned() + &subscribing_as(&browser.to_json());
    let tab = chromium.open(&format!("{}/", server.url), &before).await;
    tab.click("#subscribe").await;
    tab.reads("Subscribed: the first one here.").await;
    tab.reads("It hears from the server also when this page is closed")
        .await;
    tab.click("#unsubscribe").await;
    tab.reads("Unsubscribed. Nothing more will come.").await;
    assert!(server.exported().await.is_empty());
}
