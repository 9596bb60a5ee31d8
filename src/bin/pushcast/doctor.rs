//! `pushcast doctor`: checks everything that a push depends on, and prints remedies.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use http::{Method, Request};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use pushcast::aws::Aws;
use pushcast::clock::Clock;
use pushcast::config::{self, Config, ConfigError, Secrets, SigningKey};
use pushcast::store::Store;
use serde::Serialize;
use webpush::{AllowList, Origin};
use webpush::{Client, Limits};

use crate::data_folder::{self, DataFolder, open_store};
use crate::output::say;

/// Our clock is compared with this push service's, unless the operator has added another.
const CLOCK_REFERENCE: &str = "https://updates.push.services.mozilla.com";
/// Largest clock difference that is fine. Push services refuse a token that has expired or is valid for more than a
/// day, by their own clock.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);
/// Number of rows whose endpoints are checked.
const SAMPLE: i32 = 1000;

/// Check subject, keys, clock, allow-list and tables, and say what to do.
///
/// It asks one push service for the time, and changes nothing. The exit code is 1 when something is wrong.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Folder of `pushcast serve`.
    #[arg(long, default_value = data_folder::DEFAULT, value_name = "DIR")]
    data: PathBuf,
    /// As JSON, one object a check.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warning,
    Wrong,
}

/// The result of one check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    health: Health,
    detail: String,
}

fn finding(check: &'static str, health: Health, detail: impl ToString) -> Finding {
    Finding {
        check,
        health,
        detail: detail.to_string(),
    }
}

