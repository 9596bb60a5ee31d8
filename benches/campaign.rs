//! `cargo bench --bench campaign`: the built program runs one campaign to 100 000 subscribers in a database file. This
//! process is the push service, and accepts every message after 30 ms. The benchmark prints the speed and the program's
//! memory, and fails if the memory exceeds 150 MiB. As a test, it does the same with 500 subscribers.

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

/// Maximum memory of `pushcast serve` in KiB, for a campaign of any size.
const MAX_MEMORY: u64 = 150 * 1024;

const BENCH_SUBSCRIBERS: usize = 100_000;
const TEST_SUBSCRIBERS: usize = 500;

/// How long the push service takes to answer.
const LATENCY: Duration = Duration::from_millis(30);
/// Maximum number of requests in flight on one connection.
const MAX_STREAMS: u32 = 100;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushcast");

/// A push service that accepts and counts every message.
struct PushService {
    origin: String,
    accepted: Arc<AtomicUsize>,
}

impl PushService {
    async fn start(ca_file: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let tls = certify(ca_file);
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A failure here only costs speed.
                stream.set_nodelay(true).ok();
                let (tls, counter) = (tls.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    let accept = |request| accept(request, Arc::clone(&counter));
                    let mut http = auto::Builder::new(TokioExecutor::new());
                    http.http2().max_concurrent_streams(MAX_STREAMS);
                    let served = http.serve_connection(TokioIo::new(stream), service_fn(accept));
                    // The program may close its connections at any time.
                    served.await.ok();
                });
            }
        });
        Self {
            origin: format!("https://localhost:{port}"),
            accepted,
        }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn accept(
    request: Request<Incoming>,
    counter: Arc<AtomicUsize>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    request.into_body().collect().await?;
    tokio::time::sleep(LATENCY).await;
    counter.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Makes a certificate for `localhost`, and writes the certificate of its authority to `ca_file`.
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

/// The program's settings and files.
struct Setup {
    folder: TempDir,
    origin: String,
}

impl Setup {
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

    /// Stores `n` subscribers. They share a key pair, since the push service does not decrypt.
    fn import(&self, n: usize) {
        let receiver = Receiver::generate().expect("keys");
        let keys = json!({
            "p256dh": base64url::encode(receiver.keys().p256dh()),
            "auth": base64url::encode(receiver.keys().auth()),
        });
        let path = self.folder.path().join("subscribers.jsonl");
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
        for i in 0..n {
            // About as long as an endpoint of FCM.
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

    /// Peak memory, in KiB, of a process that opens the database and reads every subscriber once. The program needs as
    /// much without a campaign.
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

    /// Starts `pushcast serve`. Returns the process and its URL.
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

/// A child process. Dropping it kills it.
struct Running(Child);

impl Running {
    /// A value of Linux's `/proc/<pid>/status`, in KiB. `None` on other systems.
    fn memory(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if the process has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Sends a request to the program's API and returns the JSON answer.
async fn request_json(request: Request<Full<Bytes>>) -> Value {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.expect("an answer");
    assert!(answer.status().is_success(), "{answer:?}");
    let body = answer.into_body().collect().await.expect("a whole answer");
    serde_json::from_slice(&body.to_bytes()).expect("JSON")
}

/// Runs a campaign to all subscribers. Returns how long it took.
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
    let sent = request_json(request("POST", "/push/send", message.to_string())).await;
    let path = format!("/push/campaigns/{}", sent["campaign"].as_str().expect("id"));
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let campaign = request_json(request("GET", &path, String::new())).await;
        if campaign["status"] == "done" {
            assert_eq!(campaign["counts"]["accepted"], n, "{campaign}");
            return began.elapsed();
        }
        assert_eq!(campaign["status"], "running", "{campaign}");
    }
}

#[expect(clippy::print_stdout, reason = "the benchmark prints its results")]
#[tokio::main]
async fn main() -> ExitCode {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let n = if measuring {
        BENCH_SUBSCRIBERS
    } else {
        TEST_SUBSCRIBERS
    };
    let folder = TempDir::new().expect("a folder");
    let service = PushService::start(&folder.path().join("ca.pem")).await;
    let setup = Setup {
        folder,
        origin: service.origin.clone(),
    };
    // The first start creates the data folder: an import into a folder without a database is refused.
    drop(setup.serve());
    setup.import(n);
    let scan = setup.scan(n);
    let (serving, url) = setup.serve();
    let before = serving.memory("VmRSS");
    let took = campaign(&url, &setup.token(), n).await;
    let peak = serving.memory("VmHWM");
    assert_eq!(service.accepted(), n, "each subscriber gets one push");

    let mib = |kib: Option<u64>| kib.map_or("?".to_owned(), |kib| format!("{} MiB", kib / 1024));
    println!("one campaign to {n} subscribers");
    println!("  {:.0} messages a second", per_second(n, took));
    println!("  {} before it", mib(before));
    println!("  {} to open the database and read it once", mib(scan));
    println!("  {} peak during it", mib(peak));
    if peak.is_some_and(|peak| peak > MAX_MEMORY) {
        println!("more than {}", mib(Some(MAX_MEMORY)));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[expect(clippy::cast_precision_loss, reason = "a hundred thousand fit")]
fn per_second(n: usize, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64()
}
