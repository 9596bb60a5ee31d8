//! The program `pushcast`: everything on one machine, and the tools around it.

mod api;
mod campaign;
mod campaigning;
mod campaigns;
mod data_folder;
mod demo;
mod doctor;
mod import;
mod input_lines;
mod message;
mod output;
mod push;
mod schedules;
mod send;
mod serve;
mod subscriptions;
mod vapid;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Web Push from your own machine or AWS account.
///
/// Start with `pushcast serve`: it needs nothing set up, and says what to open.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  pushcast serve                              the API, a demo page and a database, on this machine
  pushcast doctor                             is everything as it must be?
  pushcast vapid generate --out vapid.pem     a new key for PUSHCAST_VAPID_KEYS
  pushcast push --info sub.json --key vapid.pem --claims claims.json --text hello
  pushcast send --audience 'news && !beta' --title Hello --navigate https://www.example.org/ --watch
  pushcast campaigns list                     what was sent to audiences, and its progress
  pushcast subscriptions export > all.jsonl   every subscription, one JSON object a line

Configuration is by environment variables that begin with PUSHCAST_; the README lists them.
Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

// A doc comment on a variant would replace the help text that its type has.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    #[command(subcommand)]
    Vapid(vapid::Vapid),
    Subscriptions(subscriptions::Subscriptions),
    Send(send::Send),
    Campaigns(campaigns::Campaigns),
    Schedules(schedules::Schedules),
    Push(push::Push),
    Doctor(doctor::Doctor),
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    command.run().await.unwrap_or_else(|error| {
        if error.is::<output::Closed>() {
            return ExitCode::SUCCESS;
        }
        output::complain(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

impl Command {
    async fn run(self) -> Result<ExitCode> {
        pushcast::telemetry::init_text()?;
        match self {
            Self::Serve(serve) => serve.run().await.map(|()| ExitCode::SUCCESS),
            Self::Vapid(vapid) => vapid.run().map(|()| ExitCode::SUCCESS),
            Self::Subscriptions(subscriptions) => subscriptions.run().await,
            Self::Send(send) => send.run().await,
            Self::Campaigns(campaigns) => campaigns.run().await,
            Self::Schedules(schedules) => schedules.run().await,
            Self::Push(push) => push.run().await,
            Self::Doctor(doctor) => doctor.run().await,
        }
    }
}
