//! pywebpush, node's web-push and the program send the same messages to the same push service, case by case. Where the
//! requests differ, [`DIFFERENCES`] gives the reason, and so does `docs/from-pywebpush.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command as Blocking;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use webpush::Padding;
use webpush::{ContentEncoding, Receiver, VapidKey, base64url, encrypt};

use crate::peers::{ask_node, ask_python};
use crate::support::program::program;
use crate::support::push_service::{PushService, Received};
use crate::support::subscribers::browser::Browser;

const PAGE: &str = include_str!("../docs/from-pywebpush.md");
const SUBJECT: &str = "mailto:tests@pushcast.dev";
const HOUR: i64 = 60 * 60;

/// A sender that we are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Pywebpush,
    /// pywebpush's command, which differs from its library.
    PywebpushCommand,
    /// The curl command that pywebpush prints, repaired so that a shell accepts it.
    PywebpushCurl,
    Node,
}

/// A header, or a part of it, that differs on purpose.
struct Difference {
    peer: Peer,
    header: &'static str,
    theirs: Option<&'static str>,
    ours: Option<&'static str>,
    /// The page quotes this sentence word for word.
    why: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        peer: Peer::Pywebpush,
        header: "content-type",
        theirs: None,
        ours: Some("application/octet-stream"),
        why: "without a type the receiver has to guess, and WNS requires one",
    },
    Difference {
        peer: Peer::PywebpushCommand,
        header: "content-type",
        theirs: None,
        ours: Some("application/octet-stream"),
        why: "without a type the receiver has to guess, and WNS requires one",
    },
    Difference {
        peer: Peer::PywebpushCurl,
        header: "content-type",
        theirs: Some("application/x-www-form-urlencoded"),
        ours: Some("application/octet-stream"),
        why: "curl says that it posts a form, which an encrypted message is not",
    },
    Difference {
        peer: Peer::Pywebpush,
        header: "ttl",
        theirs: Some("0"),
        ours: Some("2419200"),
        why: "with TTL 0 the message is lost when the device is off, and WNS refuses it",
    },
    Difference {
        peer: Peer::PywebpushCommand,
        header: "ttl",
        theirs: Some("0"),
        ours: Some("2419200"),
        why: "with TTL 0 the message is lost when the device is off, and WNS refuses it",
    },
    Difference {
        peer: Peer::PywebpushCommand,
        header: "ttl",
        theirs: Some("0"),
        ours: Some("600"),
        why: "its command looks for `ttl` and overlooks `TTL`, which its documentation shows",
    },
    Difference {
        peer: Peer::PywebpushCommand,
        header: "x-wns-cache-policy",
        theirs: Some("no-cache"),
        ours: Some("cache"),
        why: "its command looks for `ttl` and overlooks `TTL`, which its documentation shows",
    },
    Difference {
        peer: Peer::Node,
        header: "urgency",
        theirs: Some("normal"),
        ours: None,
        why: "without the header, services assume `normal`",
    },
    Difference {
        peer: Peer::Node,
        header: "content-type",
        theirs: Some("application/octet-stream"),
        ours: Some("text/xml"),
        why: "WNS refuses a toast with another type",
    },
    Difference {
        peer: Peer::Node,
        header: "authorization scheme",
        theirs: Some("webpush"),
        ours: Some("vapid"),
        why: "with aesgcm it signs as the draft did. Every current service reads RFC 8292",
    },
    Difference {
        peer: Peer::Node,
        header: "crypto-key",
        theirs: Some("dh,p256ecdsa"),
        ours: Some("dh"),
        why: "with aesgcm it signs as the draft did. Every current service reads RFC 8292",
    },
    Difference {
        peer: Peer::Node,
        header: "crypto-key",
        theirs: Some("p256ecdsa"),
        ours: None,
        why: "with aesgcm it signs as the draft did. Every current service reads RFC 8292",
    },
];

/// Headers that concern one hop or the program, and not the message.
const OF_THE_CLIENT: [&str; 6] = [
    "accept",
    "accept-encoding",
    "connection",
    "host",
    "user-agent",
    "content-length",
];

