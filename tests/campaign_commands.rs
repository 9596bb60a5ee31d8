use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout};
use tokio::sync::watch;
use tokio::time::timeout;
use webpush::Topic;

use crate::support::program::{Server, program};
use crate::support::push_service::PushService;
use crate::support::push_service::behaviour::{Behaviour, Canned};
use crate::support::subscribers::Subscribers;
use crate::support::subscribers::browser::Browser;
use crate::support::waiting::PATIENCE;

const NEWS: &str = r#"{"title": "t", "navigate": "https://a.example/"}"#;

async fn start() -> (PushService, Server) {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    (service, server)
}

/// Runs a command with this server's URL and token.
async fn run(server: &Server, arguments: &[&str]) -> Output {
    let mut command = server.command(&[arguments, &["--url", &server.url]].concat());
    let output = timeout(PATIENCE, command.output()).await;
    output.expect("it ends").expect("it runs")
}

#[track_caller]
fn stdout_of(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr_of(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn json_lines(text: &str) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).expect("a line is JSON");
    text.lines().map(line).collect()
}

/// A browser, subscribed as `user`.
async fn subscribed(server: &Server, service: &PushService, user: &str) -> Browser {
    let browser = service.subscribe(Some(&server.public_key().await));
    let proof = json!({"user": user, "userSignature": server.sign(user)});
    let answer = server
        .post("/push/subscribe", &browser.to_json_with(proof))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    browser
}

#[tokio::test]
async fn send_shows_a_result_for_each_device_of_a_user() {
    let (service, server) = start().await;
    let (first, second) = (
        subscribed(&server, &service, "ada").await,
        subscribed(&server, &service, "ada").await,
    );
    service.answer(&second, Canned::status(429).header("retry-after", "7"));
    let flags = ["--ttl", "60", "--urgency", "very-low", "--topic", "t"];
    let text = [
        &["send", "--user", "ada", "--text", "-5 \u{e9}"][..],
        &flags,
    ]
    .concat();
    let sent = stdout_of(&run(&server, &text).await, 0);
    let line = |browser: &Browser| {
        let mut lines = sent.lines();
        let found = lines.find(|line| line.contains(browser.endpoint()));
        found.expect("a line for each device").to_owned()
    };
    assert!(line(&first).starts_with("accepted     201"), "{sent}");
    assert!(line(&second).starts_with("throttled    429"), "{sent}");
    assert!(line(&second).contains("after 7 s"), "{sent}");
    let delivery = &service.deliveries()[0];
    assert_eq!(delivery.text, "-5 \u{e9}".as_bytes());
    let topic: Topic = "t".parse().expect("a topic");
    assert_eq!(delivery.topic.as_deref(), Some(topic.as_str()));

    let to = ["send", "--endpoint", first.endpoint(), "--json"];
    let content = [
        "--title",
        "Hi",
        "--body",
        "there",
        "--navigate",
        "https://a.example/",
    ];
    let sent = run(&server, &[&to[..], &content].concat()).await;
    let results = json_lines(&stdout_of(&sent, 0));
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["outcome"], "accepted");
    let shown = service.deliveries()[1].json();
    assert_eq!(
        shown["notification"],
        json!({"title": "Hi", "navigate": "https://a.example/", "body": "there"})
    );

    let to = ["send", "--endpoint", second.endpoint(), "--text", "x"];
    let refused = run(&server, &to).await;
    assert!(
        stdout_of(&refused, 1).starts_with("throttled"),
        "{refused:?}"
    );
    let nobody = run(&server, &["send", "--user", "nobody", "--text", "x"]).await;
    assert_eq!(stdout_of(&nobody, 1), "");
    assert!(stderr_of(&nobody).contains("no devices"), "{nobody:?}");
}

