//! Sites on an origin of their own: the client and the service worker are served there, and the API is elsewhere.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

use super::{NOTIFICATIONS, World};
use crate::support::browsers::page::{Page as _, listen, proxy};
use crate::support::waiting::eventually;

const WORKER: &str = include_str!("../../client/service-worker.js");
const CLIENT: &str = include_str!("../../client/pushcast.js");
const README: &str = include_str!("../../README.md");
const CLIENT_PAGE: &str = include_str!("../../docs/client.md");

/// A site on another origin than the server, with a worker that the test chooses.
struct Site {
    url: String,
    worker: Arc<Mutex<&'static str>>,
}

impl Site {
    async fn start(worker: &'static str) -> Self {
        let worker = Arc::new(Mutex::new(worker));
        let script =
            |text: &'static str| ([(CONTENT_TYPE, "text/javascript")], text).into_response();
        let current = async move |State(worker): State<Arc<Mutex<&'static str>>>| {
            let text = *worker.lock().expect("no panic");
            ([(CONTENT_TYPE, "text/javascript")], text).into_response()
        };
        let page = async || {
            (
                [(CONTENT_TYPE, "text/html")],
                "<!doctype html><title>A site</title>",
            )
        };
        let site = Router::new()
            .route("/deep/down/page.html", get(page))
            .route("/assets/pushcast.js", get(async move || script(CLIENT)))
            .route(
                "/assets/pushcast-worker.js",
                get(async move || script(WORKER)),
            )
            .route("/worker.js", get(current))
            .with_state(Arc::clone(&worker));
        Self {
            url: listen(site).await,
            worker,
        }
    }

    fn page(&self) -> String {
        format!("{}/deep/down/page.html", self.url)
    }
}

/// Script: sets `push` to a client of this server, in a page of the site.
fn client(server: &str) -> String {
    client_with(&json!({"server": server, "serviceWorker": "/worker.js"}))
}

fn client_with(options: &Value) -> String {
    format!(
        "import('/assets/pushcast.js').then(({{ pushcast }}) => (globalThis.push = pushcast({options})).visited)"
    )
}

/// The worker of a site that imports ours.
const IMPORTING: &str =
    "self.pushcast = { title: 'A site' }; importScripts('/assets/pushcast-worker.js');";