/// The form in which the sender gets the key.
#[derive(Debug, Clone, Copy)]
enum KeyForm {
    PemFile,
    Sec1File,
    Base64DerFile,
    Raw,
    Base64Der,
}

/// One message, and its options.
struct Case {
    name: String,
    service: usize,
    encoding: ContentEncoding,
    data: Option<Vec<u8>>,
    claims: Option<Value>,
    key: KeyForm,
    head: Value,
    ttl: Option<u32>,
    wns: bool,
}

impl Case {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            service: 0,
            encoding: ContentEncoding::Aes128gcm,
            data: Some(b"Mary had a little lamb".to_vec()),
            claims: Some(json!({"sub": SUBJECT})),
            key: KeyForm::PemFile,
            head: json!({}),
            ttl: Some(60),
            wns: false,
        }
    }

    /// Whether `peer` can send this message.
    fn is_for(&self, peer: Peer) -> bool {
        let text =
            |data: &Vec<u8>| std::str::from_utf8(data).is_ok_and(|text| !text.contains('\r'));
        let simple = self
            .claims
            .as_ref()
            .is_none_or(|claims| *claims == json!({"sub": SUBJECT}));
        let head_is_text = self
            .head
            .as_object()
            .is_some_and(|head| head.values().all(Value::is_string));
        match peer {
            // pywebpush passes a number on to its HTTP client, which raises InvalidHeader.
            Peer::Pywebpush => !self.wns && head_is_text,
            // Without data its curl command fails: it calls len(None).
            Peer::PywebpushCurl => !self.wns && head_is_text && self.data.is_some(),
            // Its command reads data as text, and takes a TTL only from the headers.
            Peer::PywebpushCommand => self.ttl.is_none() && self.data.as_ref().is_none_or(text),
            // node's web-push takes no claim but the subject, and has no flag for WNS.
            Peer::Node => simple && !self.wns,
        }
    }
}

