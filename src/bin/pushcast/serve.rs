//! `pushcast serve`: every handler on the embedded database, and a demo page.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use clap::Args;
use pushcast::aws::Aws;
use pushcast::clock::Clock;
use pushcast::config::{self, Config, Secrets, SigningKey};
use pushcast::cors::CorsOrigins;
use pushcast::http::middleware;
use pushcast::http::send::{self, Send};
use pushcast::http::subscribe::{self, Subscribe};
use pushcast::http::{assets, campaigns, schedules, stats};
use pushcast::schedule::LocalSchedules;
use pushcast::schedule::local::Fired;
use serde_json::json;
use tokio::net::TcpListener;
use webpush::{Client, Limits};

use crate::campaigning::{self, Workers};
use crate::data_folder::{self, DataFolder};
use crate::demo::{self, Demo};
use crate::output::{complain, say};

/// Time that unfinished requests have once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// Run everything on this machine: API, demo page, embedded database.
///
/// The first start makes a data folder with a database, a VAPID key, an API token and a user secret, readable
/// by you alone. Later starts reuse them. Ctrl-C finishes the requests under way; a crash loses nothing that
/// the server has confirmed.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Folder of the database, the keys and the token.
    #[arg(long, default_value = data_folder::DEFAULT, value_name = "DIR")]
    data: PathBuf,
    /// Another origin whose pages may subscribe, such as https://www.example.org. Repeat the option for more.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<()> {
        let mut config = Config::from_env()?;
        let sources = std::mem::take(&mut config.secrets);
        let mut secrets = sources.fetch(&Aws::of_user()).await?;
        let pages = CorsOrigins::parse(self.allow_origin.iter().map(String::as_str));
        let pages = pages.context("--allow-origin")?;
        if config.tables.is_some() {
            complain(format_args!(
                "note: {} is set; serve works on its own database in {} all the same",
                config::SUBSCRIPTIONS_TABLE,
                self.data.display()
            ));
        }
        let folder = DataFolder::create(&self.data)?;
        let _lock = folder.lock()?;
        let listener = TcpListener::bind(self.listen).await;
        let listener = listener.with_context(|| {
            format!(
                "cannot listen on {}: choose another with --listen, such as 127.0.0.1:0",
                self.listen
            )
        })?;
        let url = address(listener.local_addr()?);

        if secrets.vapid_keys.is_empty() {
            secrets
                .vapid_keys
                .push(SigningKey::Local(folder.vapid_key()?));
        }
        let token_from_env = secrets.token.is_some();
        let cors = std::mem::take(&mut config.cors).and(pages);
        let without_subject = config.vapid_subject.is_none();
        let (app, workers) = Box::pin(app(config, secrets, &folder)).await?;
        let app = middleware::finish(app, &cors);

        let token = if token_from_env {
            format!("${}", config::TOKEN)
        } else {
            format!("$(cat {})", quoted(&folder.token_file()))
        };
        say(welcome(&url, &token, folder.path()))?;
        if without_subject {
            complain(format_args!(
                "warning: {} is not set: Safari's push service (Apple) will refuse messages. \
                 Set it to mailto:you@your.domain",
                config::VAPID_SUBJECT
            ));
        }
        let served = serve(listener, app).await;
        tokio::select! {
            () = workers.stop() => served,
            () = told_to_stop() => bail!("stopped with a campaign under way: the next start goes on with it"),
        }
    }
}

/// Every handler on the embedded database, and the demo page.
async fn app(
    config: Config,
    mut secrets: Secrets,
    folder: &DataFolder,
) -> Result<(Router, Workers)> {
    let store = folder.store().await?;
    let has_subject = config.vapid_subject.is_some();
    let keys = secrets.take_keys(config.vapid_subject.as_ref())?;
    let token = match secrets.token {
        Some(token) => token,
        None => folder.token()?.into(),
    };
    let user_secret = match secrets.user_secret {
        Some(secret) => secret,
        None => folder.user_secret()?.into(),
    };
    let client = Client::new(Limits::default(), config.ca_file.as_deref())?;
    let demo_secret = user_secret.clone();
    let subscribe = Subscribe {
        store: store.clone(),
        keyring: Arc::clone(&keys.keyring),
        allowed: config.allowed.clone(),
        user_secret,
        clock: Clock::system(),
    };
    let broadcast = campaigning::broadcast(store.clone());
    let pusher = keys.pusher(client, Clock::system());
    let workers = Workers::start(broadcast.clone(), pusher.clone(), config.allowed.clone());
    let local_schedules = LocalSchedules::new(store.clone());
    let firing = broadcast.clone();
    let fire = move |fired: Fired| {
        let broadcast = firing.clone();
        async move { campaigning::fire(&broadcast, &fired).await }
    };
    tokio::spawn(local_schedules.firing().run(Clock::system(), fire));
    let send = Send {
        broadcast: broadcast.clone(),
        pusher,
        allowed: config.allowed,
    };
    let send = send::router(send, &token);
    let stats = stats::router(store.clone(), Clock::system(), &token);
    let demo = Demo::new(store, send.clone(), &token)?;
    let app = subscribe::router(subscribe)
        .merge(send)
        .merge(stats)
        .merge(campaigns::router(broadcast, &token))
        .merge(schedules::router(local_schedules, Clock::system(), &token))
        .merge(demo::router(demo, &demo_secret, has_subject))
        .merge(assets::demo())
        .merge(assets::console());
    Ok((app, workers))
}

/// The server's URL for a browser on this machine. Push needs a secure context: https, or a loopback address.
fn address(listening: SocketAddr) -> String {
    if listening.ip().is_unspecified() {
        return format!("http://localhost:{}", listening.port());
    }
    format!("http://{listening}")
}

/// Quotes a path for a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    format!("'{}'", path.replace('\'', r"'\''"))
}

fn welcome(url: &str, token: &str, data: &Path) -> String {
    let data = data.display();
    let message = json!({
        "to": {"user": demo::USER},
        "notification": {"title": "It works", "body": "Sent with one line of curl.", "navigate": format!("{url}/")},
    });
    format!(
        "pushcast is ready.

  Open     {url}/   and press Subscribe
  Console  {url}/console   with the token: {token}
  Send     from another terminal:

curl '{url}/push/send' -H \"Authorization: Bearer {token}\" -d '{message}'

  Data     {data}   database, VAPID key, API token, user secret: keep them to yourself
  Stop     Ctrl-C
"
    )
}

async fn serve(listener: TcpListener, app: Router) -> Result<()> {
    let (stopping, mut stopped) = tokio::sync::watch::channel(false);
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        told_to_stop().await;
        complain("stopping: finishing open requests (Ctrl-C again to stop at once)");
        stopping.send_replace(true);
    });
    let too_long = async {
        // An error means that the server, which owns the sender, has ended.
        drop(stopped.wait_for(|stopping| *stopping).await);
        tokio::select! {
            () = tokio::time::sleep(DRAIN) => {}
            () = told_to_stop() => {}
        }
    };
    tokio::select! {
        served = server.into_future() => served.context("the server failed"),
        () = too_long => bail!("stopped with requests still under way"),
    }
}

/// Waits for Ctrl-C or SIGTERM.
fn told_to_stop() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
    }
}
