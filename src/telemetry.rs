//! Logs. `RUST_LOG` chooses what is said; endpoints only ever as origin and hash.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

/// What is said when `RUST_LOG` is silent: ourselves, and what others warn of.
const DEFAULT: &str = "warn,pushcast=info";

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT))
}

/// Lines of text to the standard error, with colours on a terminal.
pub fn init_text() {
    tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false)
        .init();
}

/// One JSON object a line, as CloudWatch reads it. CloudWatch adds the time.
pub fn init_json() {
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter())
        .with_ansi(false)
        .without_time()
        .init();
}