fn cases(now: i64) -> Vec<Case> {
    [
        cases_of_payloads(),
        cases_of_signing(now),
        cases_of_headers(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Data of every kind, in both content encodings.
fn cases_of_payloads() -> Vec<Case> {
    let mut cases = Vec::new();
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        let named = |what: &str| format!("{}, {what}", encoding.as_str());
        let with = |what: &str, data: Option<Vec<u8>>| Case {
            encoding,
            data,
            ..Case::new(&named(what))
        };
        cases.push(with("no data", None));
        for length in [1, 2, 127, 128, 129, 1000, 3992, 3993] {
            let text = "x".repeat(length).into_bytes();
            cases.push(with(&format!("{length} bytes of text"), Some(text)));
        }
        let binary: Vec<u8> = (0..=255).rev().collect();
        cases.push(with("bytes that are no text", Some(binary)));
        cases.push(with("UTF-8", Some("Grüße, 世界 \u{1f600}".into())));
        for data in [None, Some(b"hello".to_vec())] {
            cases.push(Case {
                claims: None,
                ..with(&format!("not signed, {data:?}"), data)
            });
        }
        cases.push(Case {
            head: json!({"ttl": "30"}),
            ttl: None,
            ..with("by the command", Some(b"hello\nworld".to_vec()))
        });
        cases.push(Case {
            head: json!({"ttl": "30"}),
            ttl: None,
            ..with("by the command, no data", None)
        });
    }
    cases
}

/// Keys in every form, and claims of every kind.
fn cases_of_signing(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for key in [
        KeyForm::PemFile,
        KeyForm::Sec1File,
        KeyForm::Base64DerFile,
        KeyForm::Raw,
        KeyForm::Base64Der,
    ] {
        cases.push(Case {
            key,
            ..Case::new(&format!("key as {key:?}"))
        });
    }
    for (name, claims) in [
        ("exp given", json!({"sub": SUBJECT, "exp": now + HOUR})),
        ("exp past", json!({"sub": SUBJECT, "exp": now - HOUR})),
        (
            "exp null, aud empty",
            json!({"sub": SUBJECT, "exp": null, "aud": ""}),
        ),
        (
            "other claims",
            json!({"sub": SUBJECT, "iat": now, "nested": {"a": [1, "b"]}}),
        ),
        ("https subject", json!({"sub": "https://pushcast.dev"})),
        (
            "claims and the command",
            json!({"sub": SUBJECT, "campaign": "x"}),
        ),
    ] {
        let command = name.ends_with("command");
        cases.push(Case {
            claims: Some(claims),
            ttl: (!command).then_some(60),
            head: if command {
                json!({"ttl": "60"})
            } else {
                json!({})
            },
            ..Case::new(name)
        });
    }
    cases
}

/// Other push services, and other headers.
fn cases_of_headers() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.push(Case {
        service: 1,
        ..Case::new("another port")
    });
    cases.push(Case {
        ttl: None,
        ..Case::new("no TTL")
    });
    cases.push(Case {
        head: json!({"Urgency": "high", "Topic": "news", "X-Anything": "goes, \"here\" $HOME"}),
        ..Case::new("extra headers")
    });
    let toast = Case {
        service: 2,
        data: Some(b"<toast/>".to_vec()),
        ttl: None,
        ..Case::new("toast")
    };
    cases.push(Case {
        // As in the page about pywebpush.
        head: json!({"X-WNS-Type": "wns/toast", "TTL": 600, "Content-Type": "text/xml"}),
        ..toast
    });
    for (ttl, policy) in [("0", "no-cache"), ("600", "cache")] {
        cases.push(Case {
            service: 2,
            ttl: None,
            wns: true,
            head: json!({"ttl": ttl}),
            ..Case::new(&format!("--wns, {policy}"))
        });
    }
    cases.push(Case {
        service: 2,
        ttl: None,
        wns: true,
        head: json!({"TTL": 600}),
        ..Case::new("--wns as the page would have it")
    });
    cases
}

/// A request without its random and time-dependent parts.
#[derive(Debug, PartialEq, Eq)]
struct Comparable {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    claims: Option<Value>,
    text: Vec<u8>,
}

fn comparable(received: &Received, receiver: &Receiver, now: i64) -> Comparable {
    let mut headers = BTreeMap::new();
    for (name, value) in &received.headers {
        let value = value.to_str().expect("text");
        let names_of = |value: &str| {
            let mut names: Vec<&str> = value
                .split([';', ','])
                .filter_map(|part| part.trim().split_once('='))
                .map(|(name, _)| name)
                .collect();
            names.sort_unstable();
            names.join(",")
        };
        match name.as_str() {
            "content-length" => assert_eq!(value, received.body.len().to_string()),
            name if OF_THE_CLIENT.contains(&name) => {}
            // These values belong to the encryption, and the decrypted message is compared instead.
            name @ ("encryption" | "crypto-key") => {
                headers.insert(name.to_owned(), names_of(value));
            }
            "authorization" => {
                let scheme = value.split(' ').next().expect("a scheme");
                headers.insert("authorization scheme".to_owned(), scheme.to_lowercase());
            }
            name => {
                let before = headers.insert(name.to_owned(), value.to_owned());
                assert_eq!(before, None, "{name} once");
            }
        }
    }
    // One sender may omit the length of an empty body, and another may send a length of 0.
    assert!(!received.headers.contains_key("transfer-encoding"));
    Comparable {
        method: received.method.to_string(),
        path: received.path.clone(),
        headers,
        claims: claims(received, now),
        text: receiver
            .read(&received.headers, &received.body)
            .expect("it decrypts"),
    }
}

/// The token's claims, and the key that signed them. An `exp` in 12 hours is replaced by a word, as the seconds differ.
fn claims(received: &Received, now: i64) -> Option<Value> {
    let value = received
        .headers
        .get("authorization")?
        .to_str()
        .expect("text");
    let find = |text: &str, name: &str| {
        let found = text
            .split([' ', ',', ';'])
            .find_map(|part| part.trim().strip_prefix(name));
        found.map(str::to_owned)
    };
    let token = find(value, "t=").unwrap_or_else(|| value["WebPush ".len()..].to_owned());
    let key = find(value, "k=").or_else(|| {
        let header = received.headers.get("crypto-key")?.to_str().ok()?;
        find(header, "p256ecdsa=")
    });
    let claims = token.split('.').nth(1).expect("a JWT");
    let claims = base64url::decode(claims).expect("base64url");
    let mut claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let left = claims["exp"].as_i64().expect("an integer") - now;
    if (left - 12 * HOUR).abs() < HOUR / 2 {
        claims["exp"] = json!("in 12 hours");
    }
    claims["k"] = json!(key);
    Some(claims)
}

/// A folder with keys, headers and messages.
struct Files(TempDir);

impl Files {
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    }

    fn key(&self, key: &VapidKey, form: KeyForm) -> String {
        let der = base64url::encode(key.to_pkcs8_der());
        match form {
            KeyForm::PemFile => self.write("key.pem", key.to_pkcs8_pem()),
            KeyForm::Sec1File => self.write("sec1.pem", key.to_sec1_pem()),
            KeyForm::Base64DerFile => self.write("key.der.txt", der),
            KeyForm::Raw => key.to_raw_base64url(),
            KeyForm::Base64Der => der,
        }
    }

    /// Flags that both commands understand.
    fn arguments(&self, case: &Case, browser: &Browser, key: &VapidKey) -> Vec<String> {
        let name = browser.endpoint().replace(['/', ':'], "_");
        let info = self.write(&format!("{name}.info"), browser.to_json().to_string());
        let head = self.write(&format!("{name}.head"), case.head.to_string());
        let mut arguments = vec!["--info".to_owned(), info, "--head".to_owned(), head];
        arguments.extend(["--encoding".to_owned(), case.encoding.as_str().to_owned()]);
        if let Some(data) = &case.data {
            arguments.extend([
                "--data".to_owned(),
                self.write(&format!("{name}.data"), data),
            ]);
        }
        if let Some(claims) = &case.claims {
            let claims = self.write(&format!("{name}.claims"), claims.to_string());
            arguments.extend(["--claims".to_owned(), claims]);
            arguments.extend(["--key".to_owned(), self.key(key, case.key)]);
        }
        if case.wns {
            arguments.push("--wns".to_owned());
        }
        arguments
    }
}