/// A worker that shows nothing and stays until it is replaced.
const STALE: &str = "self.addEventListener('push', () => {});";

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_site_on_its_own_origin_imports_the_worker_and_replaces_a_stale_one() {
    let site = Site::start(STALE).await;
    let world = World::with(|_| vec![("PUSHCAST_CORS_ORIGINS", site.url.clone())]).await;
    let page = world.firefox.open(&site.page()).await;
    page.run("navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.getRegistration('/')).then(() => null)")
        .await;
    *site.worker.lock().expect("no panic") = IMPORTING;

    assert_eq!(page.run(&client(&world.server.url)).await, "nothing");
    let subscribed = page.run("push.subscribe({ tags: ['site'] })").await;
    assert_eq!(subscribed["count"], 1);
    assert_eq!(page.run("push.state()").await, "subscribed");
    let active = "navigator.serviceWorker.getRegistration('/').then((it) => !it.installing && !it.waiting && it.active?.state === 'activated')";
    page.wait_for(active).await;
    world
        .send(json!({"to": {"endpoint": subscribed["endpoint"]}, "data": {"unread": 3}}))
        .await;
    world.shown(1).await;
    world.firefox.alert("A site").await;
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_server_that_is_down_slow_or_senseless_causes_a_readable_error_and_no_loss() {
    let site = Site::start(IMPORTING).await;
    let world = World::with(|_| vec![("PUSHCAST_CORS_ORIGINS", site.url.clone())]).await;
    let page = world.firefox.open(&site.page()).await;
    let answering = async |body: &'static str| {
        let cors = (ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        let answer = async move || ([cors], body);
        listen(Router::new().fallback(answer)).await
    };
    let never = async || std::future::pending::<()>().await;
    let slow = listen(Router::new().fallback(never)).await;
    let down = "http://127.0.0.1:9".to_owned();
    let fails = "push.subscribe().then(() => 'subscribed', ({ name, code, message }) => [name, code, message])";
    for (server, says) in [
        (down, "cannot be reached"),
        (slow, "takes too long"),
        (
            answering("<h1>Welcome to nginx</h1>").await,
            "not a pushcast server",
        ),
        (answering("null").await, "not a pushcast server"),
        (
            answering(r#"{"publicKey": 7}"#).await,
            "not a pushcast server",
        ),
        (
            answering(r#"{"publicKey": "BAAA"}"#).await,
            "not a pushcast server",
        ),
    ] {
        let options = json!({"server": server, "serviceWorker": "/worker.js", "timeout": 1500});
        page.run(&client_with(&options)).await;
        let failed = page.run(fails).await;
        assert_eq!(failed[0], "PushcastError", "{failed}");
        assert_eq!(failed[1], "server", "{failed}");
        let message = failed[2].as_str().expect("words");
        assert!(message.contains(says), "{server}: {message}");
        assert_eq!(page.run("push.state()").await, "prompt");
    }

    // With a good server the same calls succeed, and a visit while that server is away changes nothing.
    page.run(&client(&world.server.url)).await;
    page.run("push.subscribe()").await;
    assert_eq!(page.run(&client("http://127.0.0.1:9")).await, "failed");
    assert_eq!(page.run("push.state()").await, "subscribed");
    assert_eq!(page.run(&client(&world.server.url)).await, "current");
    // The browser unsubscribes even when no server answers.
    page.run(&client("http://127.0.0.1:9")).await;
    page.run("push.unsubscribe()").await;
    assert_eq!(page.run("push.state()").await, "prompt");
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn the_next_visit_repeats_a_subscription_that_the_server_did_not_store() {
    const CORS: [(HeaderName, &str); 1] = [(ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    let site = Site::start(IMPORTING).await;
    let world = World::with(|_| vec![("PUSHCAST_CORS_ORIGINS", site.url.clone())]).await;
    let page = world.firefox.open(&site.page()).await;
    let bad_gateway = async || (StatusCode::BAD_GATEWAY, CORS, "<h1>Bad gateway</h1>");
    let no_count = async || (CORS, "{}");
    for subscribe in [post(bad_gateway), post(no_count)] {
        let broken = proxy(&world.server.url).route("/push/subscribe", subscribe);
        page.run(&client(&listen(broken).await)).await;
        let failed = page
            .run("push.subscribe({ tags: ['site'] }).then(() => 'subscribed', ({ code }) => code)")
            .await;
        assert_eq!(failed, "server");
        assert_eq!(page.run("push.state()").await, "prompt");
        assert_eq!(world.count().await, 0);
    }
    // The browser has a subscription now. The next visit tells the server about it.
    assert_eq!(page.run(&client(&world.server.url)).await, "refreshed");
    assert_eq!(page.run("push.state()").await, "subscribed");
    assert_eq!(world.count().await, 1);
}

/// `Some` while the server is away: the number of requests refused so far.
type Away = Arc<Mutex<Option<usize>>>;

async fn turned_away(State(away): State<Away>, request: Request, next: Next) -> Response {
    let away = away.lock().expect("no panic").as_mut().map(|n| *n += 1);
    match away {
        Some(()) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        None => next.run(request).await,
    }
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_browser_forgotten_while_the_server_was_away_subscribes_again_at_the_next_visit() {
    let site = Site::start(IMPORTING).await;
    let world = World::with(|_| vec![("PUSHCAST_CORS_ORIGINS", site.url.clone())]).await;
    let away = Away::default();
    let front = proxy(&world.server.url);
    let front = front.layer(from_fn_with_state(Arc::clone(&away), turned_away));
    let front = listen(front).await;
    let page = world.firefox.open(&site.page()).await;
    page.run(&client(&front)).await;
    let before = page.run("push.subscribe({ tags: ['site'] })").await;
    assert_eq!(before["count"], 1);
    page.go("about:blank").await;

    *away.lock().expect("no panic") = Some(0);
    world.autopush.forget();
    eventually("the worker has tried three times", async || {
        (*away.lock().expect("no panic") >= Some(3)).then_some(())
    })
    .await;
    *away.lock().expect("no panic") = None;
    let rows = world.server.exported().await;
    assert_eq!(
        rows.keys().next().map(String::as_str),
        before["endpoint"].as_str()
    );

    page.go(&site.page()).await;
    assert_eq!(page.run(&client(&front)).await, "resubscribed");
    let rows = world.server.exported().await;
    assert_eq!(rows.len(), 1, "in the place of the old endpoint: {rows:?}");
    let (endpoint, row) = rows.first_key_value().expect("a row");
    assert_ne!(before["endpoint"], **endpoint);
    assert_eq!(row["tags"], json!(["site"]));
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn the_api_and_the_worker_may_be_in_a_folder() {
    let site = Site::start(IMPORTING).await;
    let world = World::with(|_| vec![("PUSHCAST_CORS_ORIGINS", site.url.clone())]).await;
    let page = world.firefox.open(&site.page()).await;
    let stage = listen(Router::new().nest("/stage", proxy(&world.server.url))).await;
    let subscribe = |options: &Value| {
        format!(
            "import('/assets/pushcast.js').then(({{ pushcast }}) => pushcast({options}).subscribe()) \
             .then(({{ count }}) => count, ({{ code, message }}) => [code, message])"
        )
    };
    // A worker's scope is its folder. A page outside of that folder subscribes for it.
    let server = format!("{stage}/stage");
    let mut options = json!({"server": server, "serviceWorker": "/assets/pushcast-worker.js"});
    assert_eq!(page.run(&subscribe(&options)).await, 1);
    let scopes = "navigator.serviceWorker.getRegistrations().then((all) => all.map(({ scope }) => new URL(scope).pathname))";
    assert_eq!(page.run(scopes).await, json!(["/assets/"]));
    options["scope"] = json!("/");
    let failed = page.run(&subscribe(&options)).await;
    assert_eq!(failed[0], "service-worker", "{failed}");
    let message = failed[1].as_str().expect("words");
    assert!(
        message.contains("/assets/pushcast-worker.js cannot be registered"),
        "{message}"
    );
    assert_eq!(world.count().await, 1);
}

/// The first code block in this language after a heading of a page.
fn block(page: &str, heading: &str, language: &str) -> String {
    let part = page.split(heading).nth(1).expect("the part");
    let start = format!("```{language}\n");
    let rest = part.split(&start).nth(1).expect("a block");
    rest.split("```").next().expect("its end").to_owned()
}

/// The README's ten lines of HTML, which the demo page shows as well.
fn ten_lines() -> String {
    let ten = block(README, "## On your own site", "html");
    assert_eq!(ten.lines().count(), 10);
    let demo = include_str!("../../client/index.html");
    let shown = demo.split("aria-label=\"Code\"><code>").nth(1);
    let shown = shown.and_then(|it| it.split("</code>").next());
    let shown = shown.expect("the code").replace("<span id=\"origin\">", "");
    let shown = shown
        .replace("</span>", "")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    assert_eq!(format!("{shown}\n"), ten);
    ten
}

/// Serves a page and a worker that the test may change. Returns the origin.
async fn changing_site(page: &Arc<Mutex<String>>, worker: &Arc<Mutex<String>>) -> String {
    let text = |kind: &'static str, text: &Arc<Mutex<String>>| {
        let text = Arc::clone(text);
        get(async move || {
            (
                [(CONTENT_TYPE, kind)],
                text.lock().expect("no panic").clone(),
            )
        })
    };
    let script =
        |text: &'static str| get(async move || ([(CONTENT_TYPE, "text/javascript")], text));
    listen(
        Router::new()
            .route("/", text("text/html", page))
            .route("/pushcast.js", script(CLIENT))
            .route("/pushcast-worker.js", script(WORKER))
            .route("/service-worker.js", text("text/javascript", worker)),
    )
    .await
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn the_readme_s_ten_lines_and_its_worker_make_a_working_site() {
    // The site's own worker handles some pushes itself.
    let own = "self.addEventListener('push', (event) => {
        if (event.data.text() !== 'mine') return;
        event.stopImmediatePropagation();
        event.waitUntil(self.registration.showNotification('Mine alone'));
    });\n";
    let worker = Arc::new(Mutex::new(format!(
        "{own}{}",
        block(CLIENT_PAGE, "## A service worker of your own", "js")
    )));
    let page = Arc::new(Mutex::new(String::new()));
    let origin = changing_site(&page, &worker).await;
    let world = World::with(|_| vec![("PUSHCAST_CORS_ORIGINS", origin.clone())]).await;
    *page.lock().expect("no panic") = format!(
        "<!doctype html><title>A site</title>{}",
        ten_lines().replace("https://push.example.org", &world.server.url)
    );

    let tab = world.firefox.open(&format!("{origin}/")).await;
    tab.click("#notify").await;
    tab.wait_for("document.querySelector('#notify').hidden")
        .await;
    let rows = world.server.exported().await;
    let (endpoint, row) = rows.first_key_value().expect("a row");
    assert_eq!(row["tags"], json!(["news"]));
    let to = json!({"endpoint": endpoint});
    world.send(json!({"to": to, "data": {"unread": 3}})).await;
    world.firefox.alert("My site").await;
    world.send(json!({"to": to, "data": "mine"})).await;
    world.firefox.alert("Mine alone").await;
    world.shown(2).await;
    let shown = tab.run(NOTIFICATIONS).await;
    assert_eq!(shown.as_array().map(Vec::len), Some(2), "{shown}");
    let ours = shown
        .as_array()
        .and_then(|all| all.iter().find(|it| it["title"] == "My site"));
    assert_eq!(
        ours.expect("it is shown")["icon"],
        format!("{origin}/icon.png")
    );

    // With `takeOver: false` a new worker waits until every page of the old worker is closed.
    tab.go(&format!("{origin}/")).await;
    tab.wait_for("document.querySelector('#notify').hidden")
        .await;
    worker.lock().expect("no panic").push_str("// newer\n");
    tab.wait_for("navigator.serviceWorker.getRegistration().then((it) => it.update()).then((it) => !!it.waiting && it.active.state === 'activated')")
        .await;
}
