use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use http::Method;
use openssl::bn::BigNumContext;
use openssl::ec::PointConversionForm;
use openssl::pkey::PKey;
use pushcast::clock::Chance;
use pushcast::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::program::{Server, environment_of, program};
use crate::support::push_service::PushService;
use crate::support::waiting::PATIENCE;

const FORMS: [&str; 5] = ["pem", "sec1", "der", "raw", "json"];
/// An import of this many lines does not fit into a pipe's buffer.
const MANY: usize = 600;

async fn run(arguments: &[&str]) -> Output {
    let output = program(arguments).output().await;
    output.expect("it runs")
}

/// Runs the command with `input` on its standard input.
async fn feed(mut command: Command, input: impl Into<Vec<u8>>) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.stderr(Stdio::piped()).spawn().expect("it starts");
    let (mut stdin, input) = (child.stdin.take().expect("a pipe"), input.into());
    let writing = tokio::spawn(async move {
        // The command may end before it has read everything.
        drop(stdin.write_all(&input).await);
    });
    let ended = timeout(PATIENCE, child.wait_with_output()).await;
    writing.await.expect("no panic");
    ended.expect("it ends").expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// Standard output of a command that must succeed.
#[track_caller]
fn stdout_of(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout)
}

/// Standard error of a command that must fail.
#[track_caller]
fn stderr_of(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    said
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

async fn public_key(given: &str) -> String {
    let shown = run(&["vapid", "show", given, "--json"]).await;
    let shown: Value = serde_json::from_str(&stdout_of(&shown)).expect("JSON");
    shown["publicKey"].as_str().expect("a key").to_owned()
}

#[tokio::test]
async fn a_key_survives_conversion_to_every_form_and_back() {
    let folder = TempDir::new().expect("a folder");
    let made = path(&folder, "made.pem");
    let generated = run(&["vapid", "generate", "--out", &made]).await;
    assert_eq!(stdout_of(&generated), "");
    let pem = std::fs::read(&made).expect("a key");
    let private = PKey::private_key_from_pem(&pem).expect("OpenSSL reads it");
    let ec = private.ec_key().expect("an EC key");
    let form = PointConversionForm::UNCOMPRESSED;
    let mut context = BigNumContext::new().expect("memory");
    let point = ec.public_key().to_bytes(ec.group(), form, &mut context);
    let public = webpush::base64url::encode(point.expect("a point"));
    let said = text(&generated.stderr);
    assert_eq!(said.trim(), format!("public key: {public}"));
    assert_eq!(public_key(&made).await, public);
    let shown = stdout_of(&run(&["vapid", "show", &made]).await);
    assert!(shown.contains(&public), "{shown}");
    let scalar = ec.private_key().to_vec_padded(32).expect("32 bytes");
    let scalar = webpush::base64url::encode(scalar);
    assert!(!shown.contains(&scalar), "{shown}");

    for first in FORMS {
        let there = path(&folder, &format!("key.{first}"));
        let converted = run(&["vapid", "convert", &made, "--form", first, "--out", &there]).await;
        assert_eq!(stdout_of(&converted), "");
        assert_eq!(public_key(&there).await, public, "{first}");
        for second in FORMS {
            let back = run(&["vapid", "convert", &there, "--to", second]).await;
            assert_eq!(back.status.code(), Some(0), "{first} to {second}: {back:?}");
            assert!(back.stderr.is_empty(), "{back:?}");
            let shown = feed(program(&["vapid", "show", "-", "--json"]), back.stdout).await;
            let shown: Value = serde_json::from_str(&stdout_of(&shown)).expect("JSON");
            assert_eq!(shown["publicKey"], public, "{first} to {second}");
        }
        let pem_again = run(&["vapid", "convert", &there]).await;
        assert_eq!(stdout_of(&pem_again).as_bytes(), pem, "{first} and back");
    }
    let raw = text(&std::fs::read(path(&folder, "key.raw")).expect("a key"));
    assert_eq!(raw.trim(), scalar);
    let pair = std::fs::read(path(&folder, "key.json")).expect("a key");
    let pair: Value = serde_json::from_slice(&pair).expect("JSON");
    assert_eq!(pair, json!({"publicKey": public, "privateKey": scalar}));
    // The key itself instead of a file name.
    for given in [raw.trim(), text(&pem).as_str(), pair.to_string().as_str()] {
        assert_eq!(public_key(given).await, public);
    }
}

#[tokio::test]
async fn the_program_writes_private_keys_to_new_files_of_mode_0600_and_never_to_standard_error() {
    let folder = TempDir::new().expect("a folder");
    let made = path(&folder, "made");
    assert_eq!(
        stdout_of(&run(&["vapid", "generate", "--out", &made]).await),
        ""
    );
    let before = std::fs::read(&made).expect("a key");
    let scalar = stdout_of(&run(&["vapid", "convert", &made, "--form", "raw"]).await);
    for form in FORMS {
        let out = path(&folder, form);
        for command in [
            vec!["vapid", "generate", "--form", form, "--out", &out],
            vec!["vapid", "convert", &made, "--form", form, "--out", &out],
        ] {
            drop(std::fs::remove_file(&out));
            let output = run(&command).await;
            assert_eq!(stdout_of(&output), "", "{command:?}");
            let mode = std::fs::metadata(&out)
                .expect("a file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{command:?}");
            assert!(!text(&output.stderr).contains(scalar.trim()));

            let written = std::fs::read(&out).expect("a key");
            let said = stderr_of(&run(&command).await, 1);
            assert!(said.contains(&out) && said.contains("exists"), "{said}");
            assert_eq!(std::fs::read(&out).expect("a key"), written);
        }
    }
    let said = stderr_of(&run(&["vapid", "generate", "--out", &made]).await, 1);
    assert!(said.contains(&made), "{said}");
    assert_eq!(std::fs::read(&made).expect("a key"), before);

    // Without --out the command prints the key alone, and nothing else.
    let output = run(&["vapid", "generate"]).await;
    let pem = stdout_of(&output);
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{pem}");
    assert!(output.stderr.is_empty(), "{output:?}");
    PKey::private_key_from_pem(pem.as_bytes()).expect("OpenSSL reads it");
}

#[tokio::test]
async fn a_text_that_is_no_key_is_refused_and_not_printed() {
    let folder = TempDir::new().expect("a folder");
    let (garbage, missing) = (path(&folder, "garbage"), path(&folder, "missing"));
    std::fs::write(&garbage, "hunter2 is no key!").expect("room");
    let key = PKey::ec_gen("secp384r1").expect("OpenSSL makes keys");
    let other_curve = path(&folder, "p384.pem");
    let pem = key.private_key_to_pem_pkcs8().expect("PEM");
    std::fs::write(&other_curve, pem).expect("room");
    let pair = |_| webpush::VapidKey::generate().expect("randomness");
    let [one, two] = [1, 2].map(pair);
    let mixed = json!({"publicKey": one.public_base64url(), "privateKey": two.to_raw_base64url()});
    let half = json!({"publicKey": one.public_base64url()}).to_string();
    for (given, says) in [
        (garbage.as_str(), "neither PEM"),
        (missing.as_str(), "neither a file"),
        (folder.path().to_str().expect("text"), "neither a file"),
        ("hunter2", "neither a file"),
        ("", "neither a file"),
        (&other_curve, "P-256"),
        (&one.public_base64url(), "public key"),
        (&mixed.to_string(), "does not belong"),
        (&half, "neither a file"),
        (r#"{"privateKey": "hunter2"}"#, "neither a file"),
        (r#"{"privateKey": "hunt"}"#, "P-256"),
    ] {
        for command in [["vapid", "show"], ["vapid", "convert"]] {
            let output = run(&[&command[..], &["--", given]].concat()).await;
            let said = stderr_of(&output, 1);
            assert!(said.starts_with("error: "), "{given}: {said}");
            assert!(said.contains(says), "{given}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
            assert!(!said.contains(&two.to_raw_base64url()), "{said}");
            assert!(output.stdout.is_empty(), "{output:?}");
        }
    }
    for input in [
        "",
        "hunter2",
        "{",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
    ] {
        let said = stderr_of(&feed(program(&["vapid", "show", "-"]), input).await, 1);
        assert!(said.contains("the standard input"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_written_is_an_error_in_every_form() {
    for form in FORMS {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = program(&["vapid", "generate", "--form", form]);
        command
            .stdout(full.expect("a device"))
            .stderr(Stdio::piped());
        let child = command.spawn().expect("it starts");
        let output = child.wait_with_output().await;
        let said = stderr_of(&output.expect("it runs"), 1);
        assert!(said.starts_with("error: "), "{form}: {said}");
    }
}

#[tokio::test]
async fn wrong_usage_ends_with_exit_code_2_and_explains_the_right_usage() {
    for (arguments, says) in [
        (&[][..], "Usage"),
        (&["nonsense"], "nonsense"),
        (&["vapid"], "Usage"),
        (&["vapid", "nonsense"], "nonsense"),
        (&["vapid", "show"], "<KEY>"),
        (&["vapid", "generate", "--form", "xml"], "sec1"),
        (&["vapid", "generate", "--out"], "--out"),
        (&["subscriptions"], "Usage"),
        (&["subscriptions", "count", "extra"], "extra"),
        (&["serve", "--listen", "nowhere"], "--listen"),
        (&["doctor", "--fast"], "--fast"),
    ] {
        let output = run(arguments).await;
        let said = stderr_of(&output, 2);
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn the_help_text_explains_each_command() {
    for (arguments, says) in [
        (
            &["--help"][..],
            &["serve", "vapid", "subscriptions", "doctor", "Exit codes"][..],
        ),
        (
            &["serve", "--help"],
            &["--listen", "--data", "--allow-origin", "Ctrl-C"],
        ),
        (
            &["vapid", "--help"],
            &["generate", "show", "convert", "applicationServerKey"],
        ),
        (
            &["vapid", "generate", "--help"],
            &["--form", "--out", "not overwritten"],
        ),
        (&["vapid", "show", "--help"], &["--json", "standard input"]),
        (
            &["vapid", "convert", "--help"],
            &["pem", "sec1", "der", "raw", "json"],
        ),
        (
            &["subscriptions", "--help"],
            &["count", "export", "import", "--data"],
        ),
        (&["subscriptions", "count", "--help"], &["--json"]),
        (&["subscriptions", "export", "--help"], &["--out", "JSON"]),
        (
            &["subscriptions", "import", "--help"],
            &["line", "standard input", "exit code is 1"],
        ),
        (
            &["doctor", "--help"],
            &["--json", "clock", "exit code is 1"],
        ),
    ] {
        let output = run(arguments).await;
        let help = stdout_of(&output);
        for word in says {
            assert!(help.contains(word), "{arguments:?}: {word} in {help}");
        }
    }
    let version = stdout_of(&run(&["--version"]).await);
    assert_eq!(
        version.trim(),
        format!("pushcast {}", env!("CARGO_PKG_VERSION"))
    );
}

/// The data folder that a server with an empty database leaves behind.
async fn server_folder(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).expect("a folder");
    let file = folder.join("pushcast.db");
    let store = Store::open(Some(&file), Chance::system()).await;
    drop(store.expect("a database"));
    folder.to_owned()
}

/// `pushcast subscriptions` on a data folder, with `service` on the allow-list.
fn subscriptions(service: &PushService, action: &[&str], data: &Path) -> Command {
    let data = data.display().to_string();
    let mut command = program(&[&["subscriptions"], action, &["--data", &data]].concat());
    command.envs(environment_of(service));
    command
}

async fn export(service: &PushService, data: &Path) -> BTreeMap<String, Value> {
    let output = subscriptions(service, &["export"], data).output().await;
    let lines = stdout_of(&output.expect("it runs"));
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        (row["endpoint"].as_str().expect("one").to_owned(), row)
    };
    lines.lines().map(row).collect()
}

async fn count(service: &PushService, data: &Path) -> Value {
    let command = subscriptions(service, &["count", "--json"], data).output();
    let counted = stdout_of(&command.await.expect("it runs"));
    serde_json::from_str::<Value>(&counted).expect("JSON")["count"].clone()
}

#[tokio::test]
async fn an_export_imported_elsewhere_once_or_twice_stores_the_same_subscriptions() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    for more in [
        json!({}),
        json!({"tags": ["news", "team:blue"], "timezone": "Europe/Paris"}),
        json!({"user": "ada", "userSignature": server.sign("ada"), "expirationTime": 4_102_444_800_000_u64}),
        json!({"user": "\u{e9}ve \u{1f600}", "userSignature": server.sign("\u{e9}ve \u{1f600}")}),
    ] {
        let body = service.subscribe(None).to_json_with(more);
        let answer = server.post("/push/subscribe", &body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    let folder = TempDir::new().expect("a folder");
    let file = path(&folder, "all.jsonl");
    let there = server_folder(&folder.path().join("there")).await;
    let written = server.command(&["subscriptions", "export", "--out", &file]);
    let written = { written }.output().await.expect("it runs");
    assert_eq!(stdout_of(&written), "");
    assert!(text(&written.stderr).contains("4 subscriptions exported"));
    let mode = std::fs::metadata(&file)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = server.command(&["subscriptions", "export", "--out", &file]);
    stderr_of(&{ again }.output().await.expect("it runs"), 1);

    let exported = server.exported().await;
    for said in ["4 new, 0 refreshed, 0 bad", "0 new, 4 refreshed, 0 bad"] {
        let imported = subscriptions(&service, &["import", &file], &there).output();
        let imported = stdout_of(&imported.await.expect("it runs"));
        assert!(imported.contains(said), "{imported}");
        assert_eq!(export(&service, &there).await, exported);
        assert_eq!(count(&service, &there).await, 4);
    }
    let plain = subscriptions(&service, &["count"], &there).output().await;
    assert_eq!(stdout_of(&plain.expect("it runs")), "4\n");
}

fn line(service: &PushService, keys: &Value, name: &str) -> String {
    let endpoint = format!("{}/wpush/v2/{name}", service.origin());
    json!({"endpoint": endpoint, "keys": keys}).to_string()
}

/// Lines of an import, each bad one with its error message.
fn good_and_bad_lines(service: &PushService) -> Vec<(Vec<u8>, Option<&'static str>)> {
    let keys = service.subscribe(None).to_json()["keys"].clone();
    let good = |name: &str| line(service, &keys, name).into_bytes();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000)).into_bytes();
    // The longest line that is allowed, and one that is one byte longer.
    let fits = |length: usize| {
        let (mut line, name) = (good("fits"), format!("fits-{length}"));
        line.truncate(0);
        line.extend(good(&name));
        line.resize(length, b' ');
        line
    };
    let endpoint = json!({"endpoint": "https://evil.example/x", "keys": keys}).to_string();
    vec![
        (good("first"), None),
        (b"not json".to_vec(), Some("not JSON")),
        (Vec::new(), None),
        (b"  \t ".to_vec(), None),
        (b"{\"endpoint\": \"\xff\"}".to_vec(), Some("not JSON")),
        (long, Some("longer than 65536 bytes")),
        (good("after-the-long-one"), None),
        (
            [vec![b' '; 70_000], good("far-right")].concat(),
            Some("longer than 65536 bytes"),
        ),
        (fits(65_536), None),
        (fits(65_537), Some("longer than 65536 bytes")),
        ([good("crlf"), b"\r".to_vec()].concat(), None),
        (b"[]".to_vec(), Some("body must be a JSON object")),
        (
            endpoint.into_bytes(),
            Some("endpoint is not at a known push service"),
        ),
        (b"{\"endpoint\":".to_vec(), Some("not JSON")),
        (good("last-without-an-end"), None),
    ]
}

#[tokio::test]
async fn an_import_reports_bad_lines_by_number_and_stores_the_good_ones() {
    let service = PushService::start().await;
    let folder = TempDir::new().expect("a folder");
    let data = server_folder(&folder.path().join("data")).await;
    let lines = good_and_bad_lines(&service);
    let input = lines.iter().map(|(line, _)| line.as_slice());
    let input = input.collect::<Vec<_>>().join(&b'\n');
    let output = feed(subscriptions(&service, &["import"], &data), input).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    let mut complaints: Vec<&str> = said.lines().collect();
    for (i, (_, complaint)) in lines.iter().enumerate() {
        if let Some(complaint) = complaint {
            let begins = format!("line {}: {complaint}", i + 1);
            let found = complaints.iter().position(|it| it.starts_with(&begins));
            complaints.remove(found.unwrap_or_else(|| panic!("no {begins} in {said}")));
        }
    }
    assert!(complaints.is_empty(), "{complaints:?}");
    assert_eq!(text(&output.stdout), "5 new, 0 refreshed, 8 bad lines\n");
    let names = [
        "after-the-long-one",
        "crlf",
        "first",
        "fits-65536",
        "last-without-an-end",
    ];
    let endpoints = names.map(|name| format!("{}/wpush/v2/{name}", service.origin()));
    let exported = export(&service, &data).await;
    assert_eq!(exported.into_keys().collect::<Vec<_>>(), endpoints);
    assert_eq!(count(&service, &data).await, 5);
}

#[tokio::test]
async fn an_import_reads_onesignal_rows_with_tags_user_and_time_zone() {
    let service = PushService::start().await;
    let folder = TempDir::new().expect("a folder");
    let data = server_folder(&folder.path().join("data")).await;
    let browsers = [0, 1, 2].map(|_| service.subscribe(None));
    let row = |i: usize, more: Value| {
        let mut row = json!({
            "id": "b2f7f966", "identifier": browsers[i].endpoint(), "language": "fr", "device_type": 5,
            "web_p256": browsers[i].p256dh(), "web_auth": browsers[i].auth(),
        });
        for (name, value) in more.as_object().expect("members") {
            row[name] = value.clone();
        }
        row.to_string()
    };
    let rows = [
        row(
            0,
            json!({"tags": {"level": "5", "beta": ""}, "external_user_id": "ada", "timezone_id": "Europe/Paris"}),
        ),
        // A row of a table exported as text: every value is a string, and a missing one is empty.
        row(
            1,
            json!({"tags": "{\"level\":7}", "external_user_id": "", "timezone_id": ""}),
        ),
        row(2, json!({"tags": {"has a space": "x"}})),
        json!({"identifier": "somebody@pushcast.dev", "web_p256": "", "web_auth": ""}).to_string(),
    ];
    let import = subscriptions(&service, &["import", "-"], &data);
    let output = feed(import, rows.join("\n")).await;
    assert_eq!(text(&output.stdout), "2 new, 0 refreshed, 2 bad lines\n");
    let said = text(&output.stderr);
    assert!(
        said.contains("line 3: tags[0]") && said.contains("line 4: endpoint"),
        "{said}"
    );

    let imported = export(&service, &data).await;
    let first = &imported[browsers[0].endpoint()];
    assert_eq!(first["tags"], json!(["beta", "level:5"]));
    assert_eq!(
        (&first["user"], &first["timezone"]),
        (&json!("ada"), &json!("Europe/Paris"))
    );
    assert_eq!(first["keys"], browsers[0].to_json()["keys"]);
    let second = &imported[browsers[1].endpoint()];
    assert_eq!(second["tags"], json!(["level:7"]));
    assert_eq!(
        (&second["user"], &second["timezone"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn an_empty_import_succeeds_and_one_of_a_missing_file_fails() {
    let service = PushService::start().await;
    let folder = TempDir::new().expect("a folder");
    let data = server_folder(&folder.path().join("data")).await;
    for nothing in ["", "\n", "\r\n\r\n"] {
        let output = feed(subscriptions(&service, &["import", "-"], &data), nothing).await;
        assert_eq!(stdout_of(&output), "0 new, 0 refreshed, 0 bad lines\n");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
    assert_eq!(export(&service, &data).await, BTreeMap::new());
    let missing = path(&folder, "missing.jsonl");
    let output = subscriptions(&service, &["import", &missing], &data).output();
    let said = stderr_of(&output.await.expect("it runs"), 1);
    assert!(said.contains(&missing), "{said}");
    let itself = path(&folder, "data");
    let output = subscriptions(&service, &["import", &itself], &data).output();
    let said = stderr_of(&output.await.expect("it runs"), 1);
    assert!(said.starts_with("error: "), "{said}");
}

#[tokio::test]
async fn a_folder_without_a_database_is_an_error_and_no_database_is_created() {
    let service = PushService::start().await;
    let folder = TempDir::new().expect("a folder");
    let missing = folder.path().join("missing");
    for action in ["count", "export", "import"] {
        for data in [missing.as_path(), folder.path()] {
            let output = subscriptions(&service, &[action], data).output().await;
            let said = stderr_of(&output.expect("it runs"), 1);
            let named = said.contains(&data.display().to_string());
            assert!(named && said.contains("pushcast serve"), "{said}");
        }
        assert!(!missing.exists());
        let left = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 0, "nothing was made by {action}");
    }
}

#[tokio::test]
async fn a_running_server_sees_an_import_and_the_count_stays_exact() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let keys = service.subscribe(None).to_json()["keys"].clone();
    let names: Vec<String> = (0..120).map(|i| format!("shared-{i}")).collect();
    let lines: Vec<String> = names.iter().map(|it| line(&service, &keys, it)).collect();
    let import = feed(
        subscriptions(&service, &["import"], &server.data()),
        lines.join("\n"),
    );
    // Meanwhile browsers subscribe through HTTP: some of the imported ones, and some others.
    let posts = async {
        for i in (0..60).map(|i| i * 2) {
            let name = if i < 60 {
                names[i].clone()
            } else {
                format!("http-{i}")
            };
            let body = line(&service, &keys, &name);
            let answer = server.request(Method::POST, "/push/subscribe", &[], body);
            let answer = answer.await;
            assert!(answer.status.is_success(), "{answer:?}");
        }
    };
    let (imported, ()) = tokio::join!(import, posts);
    let said = stdout_of(&imported);
    assert!(said.contains(" 0 bad lines"), "{said}");
    let exported = server.exported().await;
    assert_eq!(exported.len(), 150);
    assert_eq!(count(&service, &server.data()).await, 150);
    let unknown = json!({"endpoint": "https://a.example/unknown"});
    let answer = server.post("/push/unsubscribe", &unknown).await;
    assert_eq!(answer.json["count"], 150);
}

#[tokio::test]
async fn an_export_ends_quietly_when_its_reader_closes_the_pipe() {
    let service = PushService::start().await;
    let folder = TempDir::new().expect("a folder");
    let keys = service.subscribe(None).to_json()["keys"].clone();
    let lines: Vec<String> = (0..MANY)
        .map(|i| line(&service, &keys, &format!("{i:0>200}")))
        .collect();
    let input = lines.join("\n");
    assert!(input.len() > 2 * 65_536, "more than a pipe holds");
    server_folder(folder.path()).await;
    let imported = feed(subscriptions(&service, &["import"], folder.path()), input).await;
    assert!(stdout_of(&imported).starts_with("600 new"));

    let mut command = subscriptions(&service, &["export"], folder.path());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    reader.read_line(&mut first).await.expect("text");
    serde_json::from_str::<Value>(&first).expect("a whole line");
    drop(reader);
    let ended = timeout(PATIENCE, child.wait()).await.expect("it ends");
    assert_eq!(ended.expect("a status").code(), Some(0));
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).await.expect("text");
    assert_eq!(said, "");
}

/// Results of `pushcast doctor --json`, by check.
fn findings(output: &Output) -> BTreeMap<String, Value> {
    let lines = text(&output.stdout);
    let found: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let by_check = found.iter().map(|finding| {
        assert!(finding["detail"].is_string(), "{finding}");
        let check = finding["check"].as_str().expect("a name");
        (check.to_owned(), finding.clone())
    });
    let by_check: BTreeMap<_, _> = by_check.collect();
    assert_eq!(by_check.len(), found.len(), "each check once: {lines}");
    by_check
}

fn detail(finding: &Value) -> &str {
    finding["detail"].as_str().expect("a detail")
}

#[tokio::test]
async fn the_doctor_says_what_to_do_before_the_first_start() {
    let service = PushService::start().await;
    let folder = TempDir::new().expect("a folder");
    let fresh = path(&folder, "fresh");
    for json in [true, false] {
        let mut command = program(&["doctor", "--data", &fresh]);
        command.args(json.then_some("--json"));
        let output = command.envs(environment_of(&service)).output().await;
        let output = output.expect("it runs");
        stderr_of(&output, 1);
        let said = text(&output.stdout);
        assert!(said.contains("pushcast serve"), "{said}");
        if json {
            let found = findings(&output);
            assert_eq!(found["key"]["health"], "wrong");
            assert_eq!(found["tables"]["health"], "wrong");
            assert_eq!(found["clock"]["health"], "ok");
            assert_eq!(found["subject"]["health"], "ok");
        } else {
            assert!(
                said.lines().any(|line| line.starts_with("wrong   key")),
                "{said}"
            );
            assert!(
                said.lines().any(|line| line.starts_with("ok      clock")),
                "{said}"
            );
        }
    }
    assert!(!Path::new(&fresh).exists(), "it only looks");
}

#[tokio::test]
async fn the_doctor_finds_no_problem_with_a_running_server() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let key = server.get("/push/key").await.json["publicKey"].clone();
    let key = key.as_str().expect("a key").to_owned();
    for _ in 0..2 {
        let body = service.subscribe(None).to_json();
        server.post("/push/subscribe", &body).await;
    }
    let output = server.command(&["doctor", "--json"]).output().await;
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found = findings(&output);
    let healthy = found.values().all(|finding| finding["health"] == "ok");
    assert!(healthy, "{found:?}");
    let checks: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(checks, ["allow-list", "clock", "key", "subject", "tables"]);
    assert!(detail(&found["subject"]).contains("mailto:tests@pushcast.dev"));
    assert!(detail(&found["key"]).contains(&key));
    assert!(detail(&found["allow-list"]).contains(&service.origin()));
    assert!(detail(&found["allow-list"]).contains("fcm.googleapis.com"));
    assert!(detail(&found["tables"]).contains("2 subscriptions"));
    assert!(detail(&found["clock"]).contains(&service.origin()));

    // Without the push service on the allow-list, the server cannot send to the stored subscriptions.
    let mut command = server.command(&["doctor", "--json"]);
    let other = PushService::start().await;
    let output = command.envs(environment_of(&other)).output().await;
    let found = findings(&output.expect("it runs"));
    assert_eq!(found["subscriptions"]["health"], "warning");
    assert!(detail(&found["subscriptions"]).starts_with("2 of the first 2"));

    // The doctor prints no secret.
    let said = format!("{found:?} {}", text(&output_of(&server).await.stdout));
    for secret in [server.token(), server.user_secret()] {
        assert!(!said.contains(&secret), "{said}");
    }
    for delivered in ["gAAAAAB-subscription-0", "gAAAAAB-subscription-1"] {
        assert!(!said.contains(delivered), "{said}");
    }
}

async fn output_of(server: &Server) -> Output {
    let output = server.command(&["doctor"]).output().await;
    output.expect("it runs")
}

#[tokio::test]
async fn the_doctor_warns_about_a_missing_subject_and_names_a_wrong_variable() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let mut command = server.command(&["doctor", "--json"]);
    let output = command.env_remove("PUSHCAST_VAPID_SUBJECT").output().await;
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(0), "a warning is no failure");
    let found = findings(&output);
    assert_eq!(found["subject"]["health"], "warning");
    assert!(detail(&found["subject"]).contains("PUSHCAST_VAPID_SUBJECT=mailto:"));

    let mut command = server.command(&["doctor", "--json"]);
    let wrong = command.env("PUSHCAST_VAPID_SUBJECT", "mailto:me@localhost");
    let output = wrong.output().await.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let found = findings(&output);
    assert_eq!(found["configuration"]["health"], "wrong");
    assert!(detail(&found["configuration"]).contains("PUSHCAST_VAPID_SUBJECT"));
}

#[tokio::test]
async fn the_doctor_says_whether_the_clock_is_fast_or_slow() {
    let service = PushService::start().await;
    let server = Server::start(&service).await;
    let now = server.get("/push/key").await.headers["date"].clone();
    let now = jiff::fmt::rfc2822::parse(now.to_str().expect("text")).expect("a date");
    for (minutes, health, says) in [
        (-60, "wrong", "1h"),
        (-60, "wrong", "ahead of"),
        (60, "wrong", "behind"),
        (60, "wrong", "59m"),
        (-3, "ok", "agrees"),
        (3, "ok", "agrees"),
    ] {
        let theirs = now.timestamp() + jiff::SignedDuration::from_mins(minutes);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date = date.timestamp_to_rfc9110_string(&theirs).expect("a date");
        service.set_date(&date);
        let output = server.command(&["doctor", "--json"]).output().await;
        let output = output.expect("it runs");
        let found = findings(&output);
        assert_eq!(found["clock"]["health"], health, "{minutes}: {found:?}");
        assert!(
            detail(&found["clock"]).contains(says),
            "{minutes}: {found:?}"
        );
        assert!(!detail(&found["clock"]).contains("ago"), "{found:?}");
        assert_eq!(output.status.code(), Some(i32::from(health == "wrong")));
    }
    service.set_date("no date at all");
    let output = server.command(&["doctor", "--json"]).output().await;
    let found = findings(&output.expect("it runs"));
    assert_eq!(found["clock"]["health"], "warning");

    let origin = service.origin();
    drop(service);
    // The service's certificate authority ended with it.
    let mut command = server.command(&["doctor", "--json"]);
    let output = command.env_remove("PUSHCAST_CA_FILE").output().await;
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found = findings(&output);
    assert_eq!(found["clock"]["health"], "warning", "{found:?}");
    assert!(detail(&found["clock"]).contains(&origin));
}
