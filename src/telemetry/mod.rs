//! Logs and metrics. `RUST_LOG` chooses the lines that are logged. A line shows an endpoint as origin and hash only,
//! and never a key, a token or a payload.
//!
//! | file | owns |
//! |---|---|
//! | this one | the filter of log lines, and the text format |
//! | `json` | the JSON format, as CloudWatch reads it |
//! | [`metrics`] | metrics, as log lines that CloudWatch reads |

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

/// Filter without `RUST_LOG`: our own lines from `info`, those of dependencies from `warn`.
const DEFAULT: &str = "warn,pushcast=info";
/// The same in Lambda, with the runtime's span, which holds the id of the request.
const DEFAULT_IN_LAMBDA: &str = "warn,pushcast=info,lambda_runtime::layers=info";

/// `RUST_LOG` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG is not a filter such as info or pushcast=debug")]
pub struct BadFilter(#[from] tracing_subscriber::filter::ParseError);

/// The filter from `RUST_LOG`. At `debug` and `trace` the SDK and the HTTP client log whole requests, with keys and
/// endpoints. So these two levels apply to our own lines only, even if the variable asks for more.
///
/// The filter selects by target and level. Selecting by spans and their values would link a regular expression library
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
    let is_harmless =
        move |line: &Metadata<'_>| is_ours(line.target()) || *line.level() <= Level::INFO;
    Ok(targets.and(filter_fn(is_harmless)))
}

/// Gives `webpush` the level of `pushcast`, unless `RUST_LOG` names `webpush`.
fn with_library(targets: Targets) -> Targets {
    let level = |name: &str| targets.iter().find(|(target, _)| *target == name);
    match (level("pushcast"), level("webpush")) {
        (Some((_, level)), None) => targets.with_target("webpush", level),
        _ => targets,
    }
}

/// Logs text to the standard error, with colours on a terminal.
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

/// Logs JSON to the standard output, one object per line. CloudWatch adds the time. A panic is logged the same way,
/// with its request and job.
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
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if tracing::enabled!(Level::ERROR) {
            tracing::error!(%panic, "panic");
        } else {
            default_hook(panic);
        }
    }));
    Ok(())
}