#[tokio::test]
async fn send_takes_a_payload_unchanged_from_a_file_or_the_standard_input() {
    let (service, server) = start().await;
    let browser = subscribed(&server, &service, "ada").await;
    let file = server.data().join("message.json");
    std::fs::write(&file, "{ \"a\" : 1 }\n").expect("room");
    let file = file.display().to_string();
    let sent = run(&server, &["send", "--user", "ada", "--payload", &file]).await;
    stdout_of(&sent, 0);
    let news = server.data().join("news.json");
    std::fs::write(&news, NEWS).expect("room");
    let news = news.display().to_string();
    for given in [&news, NEWS] {
        let sent = run(&server, &["send", "--user", "ada", "--notification", given]).await;
        stdout_of(&sent, 0);
    }
    let mut command = server.command(&[
        "send",
        "--endpoint",
        browser.endpoint(),
        "--payload",
        "-",
        "--url",
        &server.url,
    ]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b" from a pipe ").await.expect("it reads");
    drop(stdin);
    let ended = timeout(PATIENCE, child.wait()).await.expect("it ends");
    assert!(ended.expect("it runs").success());
    let deliveries = service.deliveries();
    let texts: Vec<&[u8]> = deliveries.iter().map(|it| &it.text[..]).collect();
    assert_eq!(texts[0], b"{ \"a\" : 1 }\n");
    assert_eq!(texts[1], texts[2]);
    assert_eq!(texts[3], b" from a pipe ");
}

