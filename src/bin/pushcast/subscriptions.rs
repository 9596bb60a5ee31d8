//! `pushcast subscriptions`: every subscription as a line of JSON, out and in.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use pushcast::clock::{Chance, Clock};
use pushcast::config::Config;
use pushcast::registration::Registration;
use pushcast::store::row::Row;
use pushcast::store::subscriptions::Subscribed;
use pushcast::store::{Store, StoreError};
use pushcast::webpush::{AllowList, base64url};
use pushcast::wire::Members;
use serde_json::{Value, json};

use crate::data_folder::{self, DataFolder, open_store};
use crate::output::{complain, create_private, say};

/// Rows of one read.
const PAGE: i32 = 1000;
/// Lines of an import that are written at once.
const AT_ONCE: usize = 64;
/// A line that is longer is no subscription.
const MAX_LINE: u64 = 64 * 1024;

/// Count, export and import subscriptions.
///
/// Works on the database of `pushcast serve`, also while that runs; with PUSHCAST_SUBSCRIPTIONS_TABLE and
/// PUSHCAST_LEDGER_TABLE set, on DynamoDB.
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
    /// Say how many there are.
    Count {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write them all, one JSON object a line: PushSubscription.toJSON() with tags, user and time zone.
    ///
    /// The lines hold what is needed to send to each browser: keep them to yourself.
    Export {
        /// A new file, readable by you alone; without it, the standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Read JSON lines: those of export, or the PushSubscription.toJSON() that other senders keep.
    ///
    /// A line that is wrong is reported with its number, and the others are imported; the exit code is 1 then.
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
                let count = open_store(&config, &self.data).await?.count().await?;
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
                let store = match &config.tables {
                    Some(tables) => Store::connect(tables.clone(), Chance::system()).await,
                    None => DataFolder::create(&self.data)?.store().await?,
                };
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
        let page = store.all(from, PAGE).await?;
        for row in &page.rows {
            writeln!(out, "{}", to_json(row))?;
            exported += 1;
        }
        from = page.next;
        if from.is_none() {
            out.flush()?;
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

fn open_input(path: &PathBuf) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
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

/// What an import did so far.
#[derive(Debug)]
struct Import {
    new: u64,
    refreshed: u64,
    bad: u64,
    bar: ProgressBar,
}

impl Import {
    fn new(size: Option<u64>) -> Self {
        let bar = match size {
            Some(size) if io::stderr().is_terminal() => ProgressBar::new(size).with_style(
                ProgressStyle::with_template("{bar:40} {percent}% {msg} {eta} left")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            ),
            _ => ProgressBar::hidden(),
        };
        Self {
            new: 0,
            refreshed: 0,
            bad: 0,
            bar,
        }
    }

    async fn run(
        mut self,
        store: &Store,
        allowed: &AllowList,
        input: Box<dyn Read + Send>,
    ) -> Result<Self> {
        let lines = Lines {
            input: BufReader::new(input),
            number: 0,
            bar: self.bar.clone(),
        };
        let clock = Clock::system();
        let mut writing = FuturesUnordered::new();
        let mut endpoints = HashSet::new();
        for line in lines {
            let (number, text) = line.context("the input cannot be read")?;
            let registration = match parse(&text, allowed) {
                Ok(registration) => registration,
                Err(why) => {
                    self.refuse(number, &why);
                    continue;
                }
            };
            let endpoint = registration.subscription.endpoint.as_str().to_owned();
            // The last line of one endpoint wins, as it would one by one.
            while endpoints.len() == AT_ONCE || endpoints.contains(&endpoint) {
                let Some(written) = writing.next().await else {
                    break;
                };
                endpoints.remove(&self.count(written)?);
            }
            endpoints.insert(endpoint.clone());
            let now = clock.now();
            writing
                .push(async move { (number, endpoint, store.subscribe(&registration, now).await) });
        }
        while let Some(written) = writing.next().await {
            self.count(written)?;
        }
        self.bar.finish_and_clear();
        Ok(self)
    }

    fn refuse(&mut self, number: u64, why: &str) {
        self.bad += 1;
        self.bar
            .suspend(|| complain(format_args!("line {number}: {why}")));
    }

    /// Counts what was written, and gives back its endpoint.
    fn count(
        &mut self,
        (number, endpoint, stored): (u64, String, Result<Subscribed, StoreError>),
    ) -> Result<String> {
        match stored {
            Ok(Subscribed::New) => self.new += 1,
            Ok(Subscribed::Refreshed) => self.refreshed += 1,
            Err(error) => {
                let so_far = format!("at line {number}; so far {self}; import again to go on");
                return Err(error).context(so_far);
            }
        }
        self.bar.set_message(format!(
            "{} imported",
            HumanCount(self.new + self.refreshed)
        ));
        Ok(endpoint)
    }
}

impl std::fmt::Display for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [new, refreshed, bad] = [self.new, self.refreshed, self.bad].map(HumanCount);
        write!(f, "{new} new, {refreshed} refreshed, {bad} bad lines")
    }
}

/// The lines that are not empty, with their numbers, one in memory at a time.
struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    number: u64,
    bar: ProgressBar,
}

impl Iterator for Lines {
    type Item = io::Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match self
                .input
                .by_ref()
                .take(MAX_LINE + 1)
                .read_until(b'\n', &mut line)
            {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            self.number += 1;
            self.bar.inc(line.len() as u64);
            // The rest belongs to the same line, which `parse` will refuse: it is cut off.
            if is_cut_off(&line)
                && let Err(error) = self.input.skip_until(b'\n')
            {
                return Some(Err(error));
            }
            if is_cut_off(&line) || !line.trim_ascii().is_empty() {
                return Some(Ok((self.number, line)));
            }
        }
    }
}

/// Whether a line is longer than what was read of it.
fn is_cut_off(line: &[u8]) -> bool {
    line.len() as u64 > MAX_LINE && !line.ends_with(b"\n")
}

fn parse(line: &[u8], allowed: &AllowList) -> Result<Registration, String> {
    if is_cut_off(line) {
        return Err(format!("longer than {MAX_LINE} bytes"));
    }
    // Windows begins a file with a byte order mark.
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let not_json = |error: serde_json::Error| {
        let error = error.to_string();
        format!(
            "not JSON: {}",
            error.replace(" at line 1 column ", " at column ")
        )
    };
    let value: Value = serde_json::from_slice(line).map_err(not_json)?;
    let members = Members::of(&value).map_err(|error| error.to_string())?;
    Registration::from_operator(members, allowed).map_err(|error| error.to_string())
}
