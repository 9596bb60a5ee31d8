//! `pushcast push`: one message to one subscription, from a shell.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use webpush::{VapidKey, base64url};

use crate::support::program::{environment_of, program};
use crate::support::push_service::behaviour::Canned;
use crate::support::push_service::{Delivery, PushService};
use crate::support::subscribers::browser::Browser;
use crate::support::table::rows;

const SUBJECT: &str = "mailto:tests@pushcast.dev";

/// A push service, a subscriber, and the sender's files.
struct Scene {
    service: PushService,
    browser: Browser,
    folder: TempDir,
    key: VapidKey,
}

impl Scene {
    async fn new() -> Self {
        Self::at(PushService::start().await)
    }

    fn at(service: PushService) -> Self {
        let scene = Self {
            browser: service.subscribe(None),
            service,
            folder: TempDir::new().expect("a folder"),
            key: VapidKey::generate().expect("a key"),
        };
        scene.write("info.json", scene.browser.to_json().to_string());
        scene.write("claims.json", json!({"sub": SUBJECT}).to_string());
        scene.write("key.pem", scene.key.to_pkcs8_pem());
        scene
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), content).expect("a file");
    }

    /// `pushcast push` in the sender's folder. The environment holds only the allow-list with `service`.
    fn bare(&self, flags: &[&str]) -> Command {
        let mut command = program(&[&["push"], flags].concat());
        command
            .envs(environment_of(&self.service))
            .env_remove("PUSHCAST_VAPID_SUBJECT")
            .current_dir(&self.folder);
        command
    }

    fn signed(&self, flags: &[&str]) -> Command {
        let signed = [
            "-i",
            "info.json",
            "--key",
            "key.pem",
            "--claims",
            "claims.json",
        ];
        self.bare(&[&signed, flags].concat())
    }

    /// Pushes, and returns the delivery.
    async fn push(&self, flags: &[&str]) -> Delivery {
        let output = run(self.signed(flags)).await;
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {output:?}");
        let delivered = self.service.deliveries_to(&self.browser);
        delivered.last().expect("it was delivered").clone()
    }

    /// Standard error of a command that must fail with `code` before it sends anything.
    async fn refused(&self, command: Command, code: i32) -> String {
        let before = self.service.requests();
        let output = run(command).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(self.service.requests(), before, "nothing was sent");
        let said = text(&output.stderr);
        assert!(!said.contains("panicked"), "{said}");
        assert!(!said.contains(&self.key.to_raw_base64url()), "{said}");
        said
    }
}