#[tokio::test]
async fn send_starts_one_campaign_per_id_and_watches_it_to_the_end() {
    let (service, server) = start().await;
    let tags = |i: usize| if i < 3 { vec!["news"] } else { vec![] };
    Subscribers::import(&server, &service, 5, tags).await;
    let send = [
        "send",
        "--audience",
        "news && !beta",
        "--notification",
        NEWS,
        "--id",
        "bridge:1",
        "--rate",
        "100",
    ];
    let started = run(&server, &send).await;
    assert_eq!(stdout_of(&started, 0), "bridge:1\n");
    let hint = "pushcast campaigns watch bridge:1";
    assert!(stderr_of(&started).contains(hint), "{started:?}");
    let watched = run(&server, &["campaigns", "watch", "bridge:1"]).await;
    let lines = stdout_of(&watched, 0);
    let last = lines.lines().last().expect("a line with the end");
    assert_eq!(last, "done: read 5 of 5; accepted 3");

    let again = run(&server, &[&send[..], &["--watch", "--json"]].concat()).await;
    let shown = json_lines(&stdout_of(&again, 0));
    let end = shown.last().expect("the end");
    assert_eq!(end["status"], "done");
    assert_eq!(end["rate"], 100);
    assert_eq!(
        service.deliveries().len(),
        3,
        "the same id sends nothing again"
    );

    let shown = stdout_of(&run(&server, &["campaigns", "show", "bridge:1"]).await, 0);
    for said in [
        "bridge:1",
        "done",
        "news && !beta",
        "5 of 5",
        "accepted 3",
        "100 a second",
    ] {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    let shown = run(&server, &["campaigns", "show", "bridge:1", "--json"]).await;
    assert_eq!(&json_lines(&stdout_of(&shown, 0))[0], end);
    for action in ["cancel", "resume"] {
        let late = run(&server, &["campaigns", action, "bridge:1"]).await;
        assert_eq!(stdout_of(&late, 1), "");
        assert!(stderr_of(&late).contains("409"), "{late:?}");
    }
}

const WRONG_ARGUMENTS: [&[&str]; 12] = [
    &["send", "--text", "x"],
    &["send", "--audience", "all"],
    &["send", "--audience", "all", "--user", "a", "--text", "x"],
    &["send", "--user", "a", "--text", "x", "--payload", "y"],
    &["send", "--user", "a", "--title", "x"],
    &["send", "--user", "a", "--text", "x", "--body", "y"],
    &["send", "--user", "a", "--text", "x", "--id", "i"],
    &["send", "--user", "a", "--text", "x", "--rate", "1"],
    &["send", "--user", "a", "--text", "x", "--watch"],
    &["send", "--user", "a", "--text", "x", "--urgency", "urgent"],
    &["campaigns"],
    &["campaigns", "show"],
];

#[tokio::test]
async fn a_refused_message_is_reported_and_not_sent() {
    let (service, server) = start().await;
    for (arguments, says) in [
        (
            &["send", "--audience", "a &&", "--text", "x"][..],
            "character",
        ),
        (&["send", "--audience", "all", "--text", ""], "data"),
        (
            &["send", "--audience", "all", "--text", "x", "--id", "a/b"],
            "id",
        ),
        (
            &["send", "--audience", "all", "--notification", "{}"],
            "notification.title",
        ),
        (
            &["send", "--user", "a", "--notification", "{"],
            "is not JSON",
        ),
        (
            &["send", "--user", "a", "--payload", "/nowhere"],
            "/nowhere",
        ),
        (
            &["send", "--endpoint", "https://a.example/x", "--text", "x"],
            "404",
        ),
        (&["campaigns", "show", "a/../b"], "404"),
        (&["campaigns", "watch", "unknown"], "404"),
        (&["campaigns", "cancel", "unknown"], "404"),
        (&["campaigns", "resume", "unknown"], "404"),
        (&["campaigns", "list", "--token", "wrong"], "401"),
    ] {
        let output = run(&server, arguments).await;
        assert_eq!(stdout_of(&output, 1), "", "{arguments:?}");
        let said = stderr_of(&output);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    for arguments in WRONG_ARGUMENTS {
        let output = program(arguments).output().await.expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
    let listed = run(&server, &["campaigns", "list"]).await;
    assert_eq!(stdout_of(&listed, 0), "");
    assert!(stderr_of(&listed).contains("no campaigns"), "{listed:?}");
    assert_eq!(service.requests(), 0);
}

/// A running `pushcast campaigns watch`, read line by line.
struct Watcher {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watcher {
    fn start(server: &Server, url: &str, id: &str, more: &[&str]) -> Self {
        let arguments = [&["campaigns", "watch", id, "--url", url][..], more].concat();
        let mut command = server.command(&arguments);
        let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("it starts");
        let stdout = child.stdout.take().expect("a pipe");
        let lines = BufReader::new(stdout).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        line.expect("in time").expect("text").expect("a line")
    }

    /// Its last line, exit code and standard error.
    async fn end(mut self) -> (String, Option<i32>, String) {
        let mut last = String::new();
        while let Some(line) = timeout(PATIENCE, self.lines.next_line())
            .await
            .expect("in time")
            .expect("text")
        {
            last = line;
        }
        let output = timeout(PATIENCE, self.child.wait_with_output()).await;
        let output = output.expect("it ends").expect("it runs");
        (last, output.status.code(), stderr_of(&output))
    }
}

/// Starts a campaign that waits half a minute before its next retry.
async fn start_waiting_campaign(server: &Server, service: &PushService, id: &str) {
    subscribed(server, service, "ada").await;
    service.plan(|_, _| {
        Some(Behaviour::Answer(
            Canned::status(503).header("retry-after", "600"),
        ))
    });
    server
        .broadcast(&json!({"to": {"audience": "all"}, "data": "x", "id": id}))
        .await;
    server
        .campaign_until(id, PATIENCE, |it| it["counts"]["retrying"] == 1)
        .await;
}

#[tokio::test]
async fn watch_shows_that_a_campaign_is_cancelled_and_resume_continues_it() {
    let (service, server) = start().await;
    start_waiting_campaign(&server, &service, "c").await;
    let mut watcher = Watcher::start(&server, &server.url, "c", &[]);
    let line = watcher.line().await;
    assert!(
        line.starts_with("running: read 1 of 1; retrying 1"),
        "{line}"
    );
    let cancelled = run(&server, &["campaigns", "cancel", "c", "--json"]).await;
    assert_eq!(
        json_lines(&stdout_of(&cancelled, 0))[0]["status"],
        "cancelled"
    );
    let (last, code, said) = watcher.end().await;
    assert_eq!(last, "cancelled: read 1 of 1; retrying 1");
    assert_eq!(code, Some(1));
    assert!(said.contains("pushcast campaigns resume c"), "{said}");
    let resumed = stdout_of(&run(&server, &["campaigns", "resume", "c"]).await, 0);
    assert!(resumed.contains("running"), "{resumed}");
}

#[tokio::test]
async fn watch_shows_why_a_campaign_is_halted() {
    let (service, server) = start().await;
    Subscribers::import(&server, &service, 60, |_| vec![]).await;
    service.plan(|_, _| Some(Behaviour::Answer(Canned::status(403))));
    let send = [
        "send",
        "--audience",
        "all",
        "--text",
        "x",
        "--watch",
        "--id",
        "h",
    ];
    let halted = run(&server, &send).await;
    let lines = stdout_of(&halted, 1);
    let last = lines.lines().last().expect("a line with the end");
    assert!(last.starts_with("halted: "), "{lines}");
    let reason = server.campaign("h").await["reason"].clone();
    let reason = reason.as_str().expect("a reason");
    assert!(stderr_of(&halted).contains(reason), "{halted:?}");
    let shown = stdout_of(&run(&server, &["campaigns", "show", "h"]).await, 0);
    assert!(shown.contains(reason), "{shown}");
}

/// A fixed address in front of a server that gets another port at each start.
struct Relay {
    url: String,
    to: watch::Sender<String>,
    /// Number of connections that came while no server was running.
    lost: watch::Receiver<usize>,
}

impl Relay {
    async fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (to, target) = watch::channel(address(server));
        let (losing, lost) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let (target, losing) = (target.borrow().clone(), losing.clone());
                tokio::spawn(async move {
                    match TcpStream::connect(target).await {
                        Ok(mut there) => drop(copy_bidirectional(&mut here, &mut there).await),
                        Err(_) => losing.send_modify(|lost| *lost += 1),
                    }
                });
            }
        });
        Self { url, to, lost }
    }
}