/// The recorded requests, by path.
fn received_by_path(services: &[PushService]) -> HashMap<String, Received> {
    let mut by_path = HashMap::new();
    for (number, service) in services.iter().enumerate() {
        for received in service.take_recorded() {
            let known = by_path.insert(format!("{number}{}", received.path), received);
            assert!(known.is_none(), "one request for each: {known:?}");
        }
    }
    by_path
}

/// A file with the certificate authorities of all services, because the peers take a single file.
fn trusted(services: &[PushService], files: &Files) -> PathBuf {
    let all: String = services
        .iter()
        .map(|service| std::fs::read_to_string(service.ca_file()).expect("PEM"))
        .collect();
    PathBuf::from(files.write("ca.pem", all))
}

/// Blocks this thread. The push service's tasks run on other threads.
fn ask_pywebpush(ca_file: &Path, folder: &Path, question: &Value) -> Vec<Value> {
    let answer = tokio::task::block_in_place(|| {
        crate::peers::ask_python_with(question, |command: &mut Blocking| {
            command
                .env("REQUESTS_CA_BUNDLE", ca_file)
                .current_dir(folder);
        })
    });
    answer.as_array().expect("one for each").clone()
}

fn ask_web_push(ca_file: &Path, question: &Value) -> Vec<Value> {
    let answer = tokio::task::block_in_place(|| {
        crate::peers::ask_node_with(question, |command: &mut Blocking| {
            command.env("NODE_EXTRA_CA_CERTS", ca_file);
        })
    });
    answer.as_array().expect("one for each").clone()
}

