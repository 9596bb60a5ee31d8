use axum::routing::get;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::browsers::page::{Looks as _, Page as _, forms, listen, proxy, subscribing_as};
use crate::support::browsers::webkit::Webkit;
use crate::support::program::{Server, environment_of};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Canned, Whom};
use crate::support::subscribers::browser::Browser;
use crate::support::waiting::eventually;

/// Added to our service worker: a page can hand it a push and ask which windows it opened, as WebKitGTK offers neither.
/// The notifications, and the effects of a click on them, are WebKit's.
const TEST_HOOK: &str = "
    self.opened = [];
    self.clients.openWindow = async (url) => void opened.push(url);
    self.addEventListener('message', async ({ data: { push }, ports: [port] }) => {
        if (push === undefined) return port.postMessage(opened);
        const event = new PushEvent('push', push ? { data: push } : {});
        let work;
        event.waitUntil = (promise) => (work = promise);
        self.dispatchEvent(event);
        port.postMessage(await work);
    });";

const WORKER: &str = include_str!("../client/service-worker.js");

/// `serve` behind a proxy that adds this code to the worker.
async fn serve_with_hook(server: &Server) -> String {
    let worker = async || {
        (
            [(CONTENT_TYPE, "text/javascript")],
            format!("{WORKER}{TEST_HOOK}"),
        )
    };
    listen(proxy(&server.url).route("/service-worker.js", get(worker))).await
}

/// A script: sends a message to the code added to the worker.
fn through_hook(message: &Value) -> String {
    format!(
        "navigator.serviceWorker.ready.then(({{ active }}) => new Promise((done) => {{ \
             const {{ port1, port2 }} = new MessageChannel(); \
             port1.onmessage = ({{ data }}) => done(data ?? null); \
             active.postMessage({message}, [port2]); \
         }}))"
    )
}

async fn push(webkit: &Webkit, text: &str) {
    webkit.run(&through_hook(&json!({"push": text}))).await;
}

/// The addresses that the worker asked to open.
async fn opened(webkit: &Webkit) -> Value {
    webkit.run(&through_hook(&json!({}))).await
}

/// Opens the demo page in a browser that has a subscription of this push service.
async fn visit(service: &PushService, server: &Server, webkit: &Webkit, origin: &str) -> Browser {
    let browser = service.subscribe(Some(&server.public_key().await));
    webkit.preload(&subscribing_as(&browser.to_json())).await;
    webkit.open(&format!("{origin}/")).await;
    browser
}

#[tokio::test]
#[ignore = "needs WebKitGTK: tests/run"]
async fn the_demo_page_works_from_the_click_to_the_notification() {
    let service = PushService::start().await;
    let (server, webkit) = tokio::join!(Server::start(&service), Webkit::start());
    let origin = serve_with_hook(&server).await;
    let browser = visit(&service, &server, &webkit, &origin).await;
    webkit.reads("Not subscribed").await;
    assert_eq!(webkit.asked().await, 0, "nobody is asked before a click");

    webkit.click_alone("#subscribe").await;
    webkit.reads("Subscribed: the first one here.").await;
    assert_eq!(webkit.asked().await, 1);
    webkit.click("#tags input[value=beta]").await;
    webkit.reads("Saved: news, beta.").await;
    let rows = server.exported().await;
    assert_eq!(rows[browser.endpoint()]["tags"], json!(["beta", "news"]));

    webkit.fill("#title", "Doors open at seven").await;
    webkit.click("#send").await;
    webkit.reads("Accepted by the push service (201).").await;
    let delivered = service.deliveries_to(&browser);
    let text = std::str::from_utf8(&delivered[0].text);
    push(&webkit, text.expect("JSON")).await;
    let shown = webkit.notification(0).await;
    assert_eq!(shown.title, "Doors open at seven");
    assert_eq!(shown.body, "Sent by your own server.");
    let arrived = "document.querySelector('#arrived strong')?.textContent";
    webkit
        .wait_for(&format!("{arrived} === 'Doors open at seven'"))
        .await;

    // This notification's page is open, so the click opens no other. The next one's page is not open yet.
    webkit.choose(0).await;
    webkit.closed(0).await;
    push(
        &webkit,
        &json!({"title": "Elsewhere", "navigate": "/console"}).to_string(),
    )
    .await;
    webkit.notification(1).await;
    webkit.choose(1).await;
    webkit.closed(1).await;
    let console = json!([format!("{origin}/console")]);
    eventually("the console is opened", async || {
        (opened(&webkit).await == console).then_some(())
    })
    .await;

    // At the next visit the browser is still subscribed, and nothing changes.
    webkit.open(&format!("{origin}/")).await;
    webkit
        .reads("Notifications arrive even when this page is closed.")
        .await;
    let visited =
        "import('/pushcast.js').then(({ pushcast }) => pushcast({ server: '/' }).visited)";
    assert_eq!(webkit.run(visited).await, "current");
    webkit.click("#unsubscribe").await;
    webkit.reads("Unsubscribed. Nothing more will come.").await;
    assert!(server.exported().await.is_empty());
    assert_eq!(webkit.complaints().await, json!([]));
}

