//! `pushcast schedules`: lists, creates and deletes schedules, which send a message repeatedly or at a set time.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::{Server, segment};
use crate::message::read;
use crate::output::{complain, say};

/// List, create and delete schedules of a server, here or in AWS.
#[derive(Debug, Args)]
pub(crate) struct Schedules {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all schedules, sorted by name, with the next firing of each.
    List {
        /// As JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Create a schedule, or replace the one of this name.
    ///
    /// Example: pushcast schedules create weekdays 'cron(0 9 ? * MON-FRI *)' message.json --timezone Europe/Berlin
    Create {
        /// 1 to 64 characters of A-Z, a-z, 0-9, _ . and -
        name: String,
        /// at(2026-12-24T09:00:00), rate(5 minutes) or cron(0 9 ? * MON-FRI *), as EventBridge Scheduler takes them.
        expression: String,
        /// A file, - for the standard input, or the message itself: {"to": {"audience": "all"}, "notification": {..}}
        message: String,
        /// An IANA time zone, in which the expression is read.
        #[arg(long, default_value = "UTC", value_name = "ZONE")]
        timezone: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Delete a schedule. Campaigns that it has started continue.
    Delete {
        /// Its name.
        name: String,
    },
}

impl Schedules {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let api = self.server.api()?;
        match self.action {
            Action::List { json } => {
                let answer = api.get("/push/schedules").await?;
                let schedules = answer["schedules"]
                    .as_array()
                    .map_or(&[][..], Vec::as_slice);
                for schedule in schedules {
                    show(schedule, json)?;
                }
                if schedules.is_empty() {
                    complain("there are no schedules");
                }
            }
            Action::Create {
                name,
                expression,
                message,
                timezone,
                json,
            } => {
                let schedule = json!({
                    "name": name,
                    "expression": expression,
                    "timezone": timezone,
                    "message": read(&message)?,
                });
                let created = api.post("/push/schedules", Some(&schedule)).await?;
                show(&created, json)?;
            }
            Action::Delete { name } => {
                let path = format!("/push/schedules/{}", segment(&name));
                api.delete(&path).await?;
                complain(format_args!("{name} is deleted"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(schedule: &Value, json: bool) -> Result<()> {
    if json {
        return say(schedule);
    }
    let text = |name: &str| schedule[name].as_str();
    say(format_args!(
        "{:<24} {:<32} {:<20} next {}",
        text("name").unwrap_or_default(),
        text("expression").unwrap_or_default(),
        text("timezone").unwrap_or_default(),
        text("next").unwrap_or("never"),
    ))
}
