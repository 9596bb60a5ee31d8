//! The built program, run as an operator runs it, and a backend that calls its API.

/// A client of the API.
pub(crate) mod api_client;
/// Campaigns of a server.
pub(crate) mod campaigns;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

pub(crate) use self::api_client::Answer;
use self::api_client::request;
use super::push_service::PushService;
use super::waiting::PATIENCE;

const ANY_PORT: &str = "127.0.0.1:0";

/// Path of the built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pushcast");

/// The program with an empty environment: the tester's configuration has no influence.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("PUSHCAST_VAPID_SUBJECT", "mailto:tests@pushcast.dev")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Variables that allow and trust `push_service`.
pub(crate) fn environment_of(push_service: &PushService) -> Vec<(&'static str, String)> {
    let mut environment = vec![("PUSHCAST_PUSH_ORIGINS", push_service.origin())];
    if push_service.origin().starts_with("https") {
        let file = push_service.ca_file().display().to_string();
        environment.push(("PUSHCAST_CA_FILE", file));
    }
    environment
}

/// `pushcast serve` on a free port. Its data folder lasts over restarts.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Its output until it was ready.
    pub(crate) welcome: String,
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
    /// Command-line arguments after `serve`.
    arguments: Vec<String>,
    child: Child,
    /// Kept open, because a closed pipe would stop the program. Tests read it to the end only on request.
    stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it with `push_service` on its allow-list.
    pub(crate) async fn start(push_service: &PushService) -> Self {
        Self::start_with(environment_of(push_service)).await
    }

    /// Starts it with these variables.
    pub(crate) async fn start_with(environment: Vec<(&'static str, String)>) -> Self {
        Self::start_as(environment, &[]).await
    }

    /// Starts it with these variables and arguments.
    pub(crate) async fn start_as(
        environment: Vec<(&'static str, String)>,
        arguments: &[&str],
    ) -> Self {
        let folder = TempDir::new().expect("a folder");
        let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
        let (child, stdout, welcome, url) =
            launch(&folder, &environment, &arguments, ANY_PORT).await;
        Self {
            url,
            welcome,
            folder,
            environment,
            arguments,
            child,
            stdout,
        }
    }

    /// Kills it with SIGKILL, so that it cannot clean up.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it was running");
    }

    /// Sends Ctrl-C and waits for the end. True if the exit code was 0.
    pub(crate) async fn interrupt(&mut self) -> bool {
        let pid = self.child.id().expect("it runs").to_string();
        // The shell's built-in `kill`: not every machine has the program.
        let kill = format!("kill -INT {pid}");
        let sent = Command::new("sh").args(["-c", &kill]).status().await;
        assert!(sent.expect("kill runs").success());
        let ended = timeout(PATIENCE, self.child.wait())
            .await
            .expect("it ends in time");
        ended.expect("an exit status").success()
    }

    /// Starts it again on the same data.
    pub(crate) async fn restart(&mut self) {
        let (child, stdout, welcome, url) =
            launch(&self.folder, &self.environment, &self.arguments, ANY_PORT).await;
        (self.child, self.stdout, self.welcome, self.url) = (child, stdout, welcome, url);
    }

    /// Starts it again on the same data with these variables. It keeps its address, because browsers have stored that.
    pub(crate) async fn restart_with(&mut self, environment: Vec<(&'static str, String)>) {
        let address = self.url.trim_start_matches("http://").to_owned();
        self.environment = environment;
        let (child, stdout, welcome, url) =
            launch(&self.folder, &self.environment, &self.arguments, &address).await;
        (self.child, self.stdout, self.welcome, self.url) = (child, stdout, welcome, url);
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        data(&self.folder)
    }

    /// Another command of the program, with this server's data and environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let data = self.data().display().to_string();
        let mut command = program(&[arguments, &["--data", &data]].concat());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The output of `pushcast subscriptions export` beside the running server, by endpoint.
    pub(crate) async fn exported(&self) -> BTreeMap<String, Value> {
        let output = self.command(&["subscriptions", "export"]).output().await;
        let output = output.expect("it runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).expect("a line is JSON");
            (
                row["endpoint"].as_str().expect("an endpoint").to_owned(),
                row,
            )
        };
        let rows: BTreeMap<_, _> = text.lines().map(row).collect();
        assert_eq!(rows.len(), text.lines().count(), "one line for each");
        rows
    }

    /// The API token that it made.
    pub(crate) fn token(&self) -> String {
        read_secret(&self.data().join("token"))
    }

    /// The user secret that it made.
    pub(crate) fn user_secret(&self) -> String {
        read_secret(&self.data().join("user-secret"))
    }

    /// HMAC-SHA256 under the user secret in hexadecimal, as any backend computes it.
    pub(crate) fn sign(&self, user: &str) -> String {
        use openssl::hash::MessageDigest;
        use openssl::pkey::PKey;
        use openssl::sign::Signer;
        let key = PKey::hmac(self.user_secret().as_bytes()).expect("a key");
        let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
        let tag = signer.sign_oneshot_to_vec(user.as_bytes()).expect("a tag");
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The VAPID key that pages subscribe with, 65 bytes.
    pub(crate) async fn public_key(&self) -> Vec<u8> {
        let answer = self.get("/push/key").await;
        let key = answer.json["publicKey"].as_str().expect("a key");
        webpush::base64url::decode(key).expect("base64url")
    }

    /// After the server's end: everything that it printed and logged since it was ready.
    pub(crate) async fn output_and_log(&mut self) -> String {
        let mut output = String::new();
        let read = self.stdout.read_to_string(&mut output).await;
        read.expect("text");
        output + &std::fs::read_to_string(log(&self.folder)).expect("a log")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[], Bytes::new()).await
    }

    /// Posts JSON as a page does, without a token.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, &[], body.to_string())
            .await
    }

    /// Posts JSON as a backend does, with the API token.
    pub(crate) async fn post_with_token(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.token());
        let headers = [("authorization", &bearer[..])];
        self.request(Method::POST, path, &headers, body.to_string())
            .await
    }

    /// A GET request as a backend sends it, with the API token.
    pub(crate) async fn get_with_token(&self, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.token());
        let headers = [("authorization", &bearer[..])];
        self.request(Method::GET, path, &headers, Bytes::new())
            .await
    }

    /// Any request.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        request(&self.url, method, path, headers, body.into()).await
    }
}

async fn launch(
    folder: &TempDir,
    environment: &[(&'static str, String)],
    arguments: &[String],
    listen: &str,
) -> (Child, BufReader<ChildStdout>, String, String) {
    let data = data(folder).display().to_string();
    let mut command = program(&["serve", "--listen", listen, "--data", &data]);
    command.args(arguments);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let log = File::options().append(true).create(true).open(log(folder));
    command.stdout(Stdio::piped()).stderr(log.expect("a log"));
    let mut child = command.spawn().expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut welcome = String::new();
    let ready = async {
        while !welcome.contains("Stop ") {
            let read = stdout.read_line(&mut welcome).await.expect("text");
            assert_ne!(read, 0, "it ended before it was ready, saying: {welcome}");
        }
    };
    timeout(PATIENCE, ready).await.expect("it is ready in time");
    let url = welcome
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    let url = url.expect("an address").trim_end_matches('/').to_owned();
    (child, stdout, welcome, url)
}

fn log(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

fn read_secret(path: &Path) -> String {
    std::fs::read_to_string(path)
        .expect("a secret")
        .trim()
        .to_owned()
}
