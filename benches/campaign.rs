//! `cargo bench --bench campaign`: one campaign to 100 000 subscribers in a database file, by the built program, to a
//! push service in this process that takes everything after 30 ms. Says how fast that went, and how much memory the
//! program took: fails when that was more than 150 MiB. As a test, the same with few subscribers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use webpush::{Receiver, base64url};

/// Of `pushcast serve`, in KiB: what a campaign may take, whatever its size.
const MOST_MEMORY: u64 = 150 * 1024;

const MANY: usize = 100_000;
const FEW: usize = 500;

/// How long the push service thinks about a message, and how many it thinks about on one connection.
const LATENCY: Duration = Duration::from_millis(30);
const STREAMS: u32 = 100;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushcast");

/// Takes everything, and counts it.
struct Sink {
    origin: String,
    taken: Arc<AtomicUsize>,
}

impl Sink {
    async fn start(ca_file: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let tls = certify(ca_file);
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A failure costs speed alone.
                stream.set_nodelay(true).ok();
                let (tls, taken) = (tls.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    let take = |request| take(request, Arc::clone(&taken));
                    let mut http = auto::Builder::new(TokioExecutor::new());
                    http.http2().max_concurrent_streams(STREAMS);
                    let served = http.serve_connection(TokioIo::new(stream), service_fn(take));
                    // The program ends its connections as it likes.
                    served.await.ok();
                });
            }
        });
        Self {
            origin: format!("https://localhost:{port}"),
            taken,
        }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

async fn take(
    request: Request<Incoming>,
    taken: Arc<AtomicUsize>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    tokio::time::sleep(LATENCY).await;
    taken.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// A certificate for this machine, whose authority is written to `ca_file`.
fn certify(ca_file: &Path) -> TlsAcceptor {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let ca = CertifiedIssuer::self_signed(ca, key()).expect("a certificate");
    std::fs::write(ca_file, ca.pem()).expect("room on the disk");
    let own_key = key();
    let own = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let own = own.signed_by(&own_key, &ca).expect("a certificate");
    let own_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], own_key)
        .expect("they belong together");
    tls.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(tls))
}

/// The program and its files.
struct Scene {
    folder: TempDir,
    origin: String,
}

impl Scene {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .env_clear()
            .env("PUSHCAST_VAPID_SUBJECT", "mailto:bench@pushcast.dev")
            .env("PUSHCAST_PUSH_ORIGINS", &self.origin)
            .env("PUSHCAST_CA_FILE", self.folder.path().join("ca.pem"))
            .stdin(Stdio::null());
        command
    }

    /// Stores `n` subscribers. They share a key pair, which nobody here decrypts with.
    fn import(&self, n: usize) {
        let receiver = Receiver::generate().expect("keys");
        let keys = json!({
            "p256dh": base64url::encode(receiver.keys().p256dh()),
            "auth": base64url::encode(receiver.keys().auth()),
        });
        let path = self.folder.path().join("subscribers.jsonl");
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
        for i in 0..n {
            // As long as those of FCM.
            let endpoint = format!("{}/wpush/v2/{i:0>150}", self.origin);
            let line = json!({"endpoint": endpoint, "keys": keys, "tags": ["news"]});
            writeln!(file, "{line}").expect("room on the disk");
        }
        file.flush().expect("room on the disk");
        let path = path.display().to_string();
        let imported = self.command(&["subscriptions", "import", &path]).output();
        let imported = imported.expect("it runs");
        assert!(imported.status.success(), "{imported:?}");
    }

    /// The most memory of a process that opens the database and reads every subscriber once: what the program takes
    /// without a campaign.
    fn scan(&self, n: usize) -> Option<u64> {
        let mut command = self.command(&["subscriptions", "export"]);
        let exporting = command.stdout(Stdio::piped()).spawn();
        let mut exporting = Running(exporting.expect("it starts"));
        let output = BufReader::new(exporting.0.stdout.take().expect("a pipe"));
        let mut memory = None;
        let mut lines = 0;
        for line in output.lines() {
            line.expect("text");
            lines += 1;
            if lines % 100 == 0 || lines == n {
                memory = memory.max(exporting.memory("VmHWM"));
            }
        }
        assert_eq!(lines, n);
        memory
    }

    /// `pushcast serve`, and where it listens.
    fn serve(&self) -> (Running, String) {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut serving = Running(command.spawn().expect("it starts"));
        let output = BufReader::new(serving.0.stdout.as_mut().expect("a pipe"));
        let words = output.lines().map(|line| line.expect("text"));
        let words = words.take_while(|line| !line.contains("Stop "));
        let words: Vec<String> = words.collect();
        let url = words.iter().flat_map(|line| line.split_whitespace());
        let url = url.into_iter().find(|word| word.starts_with("http://"));
        let url = url.expect("an address").trim_end_matches('/').to_owned();
        (serving, url)
    }

    fn token(&self) -> String {
        let token = std::fs::read_to_string(self.folder.path().join("data/token"));
        token.expect("a token").trim().to_owned()
    }
}

/// Killed when dropped.
struct Running(Child);

impl Running {
    /// A line of Linux's `/proc/<pid>/status`, in KiB; nothing elsewhere.
    fn memory(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An answer of the program's API.
async fn ask(request: Request<Full<Bytes>>) -> Value {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
    let body = answer.into_body().collect().await.expect("a whole answer");
    serde_json::from_slice(&body.to_bytes()).expect("JSON")
}

/// A campaign to everyone; how long it took.
async fn campaign(url: &str, token: &str, n: usize) -> Duration {
    let request = |method: &str, path: &str, body: String| {
        Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body)))
            .expect("a request")
    };
    let message = json!({"to": {"audience": "all"}, "data": "x".repeat(300)});
    let began = Instant::now();
    let sent = ask(request("POST", "/push/send", message.to_string())).await;
    let path = format!("/push/campaigns/{}", sent["campaign"].as_str().expect("id"));
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let campaign = ask(request("GET", &path, String::new())).await;
        if campaign["status"] == "done" {
            assert_eq!(campaign["counts"]["accepted"], n, "{campaign}");
            return began.elapsed();
        }
        assert_eq!(campaign["status"], "running", "{campaign}");
    }
}

#[expect(clippy::print_stdout, reason = "what was measured is what it is for")]
#[tokio::main]
async fn main() -> ExitCode {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let n = if measuring { MANY } else { FEW };
    let folder = TempDir::new().expect("a folder");
    let sink = Sink::start(&folder.path().join("ca.pem")).await;
    let scene = Scene {
        folder,
        origin: sink.origin.clone(),
    };
    scene.import(n);
    let scan = scene.scan(n);
    let (serving, url) = scene.serve();
    let before = serving.memory("VmRSS");
    let took = campaign(&url, &scene.token(), n).await;
    let peak = serving.memory("VmHWM");
    assert_eq!(sink.taken(), n, "everyone, once");

    let mib = |kib: Option<u64>| kib.map_or("?".to_owned(), |kib| format!("{} MiB", kib / 1024));
    println!("one campaign to {n} subscribers");
    println!("  {:.0} messages a second", per_second(n, took));
    println!("  {} before it", mib(before));
    println!("  {} to open the database and read it once", mib(scan));
    println!("  {} at most during it", mib(peak));
    if peak.is_some_and(|peak| peak > MOST_MEMORY) {
        println!("more than {}", mib(Some(MOST_MEMORY)));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[expect(clippy::cast_precision_loss, reason = "a hundred thousand fit")]
fn per_second(n: usize, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64()
}