impl Doctor {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let findings = match configuration().await {
            Ok((config, secrets)) => self.examine(&config, &secrets).await,
            Err(error) => vec![finding("configuration", Health::Wrong, error)],
        };
        for finding in &findings {
            if self.json {
                say(serde_json::to_string(finding)?)?;
            } else {
                let Finding { check, detail, .. } = finding;
                say(format_args!(
                    "{} {check:<13} {detail}",
                    mark(finding.health)
                ))?;
            }
        }
        let wrong = findings
            .iter()
            .any(|finding| finding.health == Health::Wrong);
        Ok(if wrong {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    async fn examine(&self, config: &Config, secrets: &Secrets) -> Vec<Finding> {
        let mut findings = vec![subject(config), self.key(secrets)];
        findings.push(clock(config).await);
        findings.push(allow_list(config));
        match open_store(config, &self.data).await {
            Ok(store) => findings.extend(tables(&store, &config.allowed).await),
            Err(error) => findings.push(finding("tables", Health::Wrong, format!("{error:#}"))),
        }
        findings
    }

    fn key(&self, secrets: &Secrets) -> Finding {
        let describe = |public: &str, keys: usize| {
            let older = match keys {
                0 | 1 => String::new(),
                n => format!(", and {} older", n - 1),
            };
            format!("public key {public}{older}")
        };
        if let Some(current) = secrets.vapid_keys.first() {
            let place = match current {
                SigningKey::Kms(_) => ", in KMS",
                SigningKey::Local(_) => "",
            };
            let detail = describe(&current.public_base64url(), secrets.vapid_keys.len()) + place;
            return finding("key", Health::Ok, detail);
        }
        let file = DataFolder::existing(&self.data).map(|folder| folder.vapid_file());
        match file.and_then(|file| Ok(config::read_key(&file.display().to_string())?)) {
            Ok(key) => finding("key", Health::Ok, describe(&key.public_base64url(), 1)),
            Err(_) => {
                let detail = format!(
                    "there is none: run `pushcast serve` once, or `pushcast vapid generate --out vapid.pem` and set {}=vapid.pem",
                    config::VAPID_KEYS
                );
                finding("key", Health::Wrong, detail)
            }
        }
    }
}

/// Reads the configuration, and fetches the secrets that it refers to.
async fn configuration() -> Result<(Config, Secrets), ConfigError> {
    let mut config = Config::from_env()?;
    let sources = std::mem::take(&mut config.secrets);
    let secrets = sources.fetch(&Aws::of_user()).await?;
    Ok((config, secrets))
}

fn subject(config: &Config) -> Finding {
    match &config.vapid_subject {
        Some(subject) => finding("subject", Health::Ok, subject.as_str()),
        None => {
            let detail = format!(
                "Apple refuses messages without one: set {}=mailto:you@your.domain",
                config::VAPID_SUBJECT
            );
            finding("subject", Health::Warning, detail)
        }
    }
}

async fn clock(config: &Config) -> Finding {
    let added = config.allowed.added().first();
    let origin = match added
        .cloned()
        .map_or_else(|| Origin::parse(CLOCK_REFERENCE), Ok)
    {
        Ok(origin) => origin,
        Err(error) => return finding("clock", Health::Wrong, error),
    };
    let client = match Client::new(Limits::default(), config.ca_file.as_deref()) {
        Ok(client) => client,
        Err(error) => return finding("push client", Health::Wrong, error),
    };
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = format!("{origin}/").parse().unwrap_or_default();
    let answer = match client.exchange(&origin, request).await {
        Ok(answer) => answer,
        Err(error) => {
            let detail = format!(
                "cannot be compared, {origin} does not answer: {:#}",
                anyhow::Error::new(error)
            );
            return finding("clock", Health::Warning, detail);
        }
    };
    let date = answer
        .headers
        .get(http::header::DATE)
        .and_then(|date| date.to_str().ok());
    match date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()) {
        Some(date) => compare(&origin, date, Clock::system().now()),
        None => finding(
            "clock",
            Health::Warning,
            format!("cannot be compared, {origin} sends no date"),
        ),
    }
}

fn compare(origin: &Origin, theirs: Timestamp, ours: Timestamp) -> Finding {
    let skew = ours.duration_since(theirs);
    if skew.unsigned_abs() <= MAX_SKEW {
        return finding(
            "clock",
            Health::Ok,
            format!(
                "agrees with {origin} to within {}s",
                skew.unsigned_abs().as_secs() + 1
            ),
        );
    }
    let relation = if skew.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let detail = format!(
        "is {:#} {relation} {origin}'s: push services will refuse our tokens; set it (NTP)",
        skew.abs()
    );
    finding("clock", Health::Wrong, detail)
}

fn allow_list(config: &Config) -> Finding {
    let known: Vec<&str> = AllowList::known_hosts().collect();
    let added = config.allowed.added();
    let plain = added
        .iter()
        .any(|origin| origin.as_str().starts_with("http:"));
    let names: Vec<&str> = added.iter().map(Origin::as_str).collect();
    let detail = match names.len() {
        0 => known.join(" "),
        _ => format!("{} and, added, {}", known.join(" "), names.join(" ")),
    };
    if plain {
        let detail =
            format!("{detail}: http is for local work, others can read and change what is sent");
        return finding("allow-list", Health::Warning, detail);
    }
    finding("allow-list", Health::Ok, detail)
}

async fn tables(store: &Store, allowed: &AllowList) -> Vec<Finding> {
    let checked = async {
        let wrong = store.database().check_tables().await?;
        let count = store.subscribers.count().await?;
        let page = store.subscribers.all(None, SAMPLE).await?;
        Ok::<_, pushcast::dynamo::StoreError>((wrong, count, page.rows))
    };
    let (wrong, count, rows) = match checked.await {
        Ok(checked) => checked,
        Err(error) => {
            let detail = format!("{:#}", anyhow::Error::new(error));
            return vec![finding("tables", Health::Wrong, detail)];
        }
    };
    let mut findings: Vec<Finding> = wrong
        .into_iter()
        .map(|fault| finding("tables", Health::Wrong, fault))
        .collect();
    if findings.is_empty() {
        findings.push(finding(
            "tables",
            Health::Ok,
            format!("{count} subscriptions"),
        ));
    }
    let refused: Vec<String> = rows
        .iter()
        .filter_map(|row| row.subscription(allowed).err())
        .map(|error| error.to_string())
        .collect();
    if let Some(first) = refused.first() {
        let detail = format!(
            "{} of the first {} cannot be sent to; one of them: its {first}",
            refused.len(),
            rows.len()
        );
        findings.push(finding("subscriptions", Health::Warning, detail));
    }
    findings
}

fn mark(health: Health) -> &'static str {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match (health, colour) {
        (Health::Ok, true) => "\x1b[32mok     \x1b[0m",
        (Health::Warning, true) => "\x1b[33mwarning\x1b[0m",
        (Health::Wrong, true) => "\x1b[31mwrong  \x1b[0m",
        (Health::Ok, false) => "ok     ",
        (Health::Warning, false) => "warning",
        (Health::Wrong, false) => "wrong  ",
    }
}
