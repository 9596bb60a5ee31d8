//! `pushcast push`: sends one message to one subscription, without a server or a store. It has all flags of pywebpush's
//! command.

mod curl;
mod given;
mod shown;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use http::header::AUTHORIZATION;
use pushcast::clock::Clock;
use pushcast::config::{self, Config, VapidSource, read_key};
use webpush::{Client, Limits};
use webpush::{
    ContentEncoding, Message, Outcome, SenderClaims, Subject, Subscription, Topic, Urgency, Vapid,
    build_request, build_unsigned,
};

use crate::output::complain;
use given::{check_agreement, explained, read, read_text};
use shown::{show, tell, why};

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
    // PEM begins with a hyphen, and base64url may. Taken for an option, the key would appear in clap's error message.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// Add X-WNS-Cache-Policy, with a value that fits the TTL. For *.notify.windows.com it is always added.
    #[arg(long)]
    wns: bool,
    /// Do not send, but print a curl command that does. The body is written to a file that the command names.
    #[arg(long)]
    curl: bool,
    /// How the message is encrypted.
    #[arg(long, value_enum, default_value_t = Encoding::Aes128gcm)]
    encoding: Encoding,
    /// Seconds that the push service keeps the message for a device that is offline; 0 is now or never. [default:
    /// 2419200, four weeks]
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// How urgent it is: very-low, low, normal or high.
    #[arg(long)]
    urgency: Option<Urgency>,
    /// A later message with the same topic takes the place of one that was not delivered yet.
    #[arg(long)]
    topic: Option<Topic>,
    /// Seconds for the whole exchange; fractions are allowed.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = seconds)]
    timeout: Duration,
    /// The result as one JSON object.
    #[arg(long)]
    json: bool,
    /// Print what is sent, and where, on the standard error.
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Encoding {
    /// RFC 8291: every current browser reads it.
    Aes128gcm,
    /// The draft before RFC 8291: for browsers before 2018.
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
        let vapid = self.vapid(config.secrets.vapid_keys, config.vapid_subject)?;
        let clock = Clock::system();
        let request = match &vapid {
            Some(vapid) => build_request(&subscription, &message, vapid, clock.now()),
            None => build_unsigned(&subscription, &message),
        };
        // The error's own text is complete; its causes would repeat it.
        let request = request.map_err(|error| anyhow!("{error}"))?;
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
            return self
                .print_curl(&request, ca_file)
                .map(|()| ExitCode::SUCCESS);
        }
        let limits = Limits {
            connect: Limits::default().connect.min(self.timeout),
            total: self.timeout,
            ..Limits::default()
        };
        let client = Client::new(limits, ca_file)?;
        let post = client.post(&subscription.endpoint, request, &clock);
        match tokio::time::timeout(self.timeout, post).await {
            Ok(Ok(answer)) => {
                show(&answer.outcome, Some(&answer), None, self.json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Ok(Err(error)) => {
                let why = error.answer().is_none().then(|| why(&error));
                show(&error.outcome(), error.answer(), why, self.json)?;
            }
            Err(_) => {
                let why = "the push service did not answer in time: --timeout gives it longer";
                show(&Outcome::Unreachable, None, Some(why.to_owned()), self.json)?;
            }
        }
        Ok(ExitCode::FAILURE)
    }

    /// Reads only the variables that this push needs, so that a wrong variable of the server does not stop it.
    fn environment(&self) -> Result<Config> {
        let is_needed = |name: &str| match name {
            config::PUSH_ORIGINS | config::CA_FILE => true,
            config::VAPID_KEYS => self.key.is_none(),
            config::VAPID_SUBJECT => self.claims.is_none(),
            _ => false,
        };
        let variable = |name: &str| is_needed(name).then(|| std::env::var(name).ok()).flatten();
        Ok(Config::from_fn(variable)?)
    }

    fn subscription(&self, config: &Config) -> Result<Subscription> {
        let text = read_text("--info", &self.info)?;
        Subscription::from_json(&text, &config.allowed).map_err(|error| {
            anyhow!(
                "--info {}: {}",
                self.info.display(),
                explained(&error, &text)
            )
        })
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
                .map_err(|error| anyhow!("--head {}: {error}", file.display()))?;
            check_agreement(&text, self.ttl, self.urgency, self.topic.as_ref())?;
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

    fn vapid(
        &self,
        configured: Vec<VapidSource>,
        subject: Option<Subject>,
    ) -> Result<Option<Vapid>> {
        let claims = match &self.claims {
            Some(file) => {
                let text = read_text("--claims", file)?;
                let claims = SenderClaims::from_json(&text);
                let claims =
                    claims.map_err(|error| anyhow!("--claims {}: {error}", file.display()));
                Some(claims?)
            }
            None => subject.map(SenderClaims::from),
        };
        let key = match &self.key {
            // The message must not repeat the text, which may be a key.
            Some(text) => Some(read_key(text).map_err(|error| anyhow!("--key {error}"))?),
            None => match configured.into_iter().next() {
                Some(VapidSource::Given(key)) => Some(key),
                None => None,
                Some(VapidSource::Kms(_) | VapidSource::SecretsManager(_)) => {
                    bail!(
                        "{} names a key in AWS, with which this command does not sign: give --key",
                        config::VAPID_KEYS
                    )
                }
            },
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
}