fn address(server: &Server) -> String {
    server.url.replace("http://", "")
}

#[tokio::test]
async fn watch_waits_while_the_server_restarts() {
    let (service, mut server) = start().await;
    start_waiting_campaign(&server, &service, "r").await;
    let mut relay = Relay::start(&server).await;
    let mut watcher = Watcher::start(&server, &relay.url, "r", &["--json"]);
    watcher.line().await;
    server.kill().await;
    let lost = relay.lost.wait_for(|lost| *lost >= 2);
    let lost = timeout(PATIENCE, lost).await.expect("it asks again");
    drop(lost.expect("the relay runs"));
    server.restart().await;
    relay.to.send_replace(address(&server));
    stdout_of(&run(&server, &["campaigns", "cancel", "r"]).await, 0);
    let (last, code, _) = watcher.end().await;
    assert_eq!(json_lines(&last)[0]["status"], "cancelled");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn watch_fails_when_the_server_does_not_come_back() {
    let (service, mut server) = start().await;
    start_waiting_campaign(&server, &service, "r").await;
    let mut watcher = Watcher::start(&server, &server.url, "r", &["--patience", "1"]);
    watcher.line().await;
    server.kill().await;
    let (_, code, said) = watcher.end().await;
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot be reached"), "{said}");
    let at_once = run(&server, &["campaigns", "watch", "r"]).await;
    assert_eq!(stdout_of(&at_once, 1), "");
}

#[tokio::test]
async fn the_list_of_campaigns_has_pages_and_starts_with_the_newest() {
    let (_service, server) = start().await;
    for i in 0..23 {
        let id = format!("c-{i:02}");
        server
            .broadcast(&json!({"to": {"audience": "all"}, "data": "x", "id": id}))
            .await;
    }
    let names = |text: &str| -> Vec<String> {
        let name = |line: &str| line.split(' ').next().expect("a word").to_owned();
        text.lines().map(name).collect()
    };
    let expected: Vec<String> = (0..23).rev().map(|i| format!("c-{i:02}")).collect();
    let latest = run(&server, &["campaigns", "list"]).await;
    assert_eq!(names(&stdout_of(&latest, 0)), expected[..20]);
    assert!(stderr_of(&latest).contains("--all"), "{latest:?}");
    let all = run(&server, &["campaigns", "list", "--all"]).await;
    assert_eq!(names(&stdout_of(&all, 0)), expected);
    assert_eq!(stderr_of(&all), "");
    let all = run(&server, &["campaigns", "list", "--all", "--json"]).await;
    let ids: Vec<_> = json_lines(&stdout_of(&all, 0))
        .iter()
        .map(|it| it["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn the_help_texts_have_examples() {
    for (arguments, says) in [
        (
            &["--help"][..],
            &["send", "campaigns", "pushcast send --audience"][..],
        ),
        (
            &["send", "--help"],
            &[
                "--audience",
                "--user",
                "--endpoint",
                "--notification",
                "--payload",
                "--watch",
                "Examples",
                "Exit codes",
            ],
        ),
        (
            &["campaigns", "--help"],
            &["list", "show", "watch", "cancel", "resume", "Examples"],
        ),
        (
            &["campaigns", "watch", "--help"],
            &["--patience", "Ctrl-C", "Exit codes"],
        ),
    ] {
        let output = program(arguments).output().await.expect("it runs");
        let help = stdout_of(&output, 0);
        for word in says {
            assert!(help.contains(word), "{arguments:?}: {word} in {help}");
        }
    }
}
