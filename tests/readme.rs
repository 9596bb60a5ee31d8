//! Runs the README's examples as printed.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::program::Server;
use crate::support::push_service::{Delivery, PushService};

const README: &str = include_str!("../README.md");

/// The blocks marked `sh`, in order: the commands that the reader types.
fn examples() -> String {
    let blocks = README.split("```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

/// Compares an output line with the README's. `..` stands for anything.
fn matches(expected: &str, line: &str) -> bool {
    let mut rest = line;
    let mut pieces = expected.split("..").peekable();
    if !pieces.peek().is_some_and(|first| line.starts_with(first)) {
        return false;
    }
    pieces.all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn the_readme_has_no_placeholder_left() {
    assert!(!README.contains("@@") && !README.contains("TODO"));
}

#[tokio::test]
#[ignore = "needs curl and openssl: tests/run"]
async fn every_example_of_the_readme_works_as_printed() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(server.data(), folder.path().join("pushcast-data")).expect("a link");
    let browser = service.subscribe(Some(&server.public_key().await));
    let subscription =
        browser.to_json_with(json!({"user": "ada", "userSignature": server.sign("ada")}));
    std::fs::write(
        folder.path().join("subscription.json"),
        subscription.to_string(),
    )
    .expect("a file");

    // The README's server listens on the default port, the test's server on a free one.
    let examples = examples().replace("http://127.0.0.1:8080", &server.url);
    let curl = "curl() { command curl --silent --show-error --fail-with-body \"$@\"; echo; }";
    let script = format!("set -e\n{curl}\n{examples}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(&folder)
        .output()
        .await;
    let output = output.expect("sh runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaints}");

    let expected: Vec<&str> = examples
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .collect();
    assert_eq!(
        expected.len(),
        6,
        "the README shows what subscribing, sending, broadcasting, the figures and leaving answer"
    );
    for answer in expected {
        assert!(
            said.lines().any(|line| matches(answer, line)),
            "{answer} is not in: {said}"
        );
    }
    assert!(
        said.lines().any(|line| line == server.sign("ada")),
        "the signature is in: {said}"
    );

    let texts: Vec<Value> = service
        .deliveries_to(&browser)
        .iter()
        .map(Delivery::json)
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(texts[0]["notification"]["title"], "Train 9:42");
    assert!(texts[1]["any"].is_string());
}

#[tokio::test]
#[ignore = "needs curl: tests/run"]
async fn the_curl_command_that_serve_prints_reaches_the_page_s_visitor() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let visitor = server.get("/demo-visitor").await.json;
    let browser = service.subscribe(Some(&server.public_key().await));
    let subscribed = server
        .post("/push/subscribe", &browser.to_json_with(visitor))
        .await;
    assert_eq!(subscribed.status, 200, "{subscribed:?}");

    let line = server
        .welcome
        .lines()
        .find(|line| line.starts_with("curl "))
        .expect("a line");
    let output = Command::new("sh")
        .args(["-c", line])
        .output()
        .await
        .expect("sh runs");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["results"][0]["outcome"], "accepted", "{answer}");
    assert_eq!(
        service.deliveries()[0].json()["notification"]["title"],
        "It works"
    );
}
