//! Reads the files that `pushcast push` is given, and checks them against the flags.

use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use pushcast::config;
use serde_json::{Map, Value};
use webpush::EndpointError;
use webpush::SubscriptionError;
use webpush::{Topic, Urgency};

use super::shown::spelled;

/// Refuses a flag and a header of `--head` that have different values, because the user's intent is unclear.
pub(super) fn check_agreement(
    head: &str,
    ttl: Option<u32>,
    urgency: Option<Urgency>,
    topic: Option<&Topic>,
) -> Result<()> {
    let headers: Map<String, Value> = serde_json::from_str(head)?;
    let given = [
        ("TTL", "--ttl", ttl.map(|ttl| ttl.to_string())),
        (
            "Urgency",
            "--urgency",
            urgency.map(|urgency| urgency.as_str().to_owned()),
        ),
        ("Topic", "--topic", topic.map(ToString::to_string)),
    ];
    for (header, flag, value) in given {
        let named = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(header));
        let (Some((_, in_file)), Some(value)) = (named, value) else {
            continue;
        };
        let in_file = spelled(in_file);
        let same = in_file == value
            || header == "Topic" && in_file.parse::<Topic>().ok().as_ref() == topic;
        if !same {
            bail!(
                "{flag} {value} and {header} {in_file} in --head have different values: leave one out"
            );
        }
    }
    Ok(())
}

/// The error's text. For an endpoint off the allow-list it adds the setting that allows it.
pub(super) fn explained(error: &SubscriptionError, info: &str) -> String {
    let unlisted = matches!(
        error,
        SubscriptionError::Endpoint(
            EndpointError::NotAllowed
                | EndpointError::NotHttps
                | EndpointError::IpAddress
                | EndpointError::Port
        )
    );
    let endpoint = serde_json::from_str::<Value>(info).ok();
    let url = endpoint.and_then(|info| url::Url::parse(info["endpoint"].as_str()?).ok());
    match url.map(|url| url.origin()) {
        Some(origin) if unlisted && origin.is_tuple() => format!(
            "{error}; if you trust it, set {}={}",
            config::PUSH_ORIGINS,
            origin.ascii_serialization()
        ),
        Some(_) | None => error.to_string(),
    }
}

pub(super) fn read(flag: &str, file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        let read = io::stdin().read_to_end(&mut bytes);
        read.with_context(|| format!("{flag}: the standard input"))?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("{flag} {} cannot be read", file.display()))
}

pub(super) fn read_text(flag: &str, file: &Path) -> Result<String> {
    String::from_utf8(read(flag, file)?)
        .with_context(|| format!("{flag} {} is not text", file.display()))
}
