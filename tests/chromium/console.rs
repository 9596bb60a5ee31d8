//! The console as an operator uses it: over an API with canned figures, and over `serve`.

use jiff::SignedDuration;
use pushcast::clock::{Chance, Clock};
use pushcast::store::Store;
use serde_json::{Value, json};

use super::signed_in;
use super::stage::{CannedApi, TOKEN};
use crate::stats::Registry;
use crate::support::browsers::chromium::{Chromium, Target};
use crate::support::browsers::page::{Looks as _, Page as _};
use crate::support::program::Server;
use crate::support::push_service::PushService;
use crate::support::waiting::eventually;

#[tokio::test]
#[ignore = "needs chromium and axe-core: tests/run"]
async fn axe_finds_nothing_in_any_view_of_the_console() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = chromium.open(&format!("{}/console", api.url), "").await;
    tab.reads("API token").await;
    tab.judge("console-sign-in").await;
    tab.fill("#token", TOKEN).await;
    tab.click("button[type=submit]").await;

    for (hash, reads) in [
        ("#subscribers", "By push service"),
        ("#campaigns", "news && !(sports || beta)"),
        ("#campaigns/running", "Outcomes"),
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
        tab.judge(&format!("console-{}", hash[1..].replace('/', "-")))
            .await;
    }
    tab.run("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        .await;
    tab.click("[name=time][value=later]").await;
    tab.judge("console-compose-open").await;
    assert_eq!(chromium.complaints(), Vec::<Value>::new());
}

/// Composes a message and reads its preview and size. Returns its payload.
async fn composes_doors_open(tab: &Target<'_>) -> Value {
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
    payload
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_operator_composes_previews_counts_the_audience_sends_and_cancels() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = chromium.open(&format!("{}/console", api.url), "").await;
    tab.fill("#token", "not the token").await;
    tab.click("button[type=submit]").await;
    tab.reads("This is not the API token.").await;
    tab.fill("#token", TOKEN).await;
    tab.press("Enter", 13).await;
    tab.reads("By push service").await;

    let payload = composes_doors_open(&tab).await;
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
    assert!(api.sent().is_empty(), "nothing goes out before the answer");
    tab.click("dialog #yes").await;

    tab.reads("Outcomes").await;
    let sent = api.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["to"], json!({"audience": "news && !offers"}));
    assert_eq!(sent[0]["notification"], payload["notification"]);
    assert!(sent[0]["id"].is_string());
    tab.click("#cancel").await;
    tab.click("dialog #yes").await;
    tab.wait_for("document.querySelector('.pill').textContent === 'cancelled'")
        .await;

    // After signing out, the page holds no data.
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
async fn the_send_button_does_not_move_when_the_audience_s_size_arrives() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = signed_in(&chromium, &api.url, TOKEN).await;
    tab.click("a[href='#compose']").await;
    tab.offers("#compose-submit").await;
    let moved = "(async () => {
        const top = () => document.querySelector('#compose-submit').getBoundingClientRect().top;
        const before = top();
        while (!document.querySelector('.reach strong')) await new Promise((done) => setTimeout(done, 10));
        return top() - before;
    })()";
    assert_eq!(tab.run(moved).await, 0);
}

/// The text of a figure: share done, number accepted, rate, time.
fn figure(n: usize) -> String {
    format!("document.querySelectorAll('.figures dd')[{n}].firstChild.textContent")
}