async fn paste(command: &str, ca_file: &Path, folder: &Path) {
    let output = Command::new("sh")
        .args(["-c", command])
        .env("CURL_CA_BUNDLE", ca_file)
        .current_dir(folder)
        .output()
        .await
        .expect("sh runs");
    assert!(output.status.success(), "{command}\n{output:?}");
}

/// Indexes of the differences that occurred.
type Used = BTreeSet<usize>;

fn compare(case: &Case, peer: Peer, theirs: &Comparable, ours: &Comparable, used: &mut Used) {
    let what = format!("{peer:?}: {}", case.name);
    assert_eq!(
        (&theirs.method, &theirs.path),
        (&ours.method, &ours.path),
        "{what}"
    );
    assert_eq!(theirs.text, ours.text, "{what}");
    assert_eq!(theirs.claims, ours.claims, "{what}");
    let names: BTreeSet<&String> = theirs.headers.keys().chain(ours.headers.keys()).collect();
    for name in names {
        let values = (
            theirs.headers.get(name).map(String::as_str),
            ours.headers.get(name).map(String::as_str),
        );
        if values.0 == values.1 {
            continue;
        }
        let told = DIFFERENCES.iter().position(|it| {
            (it.peer, it.header, it.theirs, it.ours) == (peer, name.as_str(), values.0, values.1)
        });
        used.insert(told.unwrap_or_else(|| panic!("{what}: {name} is {values:?}")));
    }
}

/// Three senders send the same cases to the same subscribers.
struct Comparison {
    services: [PushService; 3],
    files: Files,
    ca_file: PathBuf,
    key: VapidKey,
    now: i64,
    cases: Vec<Case>,
    browsers: Vec<Browser>,
}

impl Comparison {
    async fn start() -> Self {
        let services = [
            PushService::start().await,
            PushService::builder().http1_only().start().await,
            PushService::builder().wns().start().await,
        ];
        let files = Files(TempDir::new().expect("a folder"));
        let now = pushcast::clock::Clock::system().now().as_second();
        let cases = cases(now);
        let subscribe = |case: &Case| services[case.service].subscribe(None);
        let browsers = cases.iter().map(subscribe).collect();
        for service in &services {
            service.record();
        }
        Self {
            ca_file: trusted(&services, &files),
            key: VapidKey::generate().expect("a key"),
            services,
            files,
            now,
            cases,
            browsers,
        }
    }

    /// The push service and the path to which a case is sent.
    fn path(&self, at: usize) -> String {
        let url = self.browsers[at].endpoint();
        let path = &url[url.find("/wpush").expect("a path")..];
        format!("{}{path}", self.cases[at].service)
    }

    /// The cases that `peer` can send.
    fn asked(&self, peer: Peer) -> Vec<usize> {
        let all = self.cases.iter().enumerate();
        all.filter(|(_, case)| case.is_for(peer))
            .map(|(at, _)| at)
            .collect()
    }

