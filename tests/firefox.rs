mod site;

use pushcast::clock::Clock;
use serde_json::{Value, json};
use webpush::{
    AllowList, ContentEncoding, Keyring, Message, Origin, Outcome, Subscription, VapidKey,
};
use webpush::{Client, Limits, Pusher};

use crate::support::browsers::firefox::{Firefox, Tab};
use crate::support::browsers::page::Page as _;
use crate::support::program::{Server, environment_of};
use crate::support::push_service::PushService;
use crate::support::push_service::autopush::Autopush;
use crate::support::waiting::eventually;

/// Firefox decrypted the message, and its service worker handled it without an error: its acknowledgement (see
/// `autopush.rs`).
const DELIVERED: u64 = 100;

/// A push service, a server, and a Firefox that uses both.
struct World {
    service: PushService,
    autopush: Autopush,
    server: Server,
    firefox: Firefox,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| vec![]).await
    }

    async fn with(more: impl Fn(&PushService) -> Vec<(&'static str, String)>) -> Self {
        let service = PushService::builder().plain().start().await;
        let autopush = Autopush::start(&service).await;
        let environment = environment_of(&service).into_iter().chain(more(&service));
        let (server, firefox) = tokio::join!(
            Server::start_with(environment.collect()),
            Firefox::start(&autopush)
        );
        Self {
            service,
            autopush,
            server,
            firefox,
        }
    }

    /// The demo page after a click on its subscribe button.
    async fn subscribed(&self) -> Tab<'_> {
        let page = self.firefox.open(&format!("{}/", self.server.url)).await;
        page.click("#subscribe").await;
        page.wait_for("document.querySelector('#state').textContent === 'Subscribed'")
            .await;
        page
    }

    async fn send(&self, message: Value) {
        let sent = self.server.post_with_token("/push/send", &message).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        let results = sent.json["results"].as_array().expect("results");
        assert!(!results.is_empty(), "{sent:?}");
        assert!(
            results.iter().all(|it| it["outcome"] == "accepted"),
            "{sent:?}; {:?}",
            self.service.refused()
        );
    }

    /// The number of subscriptions.
    async fn count(&self) -> u64 {
        let nobody = json!({"endpoint": format!("{}/wpush/v2/nobody", self.service.origin())});
        let answer = self.server.post("/push/unsubscribe", &nobody).await;
        answer.json["count"].as_u64().expect("a count")
    }

    /// The browser acknowledges `n` messages as shown.
    async fn shown(&self, n: usize) {
        let said = self.autopush.acknowledged(n).await;
        assert!(said.iter().all(|it| it.code == DELIVERED), "{said:?}");
    }
}

/// The titles of the visible notifications.
const NOTIFICATIONS: &str = "navigator.serviceWorker.getRegistration().then((it) => it.getNotifications()) \
    .then((all) => all.map(({title, body, icon, data}) => ({title, body, icon, data})))";

