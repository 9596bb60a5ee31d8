//! Libraries that people use today read what we write, and we read what they write. `tests/run` installs them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use webpush::Coding;
use webpush::{
    AllowList, ContentEncoding, Padding, Receiver, Subscription, Vapid, VapidKey, base64url,
    build_request, decrypt, encrypt,
};

const ENCODINGS: [ContentEncoding; 2] = [ContentEncoding::Aes128gcm, ContentEncoding::Aesgcm];

fn ask(peer: &mut Command, question: &Value) -> Value {
    let child = peer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the peer is set up by tests/run");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(question.to_string().as_bytes())
        .expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{question}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn python() -> Command {
    Command::new(root().join("target/peers/python/bin/python"))
}

pub(crate) fn ask_python(question: &Value) -> Value {
    ask_python_with(question, |_| ())
}

/// Asks pywebpush's foundations in another environment or folder.
pub(crate) fn ask_python_with(question: &Value, change: impl FnOnce(&mut Command)) -> Value {
    let mut peer = python();
    peer.arg(root().join("tests/peers/peer.py"));
    change(&mut peer);
    ask(&mut peer, question)
}

pub(crate) fn ask_node(question: &Value) -> Value {
    ask_node_with(question, |_| ())
}

/// Asks node's web-push in another environment.
pub(crate) fn ask_node_with(question: &Value, change: impl FnOnce(&mut Command)) -> Value {
    let mut peer = Command::new("node");
    peer.arg(root().join("tests/peers/peer.mjs"));
    peer.current_dir(root().join("target/peers/node"));
    change(&mut peer);
    ask(&mut peer, question)
}

fn decode(value: &Value) -> Vec<u8> {
    base64url::decode(value.as_str().expect("a string")).expect("base64url")
}

#[test]
#[ignore = "needs Python peers: tests/run"]
fn http_ece_reads_what_we_encrypt_and_we_read_what_it_encrypts() {
    let receiver = Receiver::generate().expect("keys");
    let keys = receiver.keys();
    for encoding in ENCODINGS {
        for text in [&b"a"[..], "Grüße".as_bytes(), &[7; 3993]] {
            let ours = encrypt(keys, text, encoding, Padding::Bucket).expect("a body");
            let read = ask_python(&json!({
                "do": "decrypt", "encoding": encoding.as_str(), "body": base64url::encode(&ours.body),
                "private": base64url::encode(receiver.private()), "auth": base64url::encode(keys.auth()),
                "dh": base64url::encode(ours.as_public), "salt": base64url::encode(ours.salt),
            }));
            assert_eq!(decode(&read), text);

            let salt = [9; 16];
            let theirs = ask_python(&json!({
                "do": "encrypt", "encoding": encoding.as_str(), "text": base64url::encode(text),
                "p256dh": base64url::encode(keys.p256dh()), "auth": base64url::encode(keys.auth()),
                "salt": base64url::encode(salt),
            }));
            let as_public = decode(&theirs["dh"]);
            let coding = match encoding {
                ContentEncoding::Aes128gcm => Coding::Aes128gcm,
                ContentEncoding::Aesgcm => Coding::Aesgcm {
                    salt: &salt,
                    as_public: &as_public,
                },
            };
            let read = decrypt(&receiver, coding, &decode(&theirs["body"]));
            assert_eq!(read.as_deref(), Ok(text));
        }
    }
}

#[test]
#[ignore = "needs Python peers: tests/run"]
fn py_vapid_reads_our_keys_and_verifies_our_tokens_and_we_read_its_keys() {
    let key = VapidKey::generate().expect("a key");
    let public = key.public_base64url();
    for (form, text) in [
        ("pem", key.to_pkcs8_pem()),
        ("pem", key.to_sec1_pem()),
        ("raw", key.to_raw_base64url()),
        ("der", base64url::encode(key.to_pkcs8_der())),
    ] {
        let read = ask_python(&json!({"do": "read_key", "form": form, "key": text}));
        assert_eq!(read, public, "{form}");
    }

    let made = ask_python(&json!({"do": "make_key"}));
    let pem = made["pem"].as_str().expect("PEM");
    let read = VapidKey::parse(pem.as_bytes()).expect("py_vapid's key");
    assert_eq!(made["public"], read.public_base64url());

    let vapid = Vapid::new(
        key,
        Some("mailto:tests@pushcast.dev".parse().expect("a subject")),
    );
    let origin = webpush::Origin::parse("https://push.pushcast.dev:8443").expect("an origin");
    let now = pushcast::clock::Clock::system().now();
    let authorization = vapid.authorization(&origin, now).expect("a token");
    let authorization = authorization.to_str().expect("text");
    let verified = ask_python(&json!({"do": "verify", "authorization": authorization}));
    assert_eq!(verified, true);
}

#[test]
#[ignore = "needs peers from npm: tests/run"]
fn node_web_push_takes_our_keys_and_we_take_its_keys_and_decrypt_its_messages() {
    let receiver = Receiver::generate().expect("keys");
    let subscription = json!({
        "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/peer",
        "keys": {
            "p256dh": base64url::encode(receiver.keys().p256dh()),
            "auth": base64url::encode(receiver.keys().auth()),
        },
    });
    let ours = VapidKey::generate().expect("a key");
    let theirs = ask_node(&json!({"do": "generateVAPIDKeys"}));
    let read = VapidKey::parse(theirs["privateKey"].as_str().expect("a key").as_bytes());
    assert_eq!(
        theirs["publicKey"],
        read.expect("node's key").public_base64url()
    );

    for encoding in ENCODINGS {
        let request = ask_node(&json!({
            "do": "generateRequestDetails", "subscription": subscription, "text": "hello",
            "keys": {"publicKey": ours.public_base64url(), "privateKey": ours.to_raw_base64url()},
            "encoding": encoding.as_str(),
        }));
        let read = read_by_us(&request, encoding, &receiver);
        assert_eq!(
            read.as_deref(),
            Some(&b"hello"[..]),
            "{}",
            encoding.as_str()
        );
    }

    // We can send to the same subscription with node's key.
    let subscription = Subscription::from_json(&subscription.to_string(), &AllowList::default());
    let vapid = Vapid::new(ours, None);
    let message = webpush::Message::text("hello");
    let now = pushcast::clock::Clock::system().now();
    let request = build_request(
        &subscription.expect("a subscription"),
        &message,
        &vapid,
        now,
    );
    assert_eq!(
        request.expect("a request").headers()["content-encoding"],
        "aes128gcm"
    );
}

/// Decrypts node's request with our own code.
fn read_by_us(request: &Value, encoding: ContentEncoding, receiver: &Receiver) -> Option<Vec<u8>> {
    let headers = &request["headers"];
    let parameter = |header: &Value, name: &str| {
        let header = header.as_str().unwrap_or_default();
        let found = header
            .split([';', ','])
            .find_map(|part| part.trim().strip_prefix(name));
        found
            .map(|value| base64url::decode(value).expect("base64url"))
            .unwrap_or_default()
    };
    let as_public = parameter(&headers["Crypto-Key"], "dh=");
    let salt: [u8; 16] = parameter(&headers["Encryption"], "salt=")
        .try_into()
        .unwrap_or_default();
    let coding = match encoding {
        ContentEncoding::Aes128gcm => Coding::Aes128gcm,
        ContentEncoding::Aesgcm => Coding::Aesgcm {
            salt: &salt,
            as_public: &as_public,
        },
    };
    decrypt(receiver, coding, &decode(&request["body"])).ok()
}

#[test]
#[ignore = "needs Python peers: tests/run"]
fn openapi_yaml_is_valid_openapi_3_1() {
    let mut judge = python();
    judge
        .args(["-m", "openapi_spec_validator"])
        .arg(root().join("openapi.yaml"));
    let output = judge.output().expect("the judge is set up by tests/run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
#[ignore = "needs TypeScript: tests/run"]
fn the_client_s_types_accept_right_calls_and_refuse_wrong_ones() {
    let mut compiler = Command::new("node");
    compiler
        .arg(root().join("target/peers/node/node_modules/typescript/bin/tsc"))
        .args(["--noEmit", "--strict", "--lib", "es2022,dom"])
        .args(["--module", "esnext", "--target", "es2022"])
        .args(["--moduleResolution", "bundler"])
        .arg(root().join("tests/peers/usage.ts"));
    let output = compiler.output().expect("node runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