    /// Our request. The curl command that we print must send the same.
    async fn ours(&self, at: usize) -> Comparable {
        let case = &self.cases[at];
        let origins: Vec<String> = self.services.iter().map(PushService::origin).collect();
        let mut arguments = vec!["push".to_owned()];
        arguments.extend(self.files.arguments(case, &self.browsers[at], &self.key));
        if let Some(ttl) = case.ttl {
            arguments.extend(["--ttl".to_owned(), ttl.to_string()]);
        }
        let run = async |more: &[&str]| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut command = program(&[&arguments, more].concat());
            command
                .env("PUSHCAST_PUSH_ORIGINS", origins.join(","))
                .env("PUSHCAST_CA_FILE", &self.ca_file)
                .env_remove("PUSHCAST_VAPID_SUBJECT")
                .current_dir(self.files.0.path());
            command.output().await.expect("it runs")
        };
        let output = run(&["--json"]).await;
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}: {output:?}", case.name));
        // The push service refuses an unsigned request, but it still records it.
        let expected = if case.claims.is_some() { 201 } else { 401 };
        assert_eq!(said["status"], expected, "{}: {output:?}", case.name);
        let sent = received_by_path(&self.services)
            .remove(&self.path(at))
            .expect("it was sent");

        let output = run(&["--curl"]).await;
        assert!(output.status.success(), "{}: {output:?}", case.name);
        let command = String::from_utf8(output.stdout).expect("text");
        assert!(
            !command.contains(&self.key.to_raw_base64url()),
            "the key is not in it"
        );
        paste(&command, &self.ca_file, Path::new("/")).await;
        let pasted = received_by_path(&self.services)
            .remove(&self.path(at))
            .expect("it was sent");

        let receiver = self.browsers[at].receiver();
        let comparables =
            [&sent, &pasted].map(|received| comparable(received, &receiver, self.now));
        assert_eq!(comparables[0], comparables[1], "{}", case.name);
        let [sent, _] = comparables;
        assert_eq!(sent.text, case.data.clone().unwrap_or_default());
        sent
    }

    /// Compares a peer's requests with ours.
    fn judge(
        &self,
        peer: Peer,
        asked: &[usize],
        results: &[Value],
        ours: &[Comparable],
        used: &mut Used,
    ) {
        let mut taken = received_by_path(&self.services);
        assert_eq!(asked.len(), results.len());
        assert!(!asked.is_empty());
        for (&at, result) in asked.iter().zip(results) {
            let case = &self.cases[at];
            let received = taken.remove(&self.path(at));
            let received = received.unwrap_or_else(|| panic!("{peer:?} {}: {result}", case.name));
            let theirs = comparable(&received, &self.browsers[at].receiver(), self.now);
            compare(case, peer, &theirs, &ours[at], used);
        }
        assert!(taken.is_empty());
    }

    /// A case in the form that pywebpush's script takes.
    fn call(&self, at: usize, curl: bool) -> Value {
        let case = &self.cases[at];
        json!({
            "subscription_info": self.browsers[at].to_json(), "data": case.data.as_ref().map(base64url::encode),
            "vapid_private_key": case.claims.as_ref().map(|_| self.files.key(&self.key, case.key)),
            "vapid_claims": case.claims, "content_encoding": case.encoding.as_str(), "curl": curl,
            "headers": case.head, "ttl": case.ttl.unwrap_or_default(),
        })
    }

    fn ask_pywebpush(&self, what: &str, calls: &Value) -> Vec<Value> {
        let question = json!({"do": what, "cases": calls});
        ask_pywebpush(&self.ca_file, self.files.0.path(), &question)
    }

    /// Calls pywebpush's library.
    fn requests_of_the_library(&self, asked: &[usize]) -> Vec<Value> {
        let calls = asked.iter().map(|&at| self.call(at, false));
        self.ask_pywebpush("webpush", &calls.collect())
    }

    /// Runs pywebpush's command.
    fn requests_of_the_command(&self, asked: &[usize]) -> Vec<Value> {
        let arguments = |at: &usize| {
            let (case, browser) = (&self.cases[*at], &self.browsers[*at]);
            json!(self.files.arguments(case, browser, &self.key))
        };
        self.ask_pywebpush("command", &asked.iter().map(arguments).collect())
    }

    /// Runs the curl commands that pywebpush's library prints. Their text hardly varies: a few are enough.
    async fn requests_of_its_curl(&self, asked: &[usize]) -> Vec<Value> {
        let mut results = Vec::new();
        for &at in asked.iter().take(4) {
            let answer = self
                .ask_pywebpush("webpush", &json!([self.call(at, true)]))
                .remove(0);
            let command = answer["result"]["curl"].as_str().expect("a command");
            assert!(
                command.contains("\\ \n"),
                "as it stands, it ends at its first line"
            );
            let command = command.replace("\\ \n", "\\\n");
            paste(&command, &self.ca_file, self.files.0.path()).await;
            results.push(answer);
        }
        results
    }

    /// A case in the form that the script for node's web-push takes.
    fn call_of_node(&self, at: usize) -> Value {
        let case = &self.cases[at];
        let mut options = json!({"contentEncoding": case.encoding.as_str(), "headers": case.head});
        if let Some(ttl) = case.ttl {
            options["TTL"] = json!(ttl);
        }
        for (header, option) in [("Urgency", "urgency"), ("Topic", "topic")] {
            if let Some(value) = options["headers"]
                .as_object_mut()
                .expect("an object")
                .remove(header)
            {
                options[option] = value;
            }
        }
        if case.claims.is_some() {
            options["vapidDetails"] = json!({
                "subject": SUBJECT, "publicKey": self.key.public_base64url(), "privateKey": self.key.to_raw_base64url(),
            });
        }
        json!({
            "subscription": self.browsers[at].to_json(), "data": case.data.as_ref().map(base64url::encode),
            "options": options,
        })
    }

    fn requests_of_node(&self, asked: &[usize]) -> Vec<Value> {
        let calls: Vec<Value> = asked.iter().map(|&at| self.call_of_node(at)).collect();
        let question = json!({"do": "sendNotification", "cases": calls});
        ask_web_push(&self.ca_file, &question)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs peers from PyPI and npm, and curl: tests/run"]
async fn pywebpush_and_node_s_web_push_send_our_requests_or_the_page_explains_the_difference() {
    let comparison = Comparison::start().await;
    let mut ours = Vec::new();
    for at in 0..comparison.cases.len() {
        ours.push(comparison.ours(at).await);
    }
    let mut used = Used::new();
    for peer in [
        Peer::Pywebpush,
        Peer::PywebpushCommand,
        Peer::PywebpushCurl,
        Peer::Node,
    ] {
        let mut asked = comparison.asked(peer);
        let results = match peer {
            Peer::Pywebpush => comparison.requests_of_the_library(&asked),
            Peer::PywebpushCommand => comparison.requests_of_the_command(&asked),
            Peer::PywebpushCurl => comparison.requests_of_its_curl(&asked).await,
            Peer::Node => comparison.requests_of_node(&asked),
        };
        if peer == Peer::PywebpushCurl {
            asked.truncate(results.len());
        }
        comparison.judge(peer, &asked, &results, &ours, &mut used);
    }
    for (at, difference) in DIFFERENCES.iter().enumerate() {
        let Difference {
            peer, header, why, ..
        } = difference;
        assert!(
            used.contains(&at),
            "{peer:?} does not differ in {header} any more"
        );
        assert!(PAGE.contains(why), "the page does not say: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs peers from PyPI: tests/run"]
async fn we_decrypt_pywebpush_s_messages_and_its_foundation_decrypts_ours() {
    let receiver = Receiver::generate().expect("keys");
    let keys = receiver.keys();
    let subscription = json!({
        "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/peer",
        "keys": {"p256dh": base64url::encode(keys.p256dh()), "auth": base64url::encode(keys.auth())},
    });
    for encoding in [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm] {
        for text in [&b"a"[..], &[0; 128], &[0xff; 3993]] {
            let theirs = ask_python(&json!({
                "do": "encode_for", "subscription": subscription, "encoding": encoding.as_str(),
                "text": base64url::encode(text),
            }));
            let mut headers = http::HeaderMap::new();
            headers.insert(
                "content-encoding",
                encoding.as_str().parse().expect("a header"),
            );
            for (header, parameter, member) in [
                ("encryption", "salt", "salt"),
                ("crypto-key", "dh", "crypto_key"),
            ] {
                if let Some(value) = theirs[member].as_str() {
                    let value = format!("{parameter}={value}");
                    headers.insert(header, value.parse().expect("a header"));
                }
            }
            let body = theirs["body"].as_str().expect("a body");
            let body = base64url::decode(body).expect("base64url");
            assert_eq!(receiver.read(&headers, &body).as_deref(), Ok(text));

            let ours = encrypt(keys, text, encoding, Padding::None).expect("a body");
            let read = ask_python(&json!({
                "do": "decrypt", "encoding": encoding.as_str(), "body": base64url::encode(&ours.body),
                "private": base64url::encode(receiver.private()), "auth": base64url::encode(keys.auth()),
                "dh": base64url::encode(ours.as_public), "salt": base64url::encode(ours.salt),
            }));
            let read = base64url::decode(read.as_str().expect("text")).expect("base64url");
            assert_eq!(read, text);
            // The length is the same, too, when no padding hides it.
            assert_eq!(
                ours.body.len(),
                body.len(),
                "{} {}",
                encoding.as_str(),
                text.len()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs peers from PyPI and npm: tests/run"]
async fn the_page_names_every_feature_of_pywebpush_and_node_s_web_push() {
    let pywebpush = ask_python(&json!({"do": "inventory"}));
    let node = ask_node(&json!({"do": "inventory"}));
    let lists = [
        &pywebpush["names"],
        &pywebpush["flags"],
        &node["names"],
        &node["options"],
    ];
    let mut named = 0;
    for list in lists {
        for name in list.as_array().expect("a list") {
            let name = name.as_str().expect("a name");
            if matches!(name, "-h" | "--help") {
                continue;
            }
            let cell = PAGE.lines().any(|line| {
                let first = line.split('|').nth(1).unwrap_or_default();
                first.split('`').any(|word| {
                    word.split([' ', '(', ',', ')', '=', '.'])
                        .any(|word| word == name)
                })
            });
            assert!(cell, "{name} is in no table of the page");
            named += 1;
        }
    }
    assert!(named > 50, "{named}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs peers from PyPI: tests/run"]
async fn pywebpush_fails_where_the_page_says_that_it_does_and_we_do_not() {
    let service = PushService::start().await;
    let files = Files(TempDir::new().expect("a folder"));
    let browser = service.subscribe(None);
    let key = VapidKey::generate().expect("a key");
    let (ca_file, folder) = (service.ca_file(), files.0.path());

    let call = |more: Value| {
        let mut call = json!({
            "subscription_info": browser.to_json(), "data": null,
            "vapid_private_key": key.to_raw_base64url(), "vapid_claims": {"sub": SUBJECT},
        });
        call.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        call
    };
    let calls = [
        call(json!({"headers": {"TTL": 600}})),
        call(json!({"curl": true})),
        call(json!({})),
    ];
    let results = ask_pywebpush(ca_file, folder, &json!({"do": "webpush", "cases": calls}));
    let error = |at: usize| results[at]["error"].as_str().unwrap_or_default();
    assert!(error(0).starts_with("InvalidHeader"), "{}", results[0]);
    assert!(error(1).starts_with("TypeError"), "{}", results[1]);
    // pywebpush changes the caller's claims: with them, the next service gets a token for this one.
    assert_eq!(results[2]["result"]["claims"]["aud"], service.origin());

    let info = files.write("info", browser.to_json().to_string());
    let with = |flags: &[&str]| -> Vec<String> {
        let all = ["--info", &info].into_iter().chain(flags.iter().copied());
        all.map(str::to_owned).collect()
    };
    let head = files.write("empty.head", "{}");
    let raw = key.to_raw_base64url();
    let calls = [with(&[]), with(&["--head", &head, "--key", &raw])];
    let results = ask_pywebpush(ca_file, folder, &json!({"do": "command", "cases": calls}));
    assert!(
        results[0]["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("AttributeError"))
    );
    // The key was given, and no message said that it was not used.
    let error = results[1]["error"].as_str().unwrap_or_default();
    assert!(error.contains("Missing VAPID authorization"), "{error}");

    let claims = files.write("claims", json!({"sub": SUBJECT}).to_string());
    let flags = ["--key", &raw, "--claims", &claims];
    let arguments = [vec!["push".to_owned()], with(&flags)].concat();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = program(&arguments);
    command.envs(crate::support::program::environment_of(&service));
    let output = command.output().await.expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let delivered = service.deliveries_to(&browser);
    assert_eq!(delivered.len(), 2, "pywebpush's third, and ours");
    assert!(delivered.iter().all(|delivery| delivery.text.is_empty()));
}
