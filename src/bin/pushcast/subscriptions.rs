//! `pushcast subscriptions`: counts, exports and imports subscriptions, one line of JSON each.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use indicatif::HumanCount;
use pushcast::config::Config;
use pushcast::store::Store;
use pushcast::subscribers::Row;
use serde_json::{Value, json};
use webpush::base64url;

use crate::data_folder::{self, open_store};
use crate::import::Import;
use crate::output::{complain, create_private, said, say};

/// Rows per read.
const PAGE: i32 = 1000;

/// Count, export and import subscriptions.
///
/// It uses the database of `pushcast serve`, even while that runs. With PUSHCAST_SUBSCRIPTIONS_TABLE and
/// PUSHCAST_LEDGER_TABLE set, it uses DynamoDB.
#[derive(Debug, Args)]
pub(crate) struct Subscriptions {
    /// Folder of `pushcast serve`.
    #[arg(long, default_value = data_folder::DEFAULT, value_name = "DIR", global = true)]
    data: PathBuf,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the number of subscriptions.
    Count {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write them all, one JSON object a line: PushSubscription.toJSON() with tags, user and time zone.
    ///
    /// The lines hold the endpoint and the keys of each browser: keep them secret.
    Export {
        /// A new file, readable by you alone; without it, the standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Read JSON lines: those of export, the PushSubscription.toJSON() that users of pywebpush and node web-push keep, or
    /// rows of OneSignal's export (identifier, web_p256, web_auth, external_user_id, timezone_id, tags) as JSON.
    ///
    /// A browser that subscribed with another server's key takes messages signed with that key only: add it to
    /// PUSHCAST_VAPID_KEYS.
    ///
    /// A wrong line is reported with its number, the others are imported, and the exit code is 1.
    /// Importing again changes nothing. For a file that holds one JSON array: jq -c '.[]' FILE | pushcast
    /// subscriptions import
    Import {
        /// A file, or - for the standard input.
        #[arg(default_value = "-", value_name = "FILE")]
        file: PathBuf,
    },
}

impl Subscriptions {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let config = Config::from_env()?;
        match self.action {
            Action::Count { json } => {
                let count = open_store(&config, &self.data)
                    .await?
                    .subscribers
                    .count()
                    .await?;
                if json {
                    say(json!({"count": count}))?;
                } else {
                    say(count)?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Action::Export { out } => {
                let store = open_store(&config, &self.data).await?;
                let exported = match &out {
                    Some(path) => export(&store, create_private(path)?).await?,
                    None => export(&store, io::stdout().lock()).await?,
                };
                complain(format_args!(
                    "{} subscriptions exported",
                    HumanCount(exported)
                ));
                Ok(ExitCode::SUCCESS)
            }
            Action::Import { file } => {
                let store = open_store(&config, &self.data).await?;
                let (input, size) = open_input(&file)?;
                let imported = Import::new(size)
                    .run(&store, &config.allowed, input)
                    .await?;
                say(format_args!("{imported}"))?;
                Ok(if imported.bad == 0 {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                })
            }
        }
    }
}

async fn export(store: &Store, out: impl io::Write) -> Result<u64> {
    let mut out = BufWriter::new(out);
    let (mut exported, mut from) = (0, None);
    loop {
        let page = store.subscribers.all(from, PAGE).await?;
        for row in &page.rows {
            said(writeln!(out, "{}", to_json(row)))?;
            exported += 1;
        }
        from = page.next;
        if from.is_none() {
            said(out.flush())?;
            return Ok(exported);
        }
    }
}

fn to_json(row: &Row) -> Value {
    let (p256dh, auth) = row.raw_keys();
    let mut json = json!({
        "endpoint": row.endpoint,
        "expirationTime": row.expires_at.map(jiff::Timestamp::as_millisecond),
        "keys": {"p256dh": base64url::encode(p256dh), "auth": base64url::encode(auth)},
    });
    let optional = [
        ("tags", (!row.tags.is_empty()).then(|| json!(row.tags))),
        ("user", row.user.as_ref().map(|user| json!(user))),
        ("timezone", row.timezone.as_ref().map(|zone| json!(zone))),
        ("vapid", row.vapid.as_ref().map(|key| json!(key.as_str()))),
        (
            "createdAt",
            row.created_at.map(|at| json!(at.as_millisecond())),
        ),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            json[name] = value;
        }
    }
    json
}

fn open_input(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let size = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)
        .map(|meta| meta.len());
    Ok((Box::new(file), size))
}
