mod console;
mod demo;
mod stage;

use serde_json::{Value, json};

use self::stage::{CannedApi, TOKEN};
use crate::support::browsers::chromium::{Chromium, Target};
use crate::support::browsers::page::{Looks as _, Page as _, forms, pictures, subscribing_as};
use crate::support::program::Server;
use crate::support::push_service::PushService;

/// Opens the console and signs in.
async fn signed_in<'a>(chromium: &'a Chromium, url: &str, token: &str) -> Target<'a> {
    let tab = chromium.open(&format!("{url}/console"), "").await;
    tab.fill("#token", token).await;
    tab.click("button[type=submit]").await;
    tab.wait_for("!document.querySelector('#nav').hidden && !!document.querySelector('#view h1')")
        .await;
    tab
}

/// Records every notification that Chromium shows, every window that the worker opens, and the badge. Chromium still
/// shows them, so that it can refuse a bad notification. Only a real click may open a window; Firefox's tests click for
/// real.
const RECORDER: &str = "
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
    // Clicks on the notification that was shown last.
    self.click = (action) => dispatchEvent(Object.assign(new Event('notificationclick'), {
        action,
        notification: { data: shown.at(-1).data, close() {} },
        waitUntil() {},
    }));";

/// A page of `serve`, its service worker, and permission to show notifications.
async fn with_worker<'a>(chromium: &'a Chromium, server: &Server) -> (Target<'a>, Target<'a>) {
    chromium.permit_notifications(&server.url).await;
    let tab = chromium.open(&format!("{}/", server.url), "").await;
    tab.run("navigator.serviceWorker.register('/service-worker.js').then(() => navigator.serviceWorker.ready).then(() => null)")
        .await;
    let worker = chromium.worker(&server.url).await;
    worker.inject(RECORDER).await;
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

/// Declarative Web Push with `mutable`, as in Safari: the browser shows the message unless the worker shows another
/// one.
#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_worker_shows_no_message_that_the_browser_shows_and_tells_the_pages_about_it() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let (tab, worker) = with_worker(&chromium, &server).await;
    let notification =
        json!({"title": "Declared", "body": "In full", "navigate": "https://www.example.org/a"});
    let event = format!(
        "new Promise((done) => dispatchEvent(Object.assign(new Event('push'), \
         {{ data: null, notification: {notification}, appBadge: 7, waitUntil: done }}))).then(() => null)"
    );
    worker.run(&event).await;
    tab.wait_for("document.querySelector('#arrived strong')?.textContent === 'Declared'")
        .await;
    assert_eq!(worker.run("[shown, badges]").await, json!([[], []]));
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_worker_opens_the_page_of_a_click_or_action_and_sets_the_badge() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let (tab, worker) = with_worker(&chromium, &server).await;
    // No page of the site is open that a click could focus.
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
    // Chromium cannot subscribe here: the test hands the event to the worker. First with the old subscription, as the
    // standard says; then without, as browsers do.
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

    // A browser that never answers does not keep the event alive for ever.
    worker
        .run("(() => { registration.pushManager.getSubscription = () => new Promise(() => {}); \
              self.ended = new Promise((resolve) => dispatchEvent(Object.assign(new Event('pushsubscriptionchange'), { waitUntil: resolve }))); return null; })()")
        .await;
    worker.run("ended.then(() => null)").await;
}

/// The README's pictures. `tests/screenshots` copies them to `docs/`.
#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_readme_s_pictures_can_be_taken() {
    let service = PushService::start().await;
    let (api, server, chromium) = tokio::join!(
        CannedApi::start(),
        Server::start(&service),
        Chromium::start()
    );
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
    let console = signed_in(&chromium, &api.url, TOKEN).await;
    for (tab, hash, reads, name) in [
        (&demo, "", "Train 9:42", "demo"),
        (&console, "#subscribers", "By tag", "console-subscribers"),
        (
            &console,
            "#campaigns/running",
            "Outcomes",
            "console-campaign",
        ),
    ] {
        tab.run(&format!("(location.hash = {}, null)", json!(hash)))
            .await;
        tab.reads(reads).await;
        if name == "console-campaign" {
            // The console shows a rate from the second look on.
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
