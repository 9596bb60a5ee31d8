//! Logs and figures. `RUST_LOG` chooses what is said; endpoints only ever as origin and hash, keys, tokens and payloads
//! never.
//!
//! | file | owns |
//! |---|---|
//! | this one | what is let through, and lines of text |
//! | `json` | lines of JSON, as CloudWatch reads them |
//! | [`metrics`] | figures, in lines that CloudWatch takes for metrics |

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

/// What is said when `RUST_LOG` is silent: ourselves, and what others warn of.
const DEFAULT: &str = "warn,pushcast=info";
/// The runtime's span holds the id of the request.
const DEFAULT_IN_LAMBDA: &str = "warn,pushcast=info,lambda_runtime::layers=info";

/// `RUST_LOG` is not a filter.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG is not a filter such as info or pushcast=debug")]
pub struct BadFilter(#[from] tracing_subscriber::filter::ParseError);

/// What `RUST_LOG` lets through. At `debug` and `trace` the SDK and the HTTP client write whole requests, keys and
/// endpoints included: those levels are for our own lines only, whatever the variable says.
///
/// Targets and levels only: to choose by spans and the values in them as well would link a library of regular expressions
/// into every function.
fn filter(default: &str) -> Result<impl Filter<Registry>, BadFilter> {
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let chosen = if chosen.trim().is_empty() {
        default
    } else {
        &chosen
    };
    let harmless =
        |line: &Metadata<'_>| line.target().starts_with("pushcast") || *line.level() <= Level::INFO;
    Ok(chosen.parse::<Targets>()?.and(filter_fn(harmless)))
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
