//! The actions of a test on a page, in any browser, and small servers for pages.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::waiting::eventually;

/// Screen width in pixels and dark mode: every page is judged in each combination.
const LOOKS: [(u32, bool); 4] = [(1440, false), (1440, true), (390, false), (390, true)];

/// A page in a browser, or a service worker.
pub(crate) trait Page {
    /// The value of an expression, which may `await` and may fail. For the page it counts as a click.
    async fn try_run(&self, expression: &str) -> Result<Value, Value>;

    /// Presses and releases the mouse button at this position.
    async fn mouse(&self, x: &Value, y: &Value);

    /// The value of an expression, which may `await`.
    async fn run(&self, expression: &str) -> Value {
        let value = self.try_run(expression).await;
        value.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until an expression is true.
    async fn wait_for(&self, expression: &str) {
        eventually(expression, async || {
            // A page that is being left gives no answer.
            let value = self.try_run(expression).await.ok()?;
            (value == true).then_some(())
        })
        .await;
    }

    /// Waits until the page shows this text.
    async fn reads(&self, text: &str) {
        let text = json!(text);
        self.wait_for(&format!("document.body.innerText.includes({text})"))
            .await;
    }

    /// Waits until the reader can use such an element.
    async fn offers(&self, selector: &str) {
        let find = format!("document.querySelector({})", json!(selector));
        self.wait_for(&format!(
            "!!{find} && !{find}.disabled && {find}.checkVisibility()"
        ))
        .await;
    }

    /// Clicks with the mouse in the middle of the first element that matches.
    async fn click(&self, selector: &str) {
        self.offers(selector).await;
        let middle = middle_of(selector);
        let middle = self.run(&middle).await;
        self.mouse(&middle[0], &middle[1]).await;
    }

    /// Violations that axe finds: rule and element.
    async fn axe(&self) -> Value {
        let path = "target/peers/node/node_modules/axe-core/axe.min.js";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let axe = std::fs::read_to_string(path).expect("tests/run installs axe-core");
        self.run(&format!("(() => {{ {axe}\n }})()")).await;
        self.run(
            "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations.map(({id, nodes}) => \
             ({id, nodes: nodes.map(({html, failureSummary}) => [html.slice(0, 200), failureSummary])})))",
        )
        .await
    }
}

/// A script that scrolls to the first element that matches, and returns the element's middle.
pub(crate) fn middle_of(selector: &str) -> String {
    format!(
        "(() => {{ const it = document.querySelector({}); it.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
         const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round); }})()",
        json!(selector)
    )
}

/// A page that can be shown in several sizes and colours.
pub(crate) trait Looks: Page {
    /// Sets the screen's width, and whether the reader prefers a dark page.
    async fn look(&self, width: u32, dark: bool);

    /// A PNG of the whole page.
    async fn picture(&self, file: &Path);

    /// For each look, takes a picture of the page and has axe judge it. `name` may contain folders.
    async fn judge(&self, name: &str) {
        for (width, dark) in LOOKS {
            self.look(width, dark).await;
            self.run("(scrollTo(0, 0), null)").await;
            let colour = if dark { "dark" } else { "light" };
            let file = pictures().join(format!("{name}-{width}-{colour}.png"));
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            self.picture(&file).await;
            assert_eq!(self.axe().await, json!([]), "{name}, {width} px, {colour}");
            let wide = self.run("document.documentElement.scrollWidth").await;
            assert_eq!(wide, width, "{name} scrolls sideways");
        }
        self.look(1440, false).await;
    }
}

/// The folder for pictures. `tests/screenshots` makes the README's pictures.
pub(crate) fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots")
}

/// A script that gives a browser without a reachable push service this subscription of the tests' push service. It runs
/// before the page's own scripts, and checks the page's arguments as browser engines do.
pub(crate) fn subscribing_as(subscription: &Value) -> String {
    format!(
        "{{
            const json = {subscription};
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
            PushManager.prototype.subscribe = async ({{ applicationServerKey, userVisibleOnly }}) => {{
                if (!userVisibleOnly || Notification.permission !== 'granted') throw new DOMException('', 'NotAllowedError');
                localStorage.setItem('subscribed', JSON.stringify([...applicationServerKey]));
                return make([...applicationServerKey]);
            }};
        }}"
    )
}

/// A push, and the notification that the reader sees.
pub(crate) struct Form {
    pub(crate) push: String,
    pub(crate) title: String,
    pub(crate) body: String,
}

/// Every form of push, for a site at this host.
pub(crate) fn forms(host: &str) -> Vec<Form> {
    let form = |push: Value, title: &str, body: &str| Form {
        push: push.to_string(),
        title: title.to_owned(),
        body: body.to_owned(),
    };
    let text = |push: &str, body: &str| Form {
        push: push.to_owned(),
        title: host.to_owned(),
        body: body.to_owned(),
    };
    let generic = "There is something new.";
    let declarative = json!({"web_push": 8030, "notification": {
        "title": "Declared", "body": "In full", "navigate": "https://www.example.org/a", "tag": "t",
        "requireInteraction": true, "data": {"mine": 1},
        "actions": [{"action": "x", "title": "Do it", "navigate": "https://www.example.org/x"}],
    }});
    let plain = json!({"title": "Plain", "body": "JSON", "url": "/b"});
    let legacy = json!({"notification": {"title": "Legacy", "body": "FCM"}});
    let breaking =
        json!({"title": "Broken", "body": "all the same", "dir": "sideways", "timestamp": {}});
    vec![
        form(declarative, "Declared", "In full"),
        form(plain, "Plain", "JSON"),
        form(legacy, "Legacy", "FCM"),
        form(json!({"title": "Only a title"}), "Only a title", ""),
        text("Just words", "Just words"),
        form(json!("A JSON string"), host, "A JSON string"),
        form(json!({"unread": 3}), host, generic),
        form(json!([1, 2]), host, generic),
        text("null", generic),
        text("", generic),
        form(breaking, "Broken", "all the same"),
    ]
}

/// Serves until the test ends. Returns the origin.
pub(crate) async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

/// Forwards every request to a server, except those that routes added by the test answer.
pub(crate) fn proxy(server: &str) -> Router {
    let client = HttpClient::builder(TokioExecutor::new()).build_http::<Body>();
    let server = server.to_owned();
    Router::new().fallback(async move |mut request: Request| {
        let path = request.uri().path_and_query().expect("a path");
        *request.uri_mut() = format!("{server}{path}").parse().expect("a URI");
        let answer = client.request(request).await;
        answer.expect("the server answers").map(Body::new)
    })
}
