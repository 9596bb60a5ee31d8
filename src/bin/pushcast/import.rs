//! `pushcast subscriptions import`: lines in, of which a bad one costs itself only.

use std::collections::HashSet;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read};
use std::thread;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use pushcast::clock::Clock;
use pushcast::dynamo::StoreError;
use pushcast::json::Members;
use pushcast::store::Store;
use pushcast::subscribers::MAX_AT_ONCE;
use pushcast::subscribers::registration::Registration;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use webpush::AllowList;

use crate::output::complain;

/// Batches that are written at once.
const BATCHES: usize = 8;
/// Lines that are read ahead.
const AHEAD: usize = 1000;
/// A line that is longer is no subscription.
const MAX_LINE: u64 = 64 * 1024;

/// What an import did so far.
#[derive(Debug)]
pub(crate) struct Import {
    new: u64,
    refreshed: u64,
    /// Lines that are no subscription.
    pub(crate) bad: u64,
    bar: ProgressBar,
}

impl Import {
    /// Of a file of `size` bytes, if that is known: then a bar shows how far it is.
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

    /// Stores what the lines of `input` hold.
    pub(crate) async fn run(
        mut self,
        store: &Store,
        allowed: &AllowList,
        input: Box<dyn Read + Send>,
    ) -> Result<Self> {
        let mut lines = Lines::read_aside(input, self.bar.clone());
        let clock = Clock::system();
        let write = |batch: Batch| async {
            let stored = store
                .subscribers
                .subscribe_all(&batch.registrations, clock.now())
                .await;
            (batch, stored)
        };
        let mut writing = FuturesUnordered::new();
        let mut batch = Batch::default();
        // Of all lines that were read and are not written yet.
        let mut endpoints = HashSet::new();
        loop {
            let line = match lines.try_recv() {
                Ok(line) => Some(line),
                Err(_) => {
                    // A slow pipe, or the end: what is here does not wait for more.
                    if !batch.registrations.is_empty() {
                        writing.push(write(std::mem::take(&mut batch)));
                    }
                    tokio::select! {
                        Some(written) = writing.next() => {
                            self.count(written, &mut endpoints)?;
                            continue;
                        }
                        line = lines.recv() => line,
                    }
                }
            };
            let Some(line) = line else { break };
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
            let again = endpoints.contains(&endpoint);
            if again || batch.registrations.len() == MAX_AT_ONCE {
                writing.push(write(std::mem::take(&mut batch)));
            }
            while writing.len() > BATCHES || endpoints.contains(&endpoint) {
                let Some(written) = writing.next().await else {
                    break;
                };
                self.count(written, &mut endpoints)?;
            }
            endpoints.insert(endpoint);
            batch.last_line = number;
            batch.registrations.push(registration);
        }
        while let Some(written) = writing.next().await {
            self.count(written, &mut endpoints)?;
        }
        self.bar.finish_and_clear();
        Ok(self)
    }

    fn refuse(&mut self, number: u64, why: &str) {
        self.bad += 1;
        self.bar
            .suspend(|| complain(format_args!("line {number}: {why}")));
    }

    /// Counts what was written, and forgets its endpoints.
    fn count(
        &mut self,
        (batch, stored): (Batch, Result<usize, StoreError>),
        endpoints: &mut HashSet<String>,
    ) -> Result<()> {
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

/// Subscriptions of different endpoints, written as one.
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

/// The lines that are not empty, with their numbers, one in memory at a time.
struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    number: u64,
    bar: ProgressBar,
}

/// A line and its number.
type Line = io::Result<(u64, Vec<u8>)>;

impl Lines {
    /// Reads on a thread of its own, which may wait for a terminal for ever, a few lines ahead.
    fn read_aside(input: Box<dyn Read + Send>, bar: ProgressBar) -> mpsc::Receiver<Line> {
        let (read, lines) = mpsc::channel(AHEAD);
        let input = BufReader::new(input);
        thread::spawn(move || {
            let mut lines = Lines {
                input,
                number: 0,
                bar,
            };
            // Until nobody wants them any more.
            lines.try_for_each(|line| read.blocking_send(line))
        });
        lines
    }
}

impl Iterator for Lines {
    type Item = Line;

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
    // A table in text holds them as text.
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
        // What is no table of tags is refused by name, with the line.
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
