//! `pushcast send`: sends one message to a user or an audience.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use pushcast::clock::Chance;
use serde_json::{Map, Value, json};

use crate::api::{ApiError, Server};
use crate::message::{read, read_text};
use crate::output::{complain, say};
use crate::watch::Watch;

/// Send a message through a server, here or in AWS: to one person now, or to an audience, as a campaign.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pushcast send --user ada --title 'Your parcel is here' --navigate https://www.example.org/parcels/17
  pushcast send --audience all --notification news.json --ttl 86400 --watch
  pushcast send --audience 'news && !(sports || beta)' --text refresh --rate 500 --id refresh-2026-12-24
  make-message | pushcast send --user ada --payload - --urgency high

To an endpoint or a user, it prints each device's result. To an audience, it starts a campaign and prints its id.
Repeating the command with the same --id does not send twice.
Exit codes: 0 sent (to a person: at least one device took it), 1 refused or not sent, 2 wrong usage.")]
pub(crate) struct Send {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    content: Content,
    /// Text below the title.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["notification", "payload", "text"])]
    body: Option<String>,
    /// The page that a click opens, an absolute URL.
    #[arg(long, value_name = "URL", conflicts_with_all = ["notification", "payload", "text"])]
    navigate: Option<String>,
    /// Seconds that push services keep the message for a device that is offline; 0 is now or never. [default:
    /// 2419200, four weeks]
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// Importance: a device on low battery may defer less urgent messages.
    #[arg(long, value_enum)]
    urgency: Option<Urgency>,
    /// A later message with the same topic takes the place of one that was not delivered yet.
    #[arg(long)]
    topic: Option<String>,
    /// The campaign's id. Repeating the command with the same id does not send twice.
    #[arg(long, conflicts_with_all = ["user", "endpoint"])]
    id: Option<String>,
    /// Maximum number of messages per second.
    #[arg(long, value_name = "N", conflicts_with_all = ["user", "endpoint"])]
    rate: Option<u32>,
    /// Follow the campaign to its end, as `pushcast campaigns watch` does.
    #[arg(long, conflicts_with_all = ["user", "endpoint"])]
    watch: bool,
    /// Results, or the campaign, as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// Every subscriber whose tags match: `all`, or an expression with &&, ||, ! and parentheses.
    #[arg(long, value_name = "EXPRESSION")]
    audience: Option<String>,
    /// All devices of this user.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// One device.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Content {
    /// A declarative notification: a JSON file, - for the standard input, or the object itself.
    #[arg(long, value_name = "FILE|JSON")]
    notification: Option<String>,
    /// Title of a notification; goes with --navigate, and --body if you like.
    #[arg(long, value_name = "TEXT", requires = "navigate")]
    title: Option<String>,
    /// Data for your own service worker, sent as it is: a file, or - for the standard input.
    #[arg(long, value_name = "FILE")]
    payload: Option<String>,
    /// Data for your own service worker, given as an argument.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Urgency {
    VeryLow,
    Low,
    Normal,
    High,
}

impl Send {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let api = self.server.api()?;
        let mut message = self.message()?;
        if self.to.audience.is_none() {
            let answer = api.post("/push/send", Some(&message)).await?;
            return self.show(&answer);
        }
        let id = self.id.clone().unwrap_or_else(new_id);
        message["id"] = json!(id);
        let answer = api.post("/push/send", Some(&message)).await;
        let answer = answer.map_err(|error| self.unsure(error, &id))?;
        let id = answer["campaign"]
            .as_str()
            .context("the server did not say which campaign it is")?;
        if self.watch {
            complain(format_args!("campaign {id}"));
            return Watch::new(Duration::from_secs(60), self.json)
                .run(&api, id)
                .await;
        }
        if self.json {
            say(&answer)?;
        } else {
            say(id)?;
            complain(format_args!("to watch it: pushcast campaigns watch {id}"));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn message(&self) -> Result<Value> {
        let mut message = Map::new();
        let to = match (&self.to.audience, &self.to.user, &self.to.endpoint) {
            (Some(audience), _, _) => json!({"audience": audience}),
            (None, Some(user), _) => json!({"user": user}),
            (None, None, endpoint) => json!({"endpoint": endpoint}),
        };
        message.insert("to".to_owned(), to);
        let content = &self.content;
        let (name, value) = match (&content.notification, &content.title, &content.payload) {
            (Some(given), _, _) => ("notification", read(given)?),
            (None, Some(title), _) => {
                let mut notification = json!({"title": title, "navigate": self.navigate});
                if let Some(body) = &self.body {
                    notification["body"] = json!(body);
                }
                ("notification", notification)
            }
            (None, None, Some(file)) => ("data", json!(read_text(file)?)),
            (None, None, None) => ("data", json!(content.text)),
        };
        message.insert(name.to_owned(), value);
        let urgency = self.urgency.and_then(|it| it.to_possible_value());
        let optional = [
            ("ttl", self.ttl.map(Value::from)),
            ("urgency", urgency.map(|it| json!(it.get_name()))),
            ("topic", self.topic.as_ref().map(|it| json!(it))),
            ("rate", self.rate.map(Value::from)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                message.insert(name.to_owned(), value);
            }
        }
        Ok(Value::Object(message))
    }

    /// Adds the campaign's id to a transient error, because the server may have started the campaign. A retry with that
    /// id does not start another.
    fn unsure(&self, error: ApiError, id: &str) -> anyhow::Error {
        let is_transient = error.is_transient();
        let error = anyhow::Error::from(error);
        if is_transient {
            return error.context(format!(
                "it may have been started; the same command with --id {id} does not send it twice"
            ));
        }
        error
    }

    fn show(&self, answer: &Value) -> Result<ExitCode> {
        let results = answer["results"].as_array().map_or(&[][..], Vec::as_slice);
        let mut accepted = false;
        for result in results {
            let text = |name: &str| result[name].as_str().unwrap_or_default();
            accepted |= text("outcome") == "accepted";
            if self.json {
                say(result)?;
                continue;
            }
            let status = result["status"].as_u64();
            let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let detail = match (text("detail"), result["retry_after"].as_u64()) {
                ("", None) => String::new(),
                (detail, None) => format!("  {detail}"),
                (detail, Some(after)) => format!("  {detail} (try again after {after} s)"),
            };
            let outcome = text("outcome");
            say(format_args!(
                "{outcome:<12} {status:<4} {}{detail}",
                text("endpoint")
            ))?;
        }
        if results.is_empty() {
            complain("this user has no devices here");
        }
        Ok(if accepted {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Makes an id in the form of the server's. The client makes it, so that it can repeat the request.
fn new_id() -> String {
    let chance = Chance::system();
    format!("{:016x}{:016x}", chance.draw(), chance.draw())
}