const ENDPOINT: &str = "navigator.serviceWorker.getRegistration().then((it) => it.pushManager.getSubscription()) \
    .then((it) => it?.endpoint ?? null)";

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_click_subscribes_and_firefox_decrypts_and_shows_the_api_s_messages() {
    let world = World::new().await;
    let page = world.subscribed().await;
    assert_eq!(world.count().await, 1);

    let icon = format!("{}/icon.png", world.server.url);
    let notification = json!({
        "title": "Grüße", "body": "Zug 9:42, Gleis 7 🚆", "icon": icon, "navigate": "https://www.example.org/",
    });
    world
        .send(json!({"to": {"user": "demo"}, "notification": notification}))
        .await;
    world.shown(1).await;

    let alert = world.firefox.alert("Grüße").await;
    let text = alert
        .run("document.getElementById('alertTextLabel').textContent")
        .await;
    assert_eq!(text, "Zug 9:42, Gleis 7 🚆");
    // The icon itself: the server's PNG, 192 pixels wide.
    let size = "Object.assign(new Image(), {src: document.getElementById('alertImage').getAttribute('src')})";
    alert
        .wait_for(&format!(
            "(async (image) => {{ await image.decode(); return image.naturalWidth === 192; }})({size})"
        ))
        .await;
    let shown = page.run(NOTIFICATIONS).await;
    assert_eq!(shown[0]["title"], "Grüße");
    assert_eq!(shown[0]["icon"], icon);
    page.wait_for("document.querySelector('#arrived strong')?.textContent === 'Grüße'")
        .await;
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn the_demo_page_sends_itself_a_test_keeps_tags_and_unsubscribes() {
    let world = World::new().await;
    let page = world.subscribed().await;
    page.click("#send").await;
    world.shown(1).await;
    page.wait_for("document.querySelector('#arrived strong')?.textContent === 'It works'")
        .await;
    let delivered = world.service.deliveries();
    assert_eq!(delivered.len(), 1);

    page.click("#tags input[value=beta]").await;
    page.wait_for("document.querySelector('#saved').textContent.startsWith('Saved: news, beta')")
        .await;
    let endpoint = page.run(ENDPOINT).await;
    let row = world.server.exported().await;
    let row = &row[endpoint.as_str().expect("an endpoint")];
    assert_eq!(row["tags"], json!(["beta", "news"]), "{row}");
    assert_eq!(row["user"], "demo");

    page.click("#unsubscribe").await;
    page.wait_for("document.querySelector('#state').textContent === 'Not subscribed'")
        .await;
    assert_eq!(world.count().await, 0);
    assert_eq!(page.run(ENDPOINT).await, Value::Null);
    eventually("the push service hears of it", async || {
        (world.autopush.unregistered() == 1).then_some(())
    })
    .await;
    let body =
        json!({"endpoint": endpoint, "notification": {"title": "?", "navigate": world.server.url}});
    let sent = world.server.post("/demo/send", &body).await;
    assert_eq!(sent.status, 404, "{sent:?}");
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn the_client_notices_a_changed_server_key_at_the_next_visit_and_loses_nothing() {
    let key = || VapidKey::generate().expect("a key").to_raw_base64url();
    let (first, second) = (key(), key());
    let mut world = World::with(|_| vec![("PUSHCAST_VAPID_KEYS", first.clone())]).await;
    let page = world.subscribed().await;
    let before = page.run(ENDPOINT).await;
    drop(page);

    world.server.kill().await;
    let mut environment = environment_of(&world.service);
    environment.push(("PUSHCAST_VAPID_KEYS", format!("{second},{first}")));
    world.server.restart_with(environment).await;
    // Before the visit, a message signed with the old key still arrives.
    let hello = json!({"title": "with the old key", "navigate": "https://www.example.org/"});
    world
        .send(json!({"to": {"user": "demo"}, "notification": hello}))
        .await;
    world.shown(1).await;

    let page = world.firefox.open(&format!("{}/", world.server.url)).await;
    let renewed = eventually("another endpoint, known to the server", async || {
        let now = page.run(ENDPOINT).await;
        let rows = world.server.exported().await;
        (now != before && rows.contains_key(now.as_str()?)).then_some(now)
    })
    .await;
    let rows = world.server.exported().await;
    assert_eq!(rows.len(), 1, "the old endpoint was replaced: {rows:?}");
    let row = &rows[renewed.as_str().expect("an endpoint")];
    assert_eq!(row["tags"], json!(["news"]));
    assert_eq!(row["user"], "demo");
    let hello = json!({"title": "with the new key", "navigate": "https://www.example.org/"});
    world
        .send(json!({"to": {"user": "demo"}, "notification": hello}))
        .await;
    world.shown(2).await;
    let signed = world.service.deliveries();
    assert_ne!(signed[0].authorization, signed[1].authorization);
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn the_worker_subscribes_again_when_the_push_service_forgets_the_browser() {
    let world = World::new().await;
    let page = world.subscribed().await;
    let before = page.run(ENDPOINT).await;
    // No page is open: only the worker hears pushsubscriptionchange.
    page.go("about:blank").await;
    world.autopush.forget();

    let renewed = eventually("the worker has told the server", async || {
        let rows = world.server.exported().await;
        let (endpoint, row) = rows.first_key_value()?;
        (before != **endpoint).then(|| row.clone())
    })
    .await;
    assert_eq!(world.count().await, 1, "in the place of the old endpoint");
    assert_eq!(renewed["tags"], json!(["news"]));
    assert_eq!(renewed["user"], "demo");
    let hello = json!({"title": "found again", "navigate": "https://www.example.org/"});
    world
        .send(json!({"to": {"user": "demo"}, "notification": hello}))
        .await;
    world.shown(1).await;
    world.firefox.alert("found again").await;
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_click_on_the_notification_opens_or_focuses_its_page() {
    let world = World::new().await;
    let page = world.subscribed().await;
    let there = format!("{}/console?from=notification", world.server.url);
    let notification = json!({"title": "elsewhere", "navigate": there});
    world
        .send(json!({"to": {"user": "demo"}, "notification": notification}))
        .await;
    let alert = world.firefox.alert("elsewhere").await;
    alert.click_alert().await;
    eventually("the page is opened", async || {
        world.firefox.tabs().await.contains(&there).then_some(())
    })
    .await;

    // While another page is in front, the click brings the open page to the front and opens no other.
    let tabs = world.firefox.tabs().await;
    let in_front = async |url: &str| {
        eventually(&format!("{url} is in front"), async || {
            let seen = world.firefox.visible().await;
            (seen == [url.to_owned()]).then_some(())
        })
        .await;
    };
    page.activate().await;
    in_front(&format!("{}/", world.server.url)).await;
    let notification = json!({"title": "again", "navigate": there});
    world
        .send(json!({"to": {"user": "demo"}, "notification": notification}))
        .await;
    let alert = world.firefox.alert("again").await;
    alert.click_alert().await;
    in_front(&there).await;
    assert_eq!(world.firefox.tabs().await, tabs);

    // A message without a page of its own brings any open page of the site to the front.
    page.go("about:blank").await;
    page.activate().await;
    in_front("about:blank").await;
    let tabs = world.firefox.tabs().await;
    world
        .send(json!({"to": {"user": "demo"}, "data": {"title": "whichever"}}))
        .await;
    let alert = world.firefox.alert("whichever").await;
    alert.click_alert().await;
    in_front(&there).await;
    assert_eq!(world.firefox.tabs().await, tabs);
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_campaign_reaches_twenty_subscriptions_of_one_firefox() {
    let world = World::new().await;
    let page = world.firefox.open(&format!("{}/", world.server.url)).await;
    // Twenty scopes, subscribed from a page that is in none of them.
    let subscribed = page
        .run(
            "(async () => {
                const { pushcast } = await import('/pushcast.js');
                const states = [];
                for (let i = 0; i < 20; i++) {
                    const push = pushcast({ scope: `/scope-${i}/` });
                    await push.subscribe({ tags: ['twenty', i % 2 ? 'odd' : 'even'] });
                    states.push(await push.state());
                }
                return states;
            })()",
        )
        .await;
    assert_eq!(subscribed, json!(vec!["subscribed"; 20]));
    assert_eq!(world.count().await, 20);

    let notification = json!({"title": "to all", "navigate": "https://www.example.org/"});
    let order = json!({"to": {"audience": "twenty && !none"}, "notification": notification});
    let begun = world.server.post_with_token("/push/send", &order).await;
    assert_eq!(begun.status, 202, "{begun:?}");
    world.shown(20).await;
    // Each worker shows the message and tells the page, which is in no worker's scope.
    page.wait_for("document.querySelectorAll('#arrived li').length === 20")
        .await;
    let campaign = begun.json["campaign"].as_str().expect("an id").to_owned();
    eventually("the campaign is done", async || {
        let path = format!("/push/campaigns/{campaign}");
        let view = world.server.get_with_token(&path).await.json;
        (view["status"] == "done" && view["counts"]["accepted"] == 20).then_some(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn firefox_decrypts_the_largest_push_and_both_encodings() {
    let key = VapidKey::generate().expect("a key");
    let raw = key.to_raw_base64url();
    let world = World::with(|_| vec![("PUSHCAST_VAPID_KEYS", raw.clone())]).await;
    let page = world.subscribed().await;
    let subscription = page
        .run("navigator.serviceWorker.getRegistration().then((it) => it.pushManager.getSubscription()).then((it) => it.toJSON())")
        .await;
    let origin = Origin::parse(&world.service.origin()).expect("an origin");
    let allowed = AllowList::new(vec![origin]);
    let subscription = Subscription::from_json(&subscription.to_string(), &allowed);
    let subscription = subscription.expect("a subscription");
    let client = Client::new(Limits::default(), None).expect("a client");
    let keyring = Keyring::new(
        key,
        vec![],
        Some(&"mailto:tests@pushcast.dev".parse().expect("a contact")),
    );
    let pusher = Pusher::new(client, keyring, Clock::system());

    let mut sent = 0;
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        for length in [1, 100, 3993] {
            let mark = format!("{length} {}: ", encoding.as_str());
            let text = match length {
                1 => "1".to_owned(),
                length => format!("{mark:x<length$}"),
            };
            let message = Message {
                encoding,
                ..Message::text(text.clone())
            };
            let report = pusher.push(&subscription, &message).await;
            assert_eq!(
                *report.outcome(),
                Outcome::Accepted,
                "{:?}",
                report.detail()
            );
            sent += 1;
            world.shown(sent).await;
            page.wait_for(&arrived(&text)).await;
        }
    }
    // A push without payload still shows a notification.
    let empty = Message {
        payload: vec![],
        ..Message::default()
    };
    let report = pusher.push(&subscription, &empty).await;
    assert_eq!(
        *report.outcome(),
        Outcome::Accepted,
        "{:?}",
        report.detail()
    );
    world.shown(sent + 1).await;
    page.wait_for(&arrived("There is something new.")).await;
}

/// A condition: the demo page lists a message with this text.
fn arrived(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('#arrived span')].some((it) => it.textContent === {})",
        json!(text)
    )
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_denied_permission_is_reported_as_a_state_and_stores_nothing() {
    let world = World::new().await;
    world.firefox.permit(&world.server.url, "denied").await;
    let page = world.firefox.open(&format!("{}/", world.server.url)).await;
    page.wait_for("document.querySelector('#state').textContent === 'Blocked'")
        .await;
    page.wait_for(
        "document.querySelector('#status').textContent.includes('blocked for this site')",
    )
    .await;
    assert_eq!(
        page.run("document.querySelector('#subscribe').disabled")
            .await,
        true
    );
    let failed = page
        .run("import('/pushcast.js').then(({ pushcast }) => pushcast().subscribe()).then(() => 'subscribed', ({ code }) => code)")
        .await;
    assert_eq!(failed, "denied");
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_visit_within_a_day_repairs_a_row_that_the_server_lost() {
    let world = World::new().await;
    let page = world.subscribed().await;
    let endpoint = page.run(ENDPOINT).await;
    let lost = json!({"endpoint": endpoint});
    world.server.post("/push/unsubscribe", &lost).await;

    let visit = "import('/pushcast.js').then(({ pushcast }) => pushcast().visited)";
    assert_eq!(page.run(visit).await, "current", "it was told today");
    assert_eq!(world.count().await, 0);

    let hours =
        |n: u64| format!("{{ const now = Date.now; Date.now = () => now() + {n} * 3600 * 1000; }}");
    world.firefox.preload(&hours(25)).await;
    let tomorrow = world.firefox.open(&format!("{}/", world.server.url)).await;
    eventually("the row is there again", async || {
        (world.count().await == 1).then_some(())
    })
    .await;
    let rows = world.server.exported().await;
    let row = &rows[endpoint.as_str().expect("an endpoint")];
    assert_eq!(row["tags"], json!(["news"]));
    assert_eq!(row["user"], "demo");
    assert_eq!(tomorrow.run(visit).await, "current", "once a day is enough");
}

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn returning_to_a_page_that_has_been_open_for_a_day_counts_as_a_visit() {
    let world = World::new().await;
    let page = world.subscribed().await;
    let lost = json!({"endpoint": page.run(ENDPOINT).await});
    let visit = "import('/pushcast.js').then(({ pushcast }) => pushcast().visited)";
    let back_after = |hours: u64| {
        format!(
            "(Date.now = () => new Date().getTime() + {hours} * 3600 * 1000, \
             document.dispatchEvent(new Event('visibilitychange')), null)"
        )
    };
    world.server.post("/push/unsubscribe", &lost).await;
    page.run(&back_after(23)).await;
    assert_eq!(page.run(visit).await, "current");
    assert_eq!(world.count().await, 0, "not yet a day");
    // A reader who comes back is often not online yet: the page soon tries again.
    page.run("(globalThis.real = fetch, globalThis.fetch = () => Promise.reject(new TypeError('away')), null)")
        .await;
    page.run(&back_after(25)).await;
    assert_eq!(page.run(visit).await, "failed");
    page.run("(globalThis.fetch = real, null)").await;
    page.run(&back_after(26)).await;
    eventually("the row is there again", async || {
        (world.count().await == 1).then_some(())
    })
    .await;
}
