//! `pushcast campaigns`: lists, shows, watches, cancels and resumes campaigns.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::api::{Api, Server, segment};
use crate::campaign::{figures, path, read_of, text};
use crate::output::{complain, say};
use crate::watch::Watch;

/// Look at, watch, cancel and resume the campaigns of a server, here or in AWS.
///
/// A campaign is one message to an audience: `pushcast send --audience` starts one, and each firing of a schedule is
/// one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pushcast campaigns list
  pushcast campaigns watch bridge-2026-12-24
  pushcast campaigns cancel bridge-2026-12-24
  pushcast campaigns resume bridge-2026-12-24    continue without pushing to anyone twice
  pushcast campaigns list --all --json | jq -r 'select(.status == \"halted\").id'")]
pub(crate) struct Campaigns {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the latest campaigns, newest first.
    List {
        /// Show all campaigns, not only the latest.
        #[arg(long)]
        all: bool,
        /// As JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show the progress of one campaign, and its results by push service.
    Show {
        /// Its id.
        id: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Follow a campaign to its end.
    ///
    /// On a terminal it shows a progress bar. Elsewhere it prints a line every few seconds when the figures have
    /// changed, and a last line at the end. Ctrl-C stops watching, not the campaign. Exit codes: 0 the campaign is
    /// done, 1 it was halted or cancelled, or the server did not answer for too long.
    Watch {
        /// Its id.
        id: String,
        /// Seconds to keep trying when the server, having answered once, stops answering.
        #[arg(long, value_name = "SECONDS", default_value = "60")]
        patience: u64,
        /// The campaign as JSON, one object a line.
        #[arg(long)]
        json: bool,
    },
    /// Stop a campaign. Pushes that are in flight still arrive.
    Cancel {
        /// Its id.
        id: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Continue a halted or cancelled campaign where it stopped.
    ///
    /// The server halts a campaign on a fault of its own, such as a wrong key. Repair that first (`pushcast doctor`).
    Resume {
        /// Its id.
        id: String,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

impl Campaigns {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let api = self.server.api()?;
        match self.action {
            Action::List { all, json } => list(&api, all, json).await?,
            Action::Show { id, json } => show(&api.get(&path(&id)).await?, json)?,
            Action::Watch { id, patience, json } => {
                let watch = Watch::new(Duration::from_secs(patience), json);
                return watch.run(&api, &id).await;
            }
            Action::Cancel { id, json } => {
                let path = format!("{}/cancel", path(&id));
                show(&api.post(&path, None).await?, json)?;
            }
            Action::Resume { id, json } => {
                let path = format!("{}/resume", path(&id));
                show(&api.post(&path, None).await?, json)?;
                complain(format_args!("to watch it: pushcast campaigns watch {id}"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(api: &Api, all: bool, json: bool) -> Result<()> {
    let mut from = String::new();
    let mut none = true;
    loop {
        let page = api.get(&format!("/push/campaigns{from}")).await?;
        for campaign in page["campaigns"].as_array().into_iter().flatten() {
            none = false;
            if json {
                say(campaign)?;
                continue;
            }
            say(format_args!(
                "{:<32}  {:<9}  {:<24}  {}  {}",
                text(campaign, "id"),
                text(campaign, "status"),
                // The first 19 characters end with the seconds.
                text(campaign, "created_at").get(..19).unwrap_or_default(),
                figures(&campaign["counts"]),
                text(campaign, "audience"),
            ))?;
        }
        match page["next"].as_str() {
            Some(next) if all => from = format!("?from={}", segment(next)),
            Some(_) => {
                complain("there are more: --all shows them");
                break;
            }
            None => break,
        }
    }
    if none {
        complain("there are no campaigns");
    }
    Ok(())
}

fn show(campaign: &Value, json: bool) -> Result<()> {
    if json {
        return say(campaign);
    }
    let segments = &campaign["segments"];
    let mut lines = vec![
        ("campaign", text(campaign, "id").to_owned()),
        ("status", text(campaign, "status").to_owned()),
        ("audience", text(campaign, "audience").to_owned()),
        ("created", text(campaign, "created_at").to_owned()),
        (
            "read",
            format!(
                "{} subscribers, {} of {} segments done",
                read_of(campaign),
                segments["done"],
                segments["total"]
            ),
        ),
        ("pushed", figures(&campaign["counts"])),
    ];
    if let Some(reason) = campaign["reason"].as_str() {
        lines.insert(2, ("reason", reason.to_owned()));
    }
    if let Some(at) = campaign["finished_at"].as_str() {
        lines.insert(lines.len() - 2, ("finished", at.to_owned()));
    }
    if let Some(rate) = campaign["rate"].as_u64() {
        lines.push(("rate", format!("{rate} a second at most")));
    }
    for (name, value) in lines {
        say(format_args!("{name:<10} {value}"))?;
    }
    for (service, counts) in campaign["services"].as_object().into_iter().flatten() {
        say(format_args!("  {service:<8} {}", figures(counts)))?;
    }
    Ok(())
}
