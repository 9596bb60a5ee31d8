//! `pushcast push`: one message to one subscription, without a server or a store. pywebpush's command, flag by flag.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use pushcast::clock::Clock;
use pushcast::config::{self, Config, read_key};
use pushcast::push::{Client, Limits, PushError};
use pushcast::webpush::curl::{CurlOptions, curl_command};
use pushcast::webpush::endpoint::EndpointError;
use pushcast::webpush::subscription::SubscriptionError;
use pushcast::webpush::{
    Answer, ContentEncoding, Message, Outcome, SenderClaims, Subscription, Topic, Urgency, Vapid,
    VapidKey, build_request, build_unsigned,
};
use serde_json::{Map, Value, json};

use crate::output::{complain, create_private, say};

/// Where --curl puts the body, and where it does when that is there already.
const BODY_FILE: &str = "encrypted";
/// How often another name is tried.
const MOST_BODY_FILES: usize = 10_000;

/// Push one message to one subscription, or print the curl command that does.
///
/// It needs no server: the subscription, as the browser's PushSubscription.toJSON() gives it, a key and claims. The
/// flags are those of the command pywebpush.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pushcast push --info sub.json --key vapid.pem --claims claims.json --text hello
  pushcast push -i sub.json -d message.json --head windows_headers.json --key vapid.pem --claims claims.json
  pushcast push --info sub.json --key vapid.pem --claims claims.json --data - --curl < message.json

claims.json is {\"sub\": \"mailto:you@your.domain\"}; aud and exp are filled in.
The push service's answer is printed. Exit codes: 0 accepted, 1 not accepted, 2 wrong usage.")]
pub(crate) struct Push {
    /// The message, a file of any bytes, or - for the standard input. Without it, a push without a body.
    #[arg(long, short, value_name = "FILE", conflicts_with = "text")]
    data: Option<PathBuf>,
    /// The message itself.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
    /// The subscription, a JSON file: {"endpoint", "keys": {"p256dh", "auth"}}.
    #[arg(long, short, value_name = "FILE")]
    info: PathBuf,
    /// Headers to add, a JSON file: {"X-WNS-Type": "wns/toast", "TTL": 600}.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// Claims of the token, a JSON file: {"sub": "mailto:you@your.domain"}. Without it, PUSHCAST_VAPID_SUBJECT.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The VAPID private key: a file, or the key itself. Without it, the first of PUSHCAST_VAPID_KEYS.
    // PEM begins with a hyphen, as base64url may: taken for options, they would be repeated on the standard error.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// Add X-WNS-Cache-Policy, as the TTL is. To *.notify.windows.com it is added anyway.
    #[arg(long)]
    wns: bool,
    /// Do not send: print a curl command that does. The body is put into a file whose name it holds.
    #[arg(long)]
    curl: bool,
    /// How the message is encrypted.
    #[arg(long, value_enum, default_value_t = Encoding::Aes128gcm)]
    encoding: Encoding,
    /// Seconds that the push service keeps the message for a device that is not there; 0 is now or never. [default:
    /// 2419200, four weeks]
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// How urgent it is: very-low, low, normal or high.
    #[arg(long)]
    urgency: Option<Urgency>,
    /// A later message with the same topic takes the place of one that was not delivered yet.
    #[arg(long)]
    topic: Option<Topic>,
    /// Seconds for all of it, a fraction too.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    timeout: Duration,
    /// The result as one JSON object.
    #[arg(long)]
    json: bool,
    /// Say what is sent, and to whom, on the standard error.
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Encoding {
    /// RFC 8291: what every browser of today reads.
    Aes128gcm,
    /// The draft before it: browsers before 2018.
    Aesgcm,
}

impl From<Encoding> for ContentEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Aes128gcm => Self::Aes128gcm,
            Encoding::Aesgcm => Self::Aesgcm,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|seconds| !seconds.is_zero() && seconds.as_secs() <= 24 * 60 * 60)
        .ok_or_else(|| "must be a number of seconds above 0, at most a day".to_owned())
}