async fn run(mut command: Command) -> Output {
    command.output().await.expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn claims(delivery: &Delivery) -> Value {
    let claims = delivery.authorization.split('.').nth(1).expect("a JWT");
    let claims = base64url::decode(claims).expect("base64url");
    serde_json::from_slice(&claims).expect("JSON")
}

#[tokio::test]
async fn data_comes_from_a_file_a_flag_the_standard_input_or_is_empty() {
    let scene = Scene::new().await;
    let binary: Vec<u8> = (0..=255).collect();
    scene.write("binary", &binary);
    for encoding in ["aes128gcm", "aesgcm"] {
        let file = scene.push(&["-d", "binary", "--encoding", encoding]).await;
        assert_eq!(file.text, binary);
        assert_eq!(file.headers["content-encoding"], encoding);
        let said = scene
            .push(&["--text", "--hello", "--encoding", encoding])
            .await;
        assert_eq!(said.text, b"--hello");

        let mut command = scene.signed(&["--data", "-", "--encoding", encoding]);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(&binary).await.expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().await.expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let delivered = scene.service.deliveries_to(&scene.browser);
        assert_eq!(delivered.last().expect("one").text, binary);

        scene.write("empty", "");
        for nothing in [vec![], vec!["--data", "empty"], vec!["--text", ""]] {
            let before = scene.service.deliveries().len();
            let push = scene
                .push(&[&nothing[..], &["--encoding", encoding]].concat())
                .await;
            assert_eq!(scene.service.deliveries().len(), before + 1);
            assert!(push.text.is_empty());
            assert_eq!(push.headers["ttl"], "2419200");
            assert!(push.authorization.starts_with("vapid t="));
            assert!(!push.headers.contains_key("content-encoding"));
        }
    }
}

#[tokio::test]
async fn ttl_urgency_and_topic_come_from_flags_or_headers_that_must_not_contradict() {
    let scene = Scene::new().await;
    let flags = ["--ttl", "7", "--urgency", "high", "--topic", "news"];
    let flagged = scene.push(&flags).await;
    scene.write(
        "head.json",
        r#"{"ttl": "7", "urgency": "high", "TOPIC": "news"}"#,
    );
    let headed = scene.push(&["--head", "head.json"]).await;
    let both = scene
        .push(&[&flags[..], &["--head", "head.json"]].concat())
        .await;
    for push in [&flagged, &headed, &both] {
        assert_eq!(push.ttl, 7);
        assert_eq!(push.urgency.as_deref(), Some("high"));
        assert_eq!(push.topic.as_deref(), Some("news"));
    }
    for (flag, value) in [("--ttl", "8"), ("--urgency", "low"), ("--topic", "sport")] {
        let command = scene.signed(&["--head", "head.json", flag, value]);
        let said = scene.refused(command, 1).await;
        assert!(said.contains(flag) && said.contains("different"), "{said}");
    }
    for (flag, value) in [
        ("--ttl", "-1"),
        ("--ttl", "4294967296"),
        ("--urgency", "urgent"),
        ("--topic", "a b"),
        ("--timeout", "0"),
        ("--timeout", "inf"),
        ("--encoding", "aesgcm128"),
    ] {
        let said = scene
            .refused(scene.signed(&[&format!("{flag}={value}")]), 2)
            .await;
        assert!(said.contains(flag), "{said}");
    }
}

#[tokio::test]
async fn the_headers_for_windows_work_as_pywebpush_s_page_shows_them() {
    let scene = Scene::at(PushService::builder().wns().start().await);
    let head = r#"{"X-WNS-Type":"wns/toast", "TTL":600, "Content-Type": "text/xml"}"#;
    scene.write("windows_headers.json", head);
    let push = scene
        .push(&["--head", "windows_headers.json", "--text", "<toast/>"])
        .await;
    assert_eq!(push.ttl, 600);
    assert_eq!(push.headers["x-wns-type"], "wns/toast");
    assert_eq!(push.headers["content-type"], "text/xml");
    assert!(!push.headers.contains_key("x-wns-cache-policy"));
    for (flags, policy) in [
        (vec!["--head", "windows_headers.json"], "cache"),
        (vec!["--ttl", "0"], "no-cache"),
        (vec![], "cache"),
    ] {
        let push = scene.push(&[&flags[..], &["--wns"]].concat()).await;
        assert_eq!(push.headers["x-wns-cache-policy"], policy, "{flags:?}");
    }
    // Other push services may refuse such a header, and the command then shows the answer.
    let other = Scene::new().await;
    let output = run(other.signed(&["--wns"])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("x-wns-cache-policy is for WNS"));
}

/// Headers, the content encoding, and the error message.
const BREAKING_HEADERS: &str = r#"
{"Content-Encoding": "aesgcm"} | aes128gcm | Content-Encoding
{"content-encoding": "gzip"} | aes128gcm | Content-Encoding
{"Encryption": "salt=AAAA"} | aes128gcm | Encryption
{"Encryption": "salt=AAAA"} | aesgcm | Encryption
{"Crypto-Key": "p256ecdsa=BAAA"} | aes128gcm | Crypto-Key
{"Crypto-Key": "dh=BAAA"} | aesgcm | Crypto-Key
{"Authorization": "Bearer secret"} | aes128gcm | Authorization
{"Content-Length": 3} | aes128gcm | Content-Length
{"Transfer-Encoding": "chunked"} | aes128gcm | transfer-encoding
{"Host": "elsewhere.example"} | aes128gcm | Host
{"TTL": 1.5} | aes128gcm | TTL
{"TTL": ""} | aes128gcm | TTL
{"X-A": "a\r\nb"} | aes128gcm | x-a
{"X-A": []} | aes128gcm | X-A
{"X A": "1"} | aes128gcm | X A
[1] | aes128gcm | JSON object
{ | aes128gcm | not JSON
"#;

#[tokio::test]
async fn headers_that_would_break_the_message_are_refused_unless_they_agree() {
    let scene = Scene::new().await;
    for [head, encoding, says] in rows(BREAKING_HEADERS) {
        scene.write("head.json", head);
        let mut flags = vec!["--text", "hello", "--head", "head.json"];
        if encoding == "aesgcm" {
            flags.extend(["--encoding", encoding]);
        }
        let said = scene.refused(scene.signed(&flags), 1).await;
        assert!(said.contains(says), "{head}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
    let authority = &scene.service.origin()["https://".len()..];
    let agreeing = json!({
        "Content-Encoding": "aesgcm", "Crypto-Key": "p256ecdsa=BAAA", "Host": authority,
        "User-Agent": "mine/1", "X-Number": 7, "X-Truth": true, "Content-Length": "146",
    });
    scene.write("head.json", agreeing.to_string());
    let flags = [
        "--text",
        "hello",
        "--head",
        "head.json",
        "--encoding",
        "aesgcm",
    ];
    let push = scene.push(&flags).await;
    assert_eq!(push.text, b"hello");
    assert_eq!(push.headers["user-agent"], "mine/1");
    assert_eq!(push.headers["x-number"], "7");
    assert_eq!(push.headers["x-truth"], "true");
    let key = push.headers["crypto-key"].to_str().expect("text");
    assert!(key.starts_with("p256ecdsa=BAAA;dh="), "{key}");
}

#[tokio::test]
async fn a_token_that_was_signed_elsewhere_is_sent_only_to_its_own_origin() {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let token = scene.push(&[]).await.authorization;
    scene.write("head.json", json!({"Authorization": token}).to_string());
    let flags = ["-i", "info.json", "--head", "head.json", "--text", "hello"];
    let output = run(scene.bare(&flags)).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        scene
            .service
            .deliveries()
            .last()
            .expect("one")
            .authorization,
        token
    );

    other.write("head.json", json!({"Authorization": token}).to_string());
    let said = other.refused(other.bare(&flags), 1).await;
    assert!(said.contains("another push service"), "{said}");
    assert!(!said.contains(&token[..20]), "{said}");
}

#[tokio::test]
async fn the_key_is_given_as_a_file_or_itself_in_every_form() {
    let scene = Scene::new().await;
    scene.write("key.der", scene.key.to_pkcs8_der());
    let pair = json!({"publicKey": scene.key.public_base64url(), "privateKey": scene.key.to_raw_base64url()});
    scene.write("key.json", pair.to_string());
    let given = [
        "key.pem".to_owned(),
        "key.der".to_owned(),
        "key.json".to_owned(),
        scene.key.to_pkcs8_pem(),
        scene.key.to_sec1_pem(),
        scene.key.to_raw_base64url(),
        base64url::encode(scene.key.to_pkcs8_der()),
        pair.to_string(),
    ];
    for key in given {
        let flags = ["-i", "info.json", "--claims", "claims.json", "--key", &key];
        let output = run(scene.bare(&flags)).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let deliveries = scene.service.deliveries();
        let token = &deliveries.last().expect("one").authorization;
        assert!(token.ends_with(&scene.key.public_base64url()));
    }
    // Or the server's own key and subject.
    let mut command = scene.bare(&["-i", "info.json"]);
    command
        .env("PUSHCAST_VAPID_KEYS", "key.pem")
        .env("PUSHCAST_VAPID_SUBJECT", SUBJECT);
    assert_eq!(run(command).await.status.code(), Some(0));
    assert_eq!(
        claims(scene.service.deliveries().last().expect("one"))["sub"],
        SUBJECT
    );
}

/// Flags, the exit code, and the error message.
const WRONG_FLAGS: &str = "
. | 2 | --info
-i info.json -d text --text b | 2 | --text
-i absent.json | 1 | --info absent.json
-i text | 1 | not the JSON of a PushSubscription
-i no-keys.json | 1 | keys
-i off.json | 1 | PUSHCAST_PUSH_ORIGINS=https://push.elsewhere.dev:8443
-i info.json -d absent | 1 | --data absent
-i - -d - | 1 | --info and --data
-i info.json --head absent | 1 | --head absent
-i info.json -d large | 1 | 1 more than the 3993
-i info.json --claims claims.json | 1 | --key
-i info.json --key key.pem | 1 | --claims
-i info.json --key nothing --claims claims.json | 1 | --key
-i info.json --key key.pem --claims bare.json | 1 | Apple
-i info.json --key key.pem --claims local.json | 1 | Apple
-i info.json --key key.pem --claims none.json | 1 | Apple
-i info.json --key key.pem --claims aud.json | 1 | never sent to another
-i info.json --key key.pem --claims exp.json | 1 | 24 hours
-i info.json --key key.pem --claims word.json | 1 | Unix seconds
-i info.json --key key.pem --claims text | 1 | not JSON
";

#[tokio::test]
async fn a_missing_or_wrong_flag_is_reported_and_nothing_is_sent() {
    let scene = Scene::new().await;
    scene.write("text", "hello");
    scene.write(
        "off.json",
        r#"{"endpoint": "https://push.elsewhere.dev:8443/a", "keys": {"p256dh": "", "auth": ""}}"#,
    );
    scene.write(
        "no-keys.json",
        json!({"endpoint": scene.browser.endpoint()}).to_string(),
    );
    scene.write("large", vec![b'x'; 3994]);
    scene.write("bare.json", r#"{"sub": "tests@pushcast.dev"}"#);
    scene.write("local.json", r#"{"sub": "mailto:me@localhost"}"#);
    scene.write("none.json", r#"{"aud": "https://fcm.googleapis.com"}"#);
    scene.write(
        "aud.json",
        json!({"sub": SUBJECT, "aud": "https://fcm.googleapis.com"}).to_string(),
    );
    scene.write(
        "exp.json",
        json!({"sub": SUBJECT, "exp": 99_999_999_999_i64}).to_string(),
    );
    scene.write(
        "word.json",
        json!({"sub": SUBJECT, "exp": "soon"}).to_string(),
    );
    for [flags, code, says] in rows(WRONG_FLAGS) {
        let flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != ".").collect();
        let code = code.parse().expect("a number");
        let said = scene.refused(scene.bare(&flags), code).await;
        assert!(said.contains(says), "{flags:?}: {said}");
    }
}

/// Answers of the push service, and what `--json` prints for them.
fn answers() -> Vec<(Canned, Value)> {
    let body = json!({"code": 401, "errno": 109, "error": "Unauthorized", "message": "Bad token"});
    let autopush = Canned::status(401).json(&body);
    let apple = Canned::status(403).json(&json!({"reason": "BadJwtToken"}));
    vec![
        (
            autopush,
            json!({"outcome": "our_fault", "status": 401, "code": 401, "errno": 109, "reason": "Unauthorized", "message": "Bad token"}),
        ),
        (
            apple,
            json!({"outcome": "our_fault", "status": 403, "reason": "BadJwtToken"}),
        ),
        (
            Canned::status(410),
            json!({"outcome": "gone", "status": 410}),
        ),
        (
            Canned::status(413).text("too\nlarge"),
            json!({"outcome": "too_large", "status": 413, "message": "too large"}),
        ),
        (
            Canned::status(429).header("retry-after", "120"),
            json!({"outcome": "throttled", "status": 429, "retry_after": 120}),
        ),
        (
            Canned::status(400).header("retry-after", "9"),
            json!({"outcome": "refused", "status": 400, "retry_after": 9}),
        ),
        (
            Canned::status(503),
            json!({"outcome": "unavailable", "status": 503}),
        ),
        (
            Canned::status(307).header("location", "https://elsewhere.example/"),
            json!({"outcome": "refused", "status": 307, "location": "https://elsewhere.example/"}),
        ),
    ]
}

#[tokio::test]
async fn every_answer_is_shown_and_only_an_acceptance_exits_with_0() {
    let scene = Scene::new().await;
    let output = run(scene.signed(&["--text", "hello"])).await;
    let said = text(&output.stdout);
    assert!(said.contains("accepted") && said.contains("201"), "{said}");
    assert!(said.contains("/m/1"), "the Location is in: {said}");

    for (answer, expected) in answers() {
        scene
            .service
            .answer(&scene.browser, answer.clone())
            .times(2);
        let output = run(scene.signed(&["--json"])).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(said, expected);
        let output = run(scene.signed(&[])).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = text(&output.stdout);
        for (name, value) in expected.as_object().expect("an object") {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            let line = said
                .lines()
                .any(|line| line.starts_with(name) && line.ends_with(&value));
            assert!(line, "{name} {value} in: {said}");
        }
    }
    assert_eq!(scene.service.deliveries().len(), 1);
}

#[tokio::test]
async fn a_push_without_an_answer_in_time_is_unreachable_and_exits_with_1() {
    let scene = Scene::new().await;
    scene.service.hang(&scene.browser);
    let output = run(scene.signed(&["--timeout", "0.5", "--json"])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said["outcome"], "unreachable");
    assert!(
        said["failure"]
            .as_str()
            .is_some_and(|why| why.contains("in time")),
        "{said}"
    );
    scene.service.wait_until_idle(Duration::from_secs(30)).await;
}

#[tokio::test]
async fn claims_are_filled_in_and_kept() {
    let scene = Scene::new().await;
    let now = pushcast::clock::Clock::system().now().as_second();
    let given = json!({"sub": SUBJECT, "exp": now - 5, "iat": 7, "nested": {"a": [1, null]}});
    scene.write("claims.json", given.to_string());
    let claims = claims(&scene.push(&[]).await);
    assert_eq!(claims["aud"], scene.service.origin());
    let ahead = claims["exp"].as_i64().expect("an integer") - now;
    assert!((12 * 3600..12 * 3600 + 600).contains(&ahead), "{ahead}");
    assert_eq!(
        (&claims["iat"], &claims["nested"]),
        (&given["iat"], &given["nested"])
    );
}

#[tokio::test]
async fn verbose_prints_the_request_without_anything_that_lets_others_send() {
    let scene = Scene::new().await;
    let output = run(scene.signed(&["-v", "--text", "hello"])).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stderr);
    for shown in [
        scene.service.origin().as_str(),
        "ttl",
        "aes128gcm",
        SUBJECT,
        "5 bytes",
    ] {
        assert!(said.contains(shown), "{shown} in: {said}");
    }
    let deliveries = scene.service.deliveries();
    let signature = deliveries[0]
        .authorization
        .split(['.', ','])
        .nth(2)
        .expect("a signature");
    for secret in [
        scene.browser.endpoint(),
        signature,
        &scene.key.to_raw_base64url(),
    ] {
        assert!(!said.contains(secret), "{secret} in: {said}");
    }
}

async fn paste(line: &str, folder: &Path) -> Output {
    let mut shell = Command::new("sh");
    run({
        shell.args(["-c", line]).current_dir(folder);
        shell
    })
    .await
}

#[tokio::test]
#[ignore = "needs curl: tests/run"]
async fn the_printed_curl_command_works_in_any_folder() {
    let scene = Scene::new().await;
    // A folder name with characters that a shell treats specially.
    let folder = scene.folder.path().join("it's a \"folder\" $HOME");
    std::fs::create_dir(&folder).expect("a folder");
    scene.write(
        "head.json",
        r#"{"X-Odd": "it's $HOME `id` \"quoted\" \\", "X-Empty": ""}"#,
    );
    for encoding in ["aes128gcm", "aesgcm"] {
        for data in [vec![], vec!["--text", "hello"]] {
            let common = ["--curl", "--encoding", encoding, "--head", "../head.json"];
            let given = [
                "-i",
                "../info.json",
                "--key",
                "../key.pem",
                "--claims",
                "../claims.json",
            ];
            let mut command = scene.bare(&[&given, &common[..], &data[..]].concat());
            command.current_dir(&folder);
            let output = run(command).await;
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let line = text(&output.stdout);
            assert!(!line.contains(&scene.key.to_raw_base64url()));
            let before = scene.service.deliveries().len();
            let pasted = paste(&line, Path::new("/")).await;
            assert!(pasted.status.success(), "{line}\n{pasted:?}");
            assert!(text(&pasted.stdout).contains("201"), "{pasted:?}");
            let delivered = scene.service.deliveries();
            assert_eq!(delivered.len(), before + 1, "once");
            let push = delivered.last().expect("one");
            assert_eq!(push.text, if data.is_empty() { &b""[..] } else { b"hello" });
            assert_eq!(push.headers["x-odd"], r#"it's $HOME `id` "quoted" \"#);
            assert_eq!(push.headers["x-empty"], "");
        }
    }
    // Each body is in a file of its own that only its owner can read.
    let names = ["encrypted.data", "encrypted-2.data"];
    for name in names {
        let file = std::fs::metadata(folder.join(name)).expect("a body");
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777,
            0o600
        );
    }
    let output = run(scene.signed(&["--curl", "--json", "--text", "hello"])).await;
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let body = said["body"].as_str().expect("a file");
    assert!(Path::new(body).is_file());
    assert!(
        said["curl"]
            .as_str()
            .is_some_and(|line| line.contains(body))
    );
}
