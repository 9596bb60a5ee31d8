//! The demo page, as a visitor uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use serde_json::{Value, json};

use crate::support::browsers::chromium::Chromium;
use crate::support::browsers::page::{Looks as _, Page as _, listen, proxy, subscribing_as};
use crate::support::program::Server;
use crate::support::push_service::PushService;

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn a_visitor_uses_the_demo_page_and_axe_finds_nothing() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    chromium.permit_notifications(&server.url).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    let before = subscribing_as(&browser.to_json());
    let tab = chromium.open(&format!("{}/", server.url), &before).await;
    tab.reads("Not subscribed").await;
    tab.judge("demo-new").await;

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
    tab.judge("demo").await;
    assert_eq!(chromium.complaints(), Vec::<Value>::new());
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn where_push_is_unavailable_the_page_says_why() {
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
    // Safari on an iPad claims to run on a Mac, but has a touch screen.
    let safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15";
    let mac = |fingers: u32| {
        format!(
            "{} Object.defineProperty(navigator, 'platform', {{ value: 'MacIntel' }}); \
             Object.defineProperty(navigator, 'maxTouchPoints', {{ value: {fingers} }});",
            agent(safari)
        )
    };
    let elsewhere = "It may in a window that is not private.";
    let standalone = format!("{} navigator.standalone = true;", agent(iphone));
    for (url, before, says) in [
        (&local, agent(iphone), "add this site to the Home Screen"),
        (&local, mac(5), "add this site to the Home Screen"),
        (&local, standalone, "iOS 16.4 or later"),
        (&local, mac(0), elsewhere),
        (&local, agent("Mozilla/5.0 (X11; Linux x86_64)"), elsewhere),
        (&insecure, String::new(), "Notifications need https"),
    ] {
        let tab = chromium.open(url, &before).await;
        tab.reads(says).await;
        tab.reads("Not supported").await;
        assert_eq!(
            tab.run("document.querySelector('#subscribe').disabled")
                .await,
            true
        );
    }
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn a_browser_without_storage_can_still_subscribe() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    chromium.permit_notifications(&server.url).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    let forgetful = "IDBFactory.prototype.open = () => { throw new DOMException('not here', 'SecurityError'); };";
    let before = forgetful.to_owned() + &subscribing_as(&browser.to_json());
    let tab = chromium.open(&format!("{}/", server.url), &before).await;
    tab.click("#subscribe").await;
    tab.reads("Subscribed: the first one here.").await;
    tab.reads("Notifications arrive even when this page is closed")
        .await;
    tab.click("#unsubscribe").await;
    tab.reads("Unsubscribed. Nothing more will come.").await;
    assert!(server.exported().await.is_empty());
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn in_a_private_window_a_click_shows_the_reason_and_nothing_is_stored() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let tab = chromium.open_private(&format!("{}/", server.url)).await;
    tab.click("#subscribe").await;
    tab.reads("In a private window they stay blocked.").await;
    tab.reads("Blocked").await;
    assert!(server.exported().await.is_empty());
}

/// Declarative Web Push, which Chromium lacks. Pages recognise it by `window.pushManager`.
#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn where_the_browser_shows_messages_itself_the_page_does_not_promise_to_list_them() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let declarative = "globalThis.pushManager = {};";
    for (before, promised) in [(declarative, false), ("", true)] {
        let tab = chromium.open(&format!("{}/", server.url), before).await;
        tab.reads("Not subscribed").await;
        let nothing = tab
            .run("document.querySelector('#nothing').textContent")
            .await;
        let nothing = nothing.as_str().expect("text");
        assert_eq!(nothing.contains("shows here"), promised, "{nothing}");
        assert_eq!(
            nothing.contains("may not tell the page"),
            !promised,
            "{nothing}"
        );
    }
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn while_the_server_hangs_the_page_shows_the_state_that_the_browser_knows() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let never = async || std::future::pending::<()>().await;
    let hanging = proxy(&server.url).route("/demo-visitor", get(never));
    let page = format!("{}/", listen(hanging).await);
    let tab = chromium.open(&page, "").await;
    tab.reads("Not subscribed").await;
    let disabled = "document.querySelector('#subscribe').disabled";
    assert_eq!(
        tab.run(disabled).await,
        true,
        "it could not be told who is here"
    );
    let tab = chromium.open(&page, "delete globalThis.PushManager;").await;
    tab.reads("This browser does not support push messages here.")
        .await;
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_page_asks_for_the_visitor_s_name_again_after_a_senseless_answer() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    let (visitor, asked) = (server.get("/demo-visitor").await.json, AtomicUsize::new(0));
    let asked = Arc::new(asked);
    let counted = Arc::clone(&asked);
    let answer = async move || {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        if first {
            "<h1>Welcome to nginx</h1>".to_owned()
        } else {
            visitor.to_string()
        }
    };
    let front = proxy(&server.url).route("/demo-visitor", get(answer));
    let origin = listen(front).await;
    chromium.permit_notifications(&origin).await;
    let browser = service.subscribe(Some(&server.public_key().await));
    let before = subscribing_as(&browser.to_json());
    let tab = chromium.open(&format!("{origin}/"), &before).await;
    tab.click("#subscribe").await;
    tab.reads("Subscribed: the first one here.").await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let rows = server.exported().await;
    assert_eq!(rows[browser.endpoint()]["user"], "demo");
}