/// Waits until the figures change by themselves.
async fn moved(tab: &Target<'_>) {
    let accepted = figure(1);
    let before = tab.run(&accepted).await;
    tab.wait_for(&format!("{accepted} !== {before}")).await;
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn a_campaign_page_updates_live_and_keeps_the_element_that_its_reader_uses() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = signed_in(&chromium, &api.url, TOKEN).await;
    tab.run("(location.hash = '#campaigns/running', null)")
        .await;
    tab.reads("Outcomes").await;
    moved(&tab).await;
    tab.wait_for(&format!("{} > '1'", figure(2))).await;
    let services = "[...document.querySelectorAll('.bars b')].map((it) => it.textContent)";
    let all = json!([
        "Google (Chrome, Android)",
        "Mozilla (Firefox)",
        "Apple (Safari)",
        "Microsoft (Edge)"
    ]);
    assert_eq!(tab.run(services).await, all);

    // The operator opens the figures with the keyboard and reads them while they change.
    tab.run("(document.querySelector('summary').focus(), null)")
        .await;
    tab.press("Enter", 13).await;
    let open =
        "document.querySelector('details').open && document.activeElement.tagName === 'SUMMARY'";
    tab.wait_for(open).await;
    moved(&tab).await;
    assert_eq!(tab.run(open).await, true);
    tab.reads("Given up").await;

    // The skip link moves the focus to the content, and the campaign's page stays open.
    tab.run("(document.querySelector('.skip').focus(), null)")
        .await;
    tab.press("Enter", 13).await;
    tab.wait_for("document.activeElement.id === 'view'").await;
    assert_eq!(tab.run("location.hash").await, "#campaigns/running");
    moved(&tab).await;

    // The server is away for a while. The page reports it, and removes the report when the server is back.
    let alert = "document.querySelector('#away').textContent";
    tab.run("(globalThis.real = fetch, globalThis.fetch = async () => { throw new TypeError('away'); }, null)")
        .await;
    tab.wait_for(&format!("{alert} === 'The server cannot be reached.'"))
        .await;
    tab.run("(globalThis.fetch = real, null)").await;
    tab.wait_for(&format!("{alert} === ''")).await;
    moved(&tab).await;
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_console_lists_past_campaigns_and_resumes_a_halted_one() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = signed_in(&chromium, &api.url, TOKEN).await;
    tab.click("a[href='#campaigns']").await;
    let rows = "document.querySelectorAll('tbody tr').length";
    tab.wait_for(&format!("{rows} === 4")).await;
    tab.run("([...document.querySelectorAll('button')].find((it) => it.textContent === 'Show earlier ones').id = 'earlier', null)")
        .await;
    tab.click("#earlier").await;
    tab.wait_for(&format!("{rows} === 5")).await;
    assert_eq!(
        tab.run("document.querySelector('#earlier').hidden").await,
        true
    );

    tab.run("(location.hash = '#campaigns/done', null)").await;
    tab.reads("Outcomes").await;
    assert_eq!(tab.run(&figure(0)).await, "100%");
    assert_eq!(tab.run(&figure(1)).await, "17,804");
    let bars = "[...document.querySelectorAll('.bars span')].map((it) => it.textContent)";
    let drawn = json!([
        "11,690 of 11,906",
        "2,911 of 2,942",
        "2,604 of 2,732",
        "599 of 618"
    ]);
    assert_eq!(tab.run(bars).await, drawn);

    tab.run("(location.hash = '#campaigns/halted', null)").await;
    tab.reads("refuses our token").await;
    tab.run("(document.querySelector('#resume').focus(), null)")
        .await;
    tab.press("Enter", 13).await;
    tab.reads("Resume this campaign?").await;
    assert_eq!(api.sent(), [] as [Value; 0]);
    tab.click("dialog #yes").await;
    tab.wait_for("document.querySelector('.pill').textContent === 'running'")
        .await;
    assert_eq!(api.sent(), [json!({"resumed": "halted"})]);
    // The focused button is gone: the button in its place has the focus.
    assert_eq!(tab.run("document.activeElement.id").await, "cancel");
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn a_key_press_meant_for_cancel_does_not_resume_a_campaign_that_was_halted_meanwhile() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = signed_in(&chromium, &api.url, TOKEN).await;
    tab.run("(location.hash = '#campaigns/running', null)")
        .await;
    tab.reads("Outcomes").await;
    tab.run("(document.querySelector('#cancel').focus(), null)")
        .await;
    api.halt("running");
    tab.wait_for("document.querySelector('.pill').textContent === 'halted'")
        .await;
    assert_eq!(tab.run("document.activeElement.tagName").await, "H1");
    tab.press("Enter", 13).await;
    assert_eq!(tab.run("!!document.querySelector('dialog')").await, false);
}