#[tokio::test]
#[ignore = "needs WebKitGTK: tests/run"]
async fn the_worker_shows_every_form_of_push() {
    let service = PushService::start().await;
    let (server, webkit) = tokio::join!(Server::start(&service), Webkit::start());
    let origin = serve_with_hook(&server).await;
    visit(&service, &server, &webkit, &origin).await;
    webkit.click("#subscribe").await;
    webkit.reads("Subscribed: the first one here.").await;
    let host = origin.trim_start_matches("http://");
    for (n, form) in forms(host).iter().enumerate() {
        push(&webkit, &form.push).await;
        let shown = webkit.notification(n).await;
        assert_eq!(shown.title, form.title, "{}", form.push);
        assert_eq!(shown.body, form.body, "{}", form.push);
    }
}

#[tokio::test]
#[ignore = "needs WebKitGTK: tests/run"]
async fn where_the_browser_never_asks_the_reader_the_error_says_why() {
    let service = PushService::start().await;
    let (server, webkit) = tokio::join!(Server::start(&service), Webkit::start());
    webkit.open(&format!("{}/", server.url)).await;
    let unasked = "(async () => {
        while (navigator.userActivation.isActive) await new Promise((done) => setTimeout(done, 100));
        const { pushcast } = await import('/pushcast.js');
        return pushcast().subscribe().catch(({ code, message }) => [code, message]);
    })()";
    let said = "The browser did not ask: it asks only within a click.";
    assert_eq!(webkit.run(unasked).await, json!(["unasked", said]));
    assert_eq!(webkit.asked().await, 0);

    // Like an iPhone whose settings deny the browser every notification.
    webkit
        .preload("Notification.requestPermission = async () => 'denied';")
        .await;
    webkit.open(&format!("{}/", server.url)).await;
    webkit.click("#subscribe").await;
    webkit
        .reads("Notifications may be switched off for it in the system's settings")
        .await;
    webkit.reads("Not subscribed").await;
    assert!(server.exported().await.is_empty());
}

#[tokio::test]
#[ignore = "needs WebKitGTK: tests/run"]
async fn a_reader_who_declines_is_asked_once_and_sees_what_it_means() {
    let service = PushService::start().await;
    let (server, webkit) = tokio::join!(Server::start(&service), Webkit::start());
    webkit.permit(false).await;
    webkit.open(&format!("{}/", server.url)).await;
    // The page's own button shows the error itself.
    webkit
        .run(
            "document.body.prepend(Object.assign(document.createElement('button'), {
                id: 'own',
                textContent: 'Subscribe',
                onclick: async () => {
                    const { pushcast } = await import('/pushcast.js');
                    await pushcast().subscribe().catch(({ code }) => (globalThis.code = code));
                },
            }))",
        )
        .await;
    webkit.click("#own").await;
    webkit.wait_for("globalThis.code === 'denied'").await;
    assert_eq!(webkit.asked().await, 1);

    webkit.open(&format!("{}/", server.url)).await;
    webkit
        .reads("Notifications are blocked for this site.")
        .await;
    webkit.reads("Blocked").await;
    assert_eq!(
        webkit
            .run("document.querySelector('#subscribe').disabled")
            .await,
        true
    );
    assert_eq!(webkit.asked().await, 1);
    assert!(server.exported().await.is_empty());
}

