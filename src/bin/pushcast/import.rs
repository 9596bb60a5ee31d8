//! `pushcast subscriptions import`: reads lines of JSON. A bad line is reported and does not stop the others.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _, Read};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use pushcast::clock::Clock;
use pushcast::dynamo::StoreError;
use pushcast::json::Members;
use pushcast::store::Store;
use pushcast::subscribers::MAX_AT_ONCE;
use pushcast::subscribers::registration::Registration;
use serde_json::{Value, json};
use webpush::AllowList;

use crate::input_lines::{Lines, MAX_LINE, is_cut_off};
use crate::output::complain;

/// Batches that are written at the same time.
const BATCHES: usize = 8;

/// Progress of an import.
#[derive(Debug)]
pub(crate) struct Import {
    new: u64,
    refreshed: u64,
    /// Lines that hold no valid subscription.
    pub(crate) bad: u64,
    bar: ProgressBar,
}

impl Import {
    /// Starts at zero. With the input's `size` in bytes, a terminal shows a progress bar.
    pub(crate) fn new(size: Option<u64>) -> Self {
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

    /// Stores the subscriptions in the lines of `input`.
    pub(crate) async fn run(
        mut self,
        store: &Store,
        allowed: &AllowList,
        input: Box<dyn Read + Send>,
    ) -> Result<Self> {
        let mut lines = Lines::read_aside(input, self.bar.clone());
        let mut writing = Writing::new(store);
        loop {
            let line = match lines.try_recv() {
                Ok(line) => Some(line),
                Err(_) => {
                    // No line is ready: the pipe is slow or at its end. The batch is written without waiting for more
                    // lines.
                    writing.begin();
                    tokio::select! {
                        Some(written) = writing.under_way.next() => {
                            self.count(written, &mut writing.endpoints)?;
                            continue;
                        }
                        line = lines.recv() => line,
                    }
                }
            };
            let Some(line) = line else { break };
            let (number, text) = line.context("the input cannot be read")?;
            match parse(&text, allowed) {
                Ok(registration) => self.add(&mut writing, number, registration).await?,
                Err(why) => self.refuse(number, &why),
            }
        }
        while let Some(written) = writing.under_way.next().await {
            self.count(written, &mut writing.endpoints)?;
        }
        self.bar.finish_and_clear();
        Ok(self)
    }

    /// Puts a subscription into the batch. The last line of an endpoint must win, so this waits while an earlier line
    /// of the same endpoint is being written.
    async fn add(
        &mut self,
        writing: &mut Writing<'_>,
        number: u64,
        registration: Registration,
    ) -> Result<()> {
        let endpoint = registration.subscription.endpoint.as_str().to_owned();
        let is_full = writing.batch.registrations.len() == MAX_AT_ONCE;
        if is_full || writing.endpoints.contains(&endpoint) {
            writing.begin();
        }
        while writing.under_way.len() > BATCHES || writing.endpoints.contains(&endpoint) {
            let Some(written) = writing.under_way.next().await else {
                break;
            };
            self.count(written, &mut writing.endpoints)?;
        }
        writing.endpoints.insert(endpoint);
        writing.batch.last_line = number;
        writing.batch.registrations.push(registration);
        Ok(())
    }

    fn refuse(&mut self, number: u64, why: &str) {
        self.bad += 1;
        self.bar
            .suspend(|| complain(format_args!("line {number}: {why}")));
    }

    /// Counts what was written, and forgets its endpoints.
    fn count(&mut self, (batch, stored): Written, endpoints: &mut HashSet<String>) -> Result<()> {
        let new = stored.with_context(|| {
            format!(
                "at or before line {}; so far {self}; import again to go on",
                batch.last_line
            )
        })? as u64;
        self.new += new;
        self.refreshed += batch.registrations.len() as u64 - new;
        for registration in &batch.registrations {
            endpoints.remove(registration.subscription.endpoint.as_str());
        }
        self.bar.set_message(format!(
            "{} imported",
            HumanCount(self.new + self.refreshed)
        ));
        Ok(())
    }
}

/// A batch, and how many of its subscriptions are new.
type Written = (Batch, Result<usize, StoreError>);

/// The batch that is being filled, and the batches that are being written.
struct Writing<'a> {
    store: &'a Store,
    clock: Clock,
    batch: Batch,
    under_way: FuturesUnordered<BoxFuture<'a, Written>>,
    /// Endpoints of all lines that are read and not yet written.
    endpoints: HashSet<String>,
}

impl<'a> Writing<'a> {
    fn new(store: &'a Store) -> Self {
        Self {
            store,
            clock: Clock::system(),
            batch: Batch::default(),
            under_way: FuturesUnordered::new(),
            endpoints: HashSet::new(),
        }
    }

    /// Starts writing the batch, unless it is empty.
    fn begin(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.registrations.is_empty() {
            return;
        }
        let (subscribers, now) = (&self.store.subscribers, self.clock.now());
        self.under_way.push(Box::pin(async move {
            let stored = subscribers.subscribe_all(&batch.registrations, now).await;
            (batch, stored)
        }));
    }
}

/// Subscriptions with different endpoints that are written together.
#[derive(Default)]
struct Batch {
    last_line: u64,
    registrations: Vec<Registration>,
}

impl std::fmt::Display for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [new, refreshed, bad] = [self.new, self.refreshed, self.bad].map(HumanCount);
        write!(f, "{new} new, {refreshed} refreshed, {bad} bad lines")
    }
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
    let value = from_onesignal(&value).unwrap_or(value);
    let members = Members::of(&value).map_err(|error| error.to_string())?;
    Registration::from_operator(members, allowed).map_err(|error| error.to_string())
}

/// A row of OneSignal's export, its columns as members: `identifier`, and of the extra fields `web_p256`, `web_auth`,
/// `external_user_id`, `timezone_id`. Its tags have values: `{"level": "5"}` becomes `level:5`.
fn from_onesignal(row: &Value) -> Option<Value> {
    let column = |name: &str| row.get(name).filter(|value| **value != "").cloned();
    let (endpoint, p256dh) = (column("identifier")?, column("web_p256")?);
    let mut json = json!({
        "endpoint": endpoint,
        "keys": {"p256dh": p256dh, "auth": column("web_auth")},
    });
    // In CSV exports the tags are JSON in a text.
    let tags = match column("tags") {
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        tags => tags.unwrap_or_default(),
    };
    let tag = |(name, value): (&String, &Value)| match value.as_str() {
        Some("") => name.clone(),
        Some(text) => format!("{name}:{text}"),
        None => format!("{name}:{value}"),
    };
    let tags = match tags.as_object() {
        Some(tags) => Some(tags.iter().map(tag).collect()),
        // Any other value stays, so that the check below refuses it by its name.
        None => Some(tags).filter(|tags| !tags.is_null()),
    };
    let more = [
        ("tags", tags),
        ("user", column("external_user_id")),
        ("timezone", column("timezone_id")),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            json[name] = value;
        }
    }
    Some(json)
}