/// Composes a message with this title and sends it to all subscribers.
async fn send(tab: &Target<'_>, title: &str) {
    tab.click("a[href='#compose']").await;
    tab.fill("#compose-title", title).await;
    tab.fill("#compose-navigate", "https://www.example.org/")
        .await;
    tab.click("#compose-submit").await;
    tab.click("dialog #yes").await;
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn an_operator_who_sends_again_after_a_lost_answer_sends_the_same_campaign() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = signed_in(&chromium, &api.url, TOKEN).await;
    send(&tab, "The answer is lost").await;
    tab.reads("The server answers 504.").await;
    // Switching views and reloading change nothing. The page before the reload shows the same title.
    tab.run("(globalThis.beforeReload = true, location.reload(), null)")
        .await;
    tab.wait_for(
        "!globalThis.beforeReload && document.querySelector('#compose-title')?.value === 'The answer is lost'",
    )
    .await;
    tab.click("a[href='#campaigns']").await;
    // The form of the old page is gone.
    tab.wait_for(
        "document.querySelectorAll('tbody tr').length === 4 && !document.querySelector('form')",
    )
    .await;
    tab.click("a[href='#compose']").await;
    tab.click("#compose-submit").await;
    tab.click("dialog #yes").await;
    tab.reads("Outcomes").await;
    let sent = api.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1], "id and all");

    // Once the first campaign is known to have arrived, the same words start another campaign.
    send(&tab, "The answer is lost").await;
    tab.reads("Outcomes").await;
    let sent = api.sent();
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[2]["notification"], sent[1]["notification"]);
    assert_ne!(sent[2]["id"], sent[1]["id"]);
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn an_operator_who_leaves_the_view_during_a_send_keeps_the_text_written_meanwhile() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = signed_in(&chromium, &api.url, TOKEN).await;
    send(&tab, "The answer is late").await;
    tab.click("a[href='#schedules']").await;
    tab.reads("weekly-news").await;
    tab.click("a[href='#compose']").await;
    tab.fill("#compose-title", "The next one").await;
    tab.wait_for("document.querySelector('#said').textContent === 'Sending.'")
        .await;
    let title = "document.querySelector('#compose-title')?.value";
    assert_eq!(tab.run(title).await, "The next one");
    assert_eq!(tab.run("location.hash").await, "#compose");
    let draft = "JSON.parse(sessionStorage.getItem('pushcast-draft')).title";
    assert_eq!(tab.run(draft).await, "The next one");
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_operator_schedules_and_deletes_with_the_keyboard_alone() {
    let (api, chromium) = tokio::join!(CannedApi::start(), Chromium::start());
    let tab = signed_in(&chromium, &api.url, TOKEN).await;
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
    let sent = api.sent();
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
    eventually("it is deleted", async || {
        (api.sent().last() == Some(&json!({"deleted": "christmas"}))).then_some(())
    })
    .await;
}

/// Thirty browsers subscribe, ten of them with the tag beta. One of the others is gone.
async fn thirty_subscribe(service: &PushService, server: &Server) {
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
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_operator_sends_a_campaign_from_the_console_of_serve_and_watches_it_to_its_end() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    thirty_subscribe(&service, &server).await;
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
    assert_eq!(tab.run(&figure(1)).await, "19");
    assert_eq!(tab.run(&figure(0)).await, "100%");
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

/// Twelve subscribers of the day before yesterday, five of today, one of whom leaves.
async fn twelve_then_five_subscribe(service: &PushService, server: &Server) {
    // Twelve came the day before yesterday, three at each push service.
    let before = Clock::system().now() - SignedDuration::from_hours(48);
    let file = server.data().join("pushcast.db");
    let database = Store::open(Some(&file), Chance::system()).await;
    let database = database.expect("it opens beside the server");
    let registry = Registry::new();
    for n in 0..12 {
        let tags = if n < 4 {
            &["news", "beta"][..]
        } else {
            &["news"]
        };
        let one = registry.registration(n, tags);
        database
            .subscribers
            .subscribe(&one, before)
            .await
            .expect("stored");
    }
    // Today five browsers subscribe, and one of them unsubscribes.
    for n in 0..5 {
        let browser = service.subscribe(None);
        let subscription = browser.to_json_with(json!({"tags": ["offers"]}));
        server.post("/push/subscribe", &subscription).await;
        if n == 0 {
            let gone = json!({"endpoint": browser.endpoint()});
            server.post("/push/unsubscribe", &gone).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs chromium: tests/run"]
async fn the_console_of_serve_shows_subscribers_and_the_size_of_an_audience() {
    let service = PushService::start().await;
    let (server, chromium) = tokio::join!(Server::start(&service), Chromium::start());
    twelve_then_five_subscribe(&service, &server).await;
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
    // The page offers the known tags.
    tab.fill("#compose-audience", "all").await;
    tab.click("button[title='12 subscribers']").await;
    tab.wait_for(&format!("{reach} === 'Reaches12subscribers'"))
        .await;
}
