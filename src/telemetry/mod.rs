//! Logs and metrics. `RUST_LOG` chooses what is logged. Endpoints appear as origin and hash only; keys, tokens and payloads
//! never.
//!
//! | file | owns |
//! |---|---|
//! | this one | which lines are logged, and lines of text |
//! | `json` | lines of JSON, as CloudWatch reads them |
//! | [`metrics`] | metrics, in lines that CloudWatch reads as such |

mod json;
pub mod metrics;

use std::io::{IsTerminal as _, stderr};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Filter, Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Without `RUST_LOG`: our own lines from `info`, those of others from `warn`.
const DEFAULT: &str = "warn,pushcast=info";
/// The runtime's span holds the id of the request.
const DEFAULT_IN_LAMBDA: &str = "warn,pushcast=info,lambda_runtime::layers=info";

/// `RUST_LOG` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG is not a filter such as info or pushcast=debug")]
pub struct BadFilter(#[from] tracing_subscriber::filter::ParseError);

/// The lines that `RUST_LOG` chooses. At `debug` and `trace` the SDK and the HTTP client write whole requests, with keys and
/// endpoints: those levels are for our own lines only, whatever the variable says.
///
/// It chooses by target and level. To choose by spans and their values as well would link a library of regular expressions
/// into every function.
fn filter(default: &str) -> Result<impl Filter<Registry>, BadFilter> {
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let chosen = if chosen.trim().is_empty() {
        default
    } else {
        &chosen
    };
    let targets = with_library(chosen.parse()?);
    let is_ours = |target: &str| {
        ["pushcast", "webpush"]
            .iter()
            .any(|it| target.starts_with(it))
    };
    let harmless =
        move |line: &Metadata<'_>| is_ours(line.target()) || *line.level() <= Level::INFO;
    Ok(targets.and(filter_fn(harmless)))
}

/// The library logs as `pushcast` does, unless it is chosen by name.
fn with_library(targets: Targets) -> Targets {
    let level = |name: &str| targets.iter().find(|(target, _)| *target == name);
    match (level("pushcast"), level("webpush")) {
        (Some((_, level)), None) => targets.with_target("webpush", level),
        _ => targets,
    }
}

/// Lines of text to the standard error, with colours on a terminal.
///
/// # Errors
/// When `RUST_LOG` is wrong.
pub fn init_text() -> Result<(), BadFilter> {
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = layer()
        .with_writer(stderr)
        .with_ansi(colours)
        .with_target(false);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter(DEFAULT)?))
        .init();
    Ok(())
}

/// One JSON object a line to the standard output, as CloudWatch reads it. CloudWatch adds the time. A panic is such a line too,
/// with the request and the job in which it happened.
///
/// # Errors
/// When `RUST_LOG` is wrong.
pub fn init_json() -> Result<(), BadFilter> {
    let lines = layer()
        .fmt_fields(JsonFields::new())
        .event_format(json::FlatJson);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter(DEFAULT_IN_LAMBDA)?))
        .init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if tracing::enabled!(Level::ERROR) {
            tracing::error!(%panic, "panic");
        } else {
            usual(panic);
        }
    }));
    Ok(())
}
