//! The program `pushcast`: everything on one machine, and the tools around it.

mod data_folder;
mod doctor;
mod output;
mod serve;
mod subscriptions;
mod vapid;

use std::io;
use std::process::ExitCode;

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
  pushcast subscriptions export > all.jsonl   every subscription, one JSON object a line

Configuration is by environment variables that begin with PUSHCAST_; the README lists them.
Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

// What each does is said where it is written: a comment here would take the place of all of that in --help.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    #[command(subcommand)]
    Vapid(vapid::Vapid),
    Subscriptions(subscriptions::Subscriptions),
    Doctor(doctor::Doctor),
}

#[tokio::main]
async fn main() -> ExitCode {
    pushcast::telemetry::init_text();
    let done = match Arguments::parse().command {
        Command::Serve(serve) => serve.run().await.map(|()| ExitCode::SUCCESS),
        Command::Vapid(vapid) => vapid.run().map(|()| ExitCode::SUCCESS),
        Command::Subscriptions(subscriptions) => subscriptions.run().await,
        Command::Doctor(doctor) => doctor.run().await,
    };
    done.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            // `pushcast .. | head` has read enough.
            return ExitCode::SUCCESS;
        }
        output::complain(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
