use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::get;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use pushcast::clock::Clock;
use pushcast::push::{Client, Limits, Pusher};
use pushcast::webpush::{
    AllowList, ContentEncoding, Keyring, Message, Origin, Outcome, Subscription, VapidKey,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::autopush::Autopush;
use crate::support::firefox::{Firefox, Tab};
use crate::support::program::{Server, environment_of};
use crate::support::push_service::PushService;
use crate::support::remote::eventually;

/// Decrypted, shown, and the worker content.
const DELIVERED: u64 = 100;

const WORKER: &str = include_str!("../client/service-worker.js");
const CLIENT: &str = include_str!("../client/pushcast.js");

/// A push service, a server, and a Firefox that subscribes with the one and looks at the other.
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

    /// The demo page, after a click on its button.
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

    /// The browser says of each of `n` messages that it was shown.
    async fn shown(&self, n: usize) {
        let said = self.autopush.acknowledged(n).await;
        assert!(said.iter().all(|it| it.code == DELIVERED), "{said:?}");
    }
}

/// The titles of the notifications that are shown.
const NOTIFICATIONS: &str = "navigator.serviceWorker.getRegistration().then((it) => it.getNotifications()) \
    .then((all) => all.map(({title, body, icon, data}) => ({title, body, icon, data})))";

const ENDPOINT: &str = "navigator.serviceWorker.getRegistration().then((it) => it.pushManager.getSubscription()) \
    .then((it) => it?.endpoint ?? null)";

#[tokio::test]
#[ignore = "needs firefox-esr: tests/run"]
async fn a_click_subscribes_and_what_the_api_sends_is_decrypted_and_shown_by_firefox() {
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
    let image = alert
        .run("(document.getElementById('alertImage').src || document.getElementById('alertImage').getAttribute('src'))")
        .await;
    assert!(
        image.as_str().is_some_and(|it| it == icon || it.starts_with("moz-icon")
            || it.starts_with("data:image/png") || it.starts_with("blob:")),
        "{image}"
    );
    let shown = page.run(NOTIFICATIONS).await;
    assert_eq!(shown[0]["title"], "Grüße");
    assert_eq!(shown[0]["icon"], icon);
    page.wait_for("document.querySelector('#arrived strong')?.textContent === 'Grüße'")
        .await;
}