impl Push {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let config = self.environment()?;
        let message = self.message()?;
        let subscription = self.subscription(&config)?;
        let vapid = self.vapid(config.vapid_keys, config.vapid_subject)?;
        let clock = Clock::system();
        let request = match &vapid {
            Some(vapid) => build_request(&subscription, &message, vapid, clock.now())?,
            None => build_unsigned(&subscription, &message)?,
        };
        if vapid.is_none() && !request.headers().contains_key(AUTHORIZATION) {
            complain(
                "note: not signed, since there is neither --key nor --claims; most push services refuse that",
            );
        }
        if self.verbose {
            tell(&subscription, &message, &request);
        }
        let ca_file = config.ca_file.as_deref();
        if self.curl {
            return self.print_curl(&request, ca_file);
        }
        let limits = Limits {
            connect: Limits::default().connect.min(self.timeout),
            total: self.timeout,
            ..Limits::default()
        };
        let client = Client::new(limits, ca_file)?;
        let post = client.post(&subscription.endpoint, request, &clock);
        match tokio::time::timeout(self.timeout, post).await {
            Ok(Ok(answer)) => self.show(&answer.outcome, Some(&answer), None),
            Ok(Err(error)) => {
                let why = error.answer().is_none().then(|| why(&error));
                self.show(&error.outcome(), error.answer(), why)
            }
            Err(_) => {
                let why = "the push service did not answer in time: --timeout gives it longer";
                self.show(&Outcome::Unreachable, None, Some(why.to_owned()))
            }
        }
    }

    /// What of the environment concerns one push: a variable of the server's that is wrong is no matter here.
    fn environment(&self) -> Result<Config> {
        let concerns = |name: &str| match name {
            config::PUSH_ORIGINS | config::CA_FILE => true,
            config::VAPID_KEYS => self.key.is_none(),
            config::VAPID_SUBJECT => self.claims.is_none(),
            _ => false,
        };
        let variable = |name: &str| concerns(name).then(|| std::env::var(name).ok()).flatten();
        Ok(Config::from_fn(variable)?)
    }

    fn subscription(&self, config: &Config) -> Result<Subscription> {
        let text = read_text("--info", &self.info)?;
        Subscription::from_json(&text, &config.allowed)
            .map_err(|error| explained(error, &text))
            .with_context(|| format!("--info {}", self.info.display()))
    }

    fn message(&self) -> Result<Message> {
        let stdin = Path::new("-");
        if self.info == stdin && self.data.as_deref() == Some(stdin) {
            bail!("--info and --data cannot both be the standard input: give one as a file");
        }
        let payload = match (&self.data, &self.text) {
            (Some(file), _) => read("--data", file)?,
            (None, Some(text)) => text.clone().into_bytes(),
            (None, None) => Vec::new(),
        };
        if payload.is_empty() && (self.data.is_some() || self.text.is_some()) {
            complain("note: the message is empty: pushing without a body");
        }
        let mut message = Message {
            encoding: self.encoding.into(),
            ..Message::bytes(payload)
        };
        if let Some(file) = &self.head {
            let text = read_text("--head", file)?;
            message = message
                .with_headers_from_json(&text)
                .with_context(|| format!("--head {}", file.display()))?;
            self.check_agreement(&text)?;
        }
        message.ttl = self.ttl.unwrap_or(message.ttl);
        message.urgency = self.urgency.or(message.urgency);
        message.topic = self.topic.clone().or(message.topic);
        Ok(if self.wns {
            message.with_wns_cache_policy()
        } else {
            message
        })
    }

    /// Two that say different things are a mistake, whichever were to win.
    fn check_agreement(&self, head: &str) -> Result<()> {
        let headers: Map<String, Value> = serde_json::from_str(head)?;
        let given = [
            ("TTL", "--ttl", self.ttl.map(|ttl| ttl.to_string())),
            (
                "Urgency",
                "--urgency",
                self.urgency.map(|urgency| urgency.as_str().to_owned()),
            ),
            (
                "Topic",
                "--topic",
                self.topic.as_ref().map(ToString::to_string),
            ),
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
                || header == "Topic" && in_file.parse::<Topic>().ok() == self.topic;
            if !same {
                bail!(
                    "{flag} {value} and {header} {in_file} in --head say different things: leave one out"
                );
            }
        }
        Ok(())
    }

    fn vapid(
        &self,
        configured: Vec<VapidKey>,
        subject: Option<pushcast::webpush::Subject>,
    ) -> Result<Option<Vapid>> {
        let claims = match &self.claims {
            Some(file) => {
                let text = read_text("--claims", file)?;
                let claims = SenderClaims::from_json(&text);
                Some(claims.with_context(|| format!("--claims {}", file.display()))?)
            }
            None => subject.map(SenderClaims::from),
        };
        let key = match &self.key {
            // What was given is not repeated: it may be a key.
            Some(text) => Some(read_key(text).map_err(|error| anyhow!("--key {error}"))?),
            None => configured.into_iter().next(),
        };
        match (key, claims) {
            (Some(key), Some(claims)) => Ok(Some(Vapid::with_claims(key, claims))),
            (Some(_), None) => bail!(
                "a key needs claims to sign: give --claims FILE with {{\"sub\": \"mailto:you@your.domain\"}}, or set {}",
                config::VAPID_SUBJECT
            ),
            (None, Some(_)) if self.claims.is_some() => bail!(
                "--claims needs a key to sign with: give --key, a file or the key itself, or set {}",
                config::VAPID_KEYS
            ),
            (None, Some(_) | None) => Ok(None),
        }
    }

    fn print_curl(&self, request: &Request<Bytes>, ca_file: Option<&Path>) -> Result<ExitCode> {
        let body = match request.body() {
            body if body.is_empty() => None,
            body => {
                let (path, mut file) = new_body_file()?;
                file.write_all(body)
                    .with_context(|| path.display().to_string())?;
                Some(path)
            }
        };
        let ca_file = ca_file.map(std::path::absolute).transpose()?;
        let command = curl_command(
            request,
            CurlOptions {
                body: body.as_deref(),
                ca_file: ca_file.as_deref(),
                timeout: Some(self.timeout.as_secs_f64()),
            },
        );
        if self.json {
            say(json!({"curl": command, "body": body}))?;
        } else {
            say(&command)?;
            if let Some(body) = body {
                complain(format_args!("the body is in {}", body.display()));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints what became of it.
    fn show(
        &self,
        outcome: &Outcome,
        answer: Option<&Answer>,
        failure: Option<String>,
    ) -> Result<ExitCode> {
        let retry_after = answer.and_then(|answer| answer.retry_after);
        let retry_after = retry_after.map(|wait| wait.as_secs());
        let words: [(&str, Value); 9] = [
            ("outcome", json!(outcome.label())),
            ("status", json!(answer.map(|answer| answer.status))),
            ("code", json!(answer.and_then(|answer| answer.code))),
            ("errno", json!(answer.and_then(|answer| answer.errno))),
            (
                "reason",
                json!(answer.and_then(|answer| answer.reason.as_deref())),
            ),
            (
                "message",
                json!(answer.and_then(|answer| answer.message.as_deref())),
            ),
            ("retry_after", json!(retry_after)),
            (
                "location",
                json!(answer.and_then(|answer| answer.location.as_deref())),
            ),
            ("failure", json!(failure)),
        ];
        let words = words.into_iter().filter(|(_, value)| !value.is_null());
        if self.json {
            let object: Map<String, Value> = words
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            say(Value::Object(object))?;
        } else {
            for (name, value) in words {
                say(format_args!("{name:<12} {}", spelled(&value)))?;
            }
            if let Some(advice) = advice(outcome) {
                complain(advice);
            }
        }
        Ok(if *outcome == Outcome::Accepted {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Text without its quotes, and anything else as JSON has it.
fn spelled(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What to do about it.
fn advice(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Accepted => None,
        Outcome::Gone => Some("the subscription is no more: forget it"),
        Outcome::Mismatched => {
            Some("the subscription was made with another VAPID key: sign with that one")
        }
        Outcome::TooLarge => Some("the message is larger than this push service takes"),
        Outcome::Throttled(_) => Some("the push service asks for a pause: try again later"),
        Outcome::Unavailable(_) => Some("the push service has trouble of its own: try again later"),
        Outcome::Unreachable => {
            Some("there was no answer, which says nothing about the subscription")
        }
        Outcome::OurFault => Some(
            "the token, the key or a header is wrong: every subscription there would be refused",
        ),
        Outcome::Refused => Some("the push service will not have this message"),
    }
}

/// An error and its causes in one line.
fn why(error: &PushError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// An endpoint that is off the list, with the line that would put it there.
fn explained(error: SubscriptionError, info: &str) -> anyhow::Error {
    let unlisted = matches!(
        &error,
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
        Some(origin) if unlisted && origin.is_tuple() => anyhow!(
            "{error}; if it is a push service that you trust, set {}={}",
            config::PUSH_ORIGINS,
            origin.ascii_serialization()
        ),
        Some(_) | None => error.into(),
    }
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        let read = io::stdin().read_to_end(&mut bytes);
        read.with_context(|| format!("{flag}: the standard input"))?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("{flag} {} cannot be read", file.display()))
}

fn read_text(flag: &str, file: &Path) -> Result<String> {
    String::from_utf8(read(flag, file)?)
        .with_context(|| format!("{flag} {} is not text", file.display()))
}

/// A new file beside those that are there: an earlier command may still want its own.
fn new_body_file() -> Result<(PathBuf, File)> {
    let folder = std::env::current_dir().context("the current folder")?;
    for number in 1..MOST_BODY_FILES {
        let name = match number {
            1 => format!("{BODY_FILE}.data"),
            _ => format!("{BODY_FILE}-{number}.data"),
        };
        let path = folder.join(name);
        if !path.exists() {
            let file = create_private(&path)?;
            return Ok((path, file));
        }
    }
    bail!("there are {MOST_BODY_FILES} files {BODY_FILE}-N.data here: remove some")
}

/// What is sent. The endpoint and the token let whoever reads them send: they are not shown whole.
fn tell(subscription: &Subscription, message: &Message, request: &Request<Bytes>) {
    complain(format_args!("to       {}", subscription.endpoint));
    for (name, value) in request.headers() {
        let value: &dyn fmt::Display = if *name == AUTHORIZATION {
            &claims_of(request.headers())
        } else {
            &String::from_utf8_lossy(value.as_bytes())
        };
        complain(format_args!("header   {name}: {value}"));
    }
    complain(format_args!(
        "message  {} bytes, {} encrypted",
        message.payload.len(),
        request.body().len()
    ));
}

/// The claims of the token, without its signature.
fn claims_of(headers: &HeaderMap) -> String {
    let value = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let claims = value.and_then(|value| value.split('.').nth(1));
    let claims = claims.and_then(|claims| pushcast::webpush::base64url::decode(claims).ok());
    let claims = claims.map(|claims| String::from_utf8_lossy(&claims).into_owned());
    format!("a token with the claims {}", claims.unwrap_or_default())
}