/// WebKitGTK as it is distributed.
#[tokio::test]
#[ignore = "needs WebKitGTK: tests/run"]
async fn the_page_reports_a_browser_without_a_push_service_and_stores_nothing() {
    let service = PushService::start().await;
    let (server, webkit) = tokio::join!(Server::start(&service), Webkit::start());
    webkit.open(&format!("{}/", server.url)).await;
    webkit.click("#subscribe").await;
    webkit
        .reads("The browser cannot subscribe. Its push service may be out of reach")
        .await;
    webkit.reads("Not subscribed").await;
    assert_eq!(webkit.asked().await, 1);
    assert!(server.exported().await.is_empty());

    let without = Webkit::start_without_push().await;
    without.open(&format!("{}/", server.url)).await;
    without
        .reads("This browser does not support push messages here.")
        .await;
    without.reads("Not supported").await;
    assert_eq!(
        without
            .run("document.querySelector('#subscribe').disabled")
            .await,
        true
    );
}

#[tokio::test]
#[ignore = "needs WebKitGTK and axe-core: tests/run"]
async fn the_demo_and_the_console_pass_axe_and_never_scroll_sideways() {
    let service = PushService::start().await;
    let (server, webkit) = tokio::join!(Server::start(&service), Webkit::start());
    let key = server.public_key().await;
    for tags in [json!(["news"]), json!(["news", "beta"])] {
        let browser = service.subscribe(Some(&key));
        let registration = browser.to_json_with(json!({"tags": tags}));
        server.post("/push/subscribe", &registration).await;
    }
    webkit.open(&format!("{}/", server.url)).await;
    webkit.reads("Not subscribed").await;
    webkit.judge("webkit/demo").await;

    webkit.open(&format!("{}/console", server.url)).await;
    webkit.fill("#token", &server.token()).await;
    webkit.click("button[type=submit]").await;
    webkit.reads("By push service").await;
    webkit.judge("webkit/console-subscribers").await;
    webkit.click("a[href='#compose']").await;
    webkit.fill("#compose-title", "From WebKit").await;
    webkit
        .fill("#compose-navigate", "https://www.example.org/")
        .await;
    webkit.fill("#compose-audience", "news && !beta").await;
    webkit
        .wait_for("document.querySelector('.reach strong')?.textContent === '1'")
        .await;
    webkit.judge("webkit/console-compose").await;
    webkit.click("#compose-submit").await;
    webkit.reads("Send to 1 subscriber?").await;
    webkit.click("dialog #yes").await;
    webkit
        .wait_for("document.querySelector('.pill')?.textContent === 'done'")
        .await;
    webkit.judge("webkit/console-campaign").await;
    let delivered = service.deliveries();
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0].json()["notification"]["title"], "From WebKit");
    assert_eq!(webkit.complaints().await, json!([]));
}

#[tokio::test]
#[ignore = "needs WebKitGTK and axe-core: tests/run"]
async fn the_demo_page_says_what_to_do_when_apple_refuses_a_server_without_a_subject() {
    let service = PushService::start().await;
    let advice = "Set PUSHCAST_VAPID_SUBJECT=mailto:you@your.domain and start the server again.";
    let refused = Canned::status(403).json(&json!({"reason": "BadJwtToken"}));
    service.answer(Whom::Everyone, refused);
    for (subject, says) in [("", advice), ("mailto:you@pushcast.dev", "BadJwtToken")] {
        let mut environment = environment_of(&service);
        environment.push(("PUSHCAST_VAPID_SUBJECT", subject.to_owned()));
        let (server, webkit) = tokio::join!(Server::start_with(environment), Webkit::start());
        visit(&service, &server, &webkit, &server.url).await;
        webkit.click("#subscribe").await;
        webkit.reads("Subscribed: the first one here.").await;
        webkit.click("#send").await;
        webkit.reads(says).await;
        let advised = format!("document.body.innerText.includes({})", json!(advice));
        assert_eq!(webkit.run(&advised).await, says == advice);
        if says == advice {
            webkit.judge("webkit/demo-advice").await;
        }
    }
}
