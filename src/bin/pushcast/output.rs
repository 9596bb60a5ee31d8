//! Writes results to the standard output, remarks to the standard error, and secrets to files of mode 0600.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

/// The reader of the standard output has closed it, as in `pushcast .. | head`.
#[derive(Debug, thiserror::Error)]
#[error("the standard output is closed")]
pub(crate) struct Closed;

/// Writes a line of result.
pub(crate) fn say(line: impl fmt::Display) -> Result<()> {
    said(writeln!(io::stdout().lock(), "{line}"))
}

/// Maps a closed pipe to [`Closed`].
pub(crate) fn said<T>(written: io::Result<T>) -> Result<T> {
    written.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Closed.into();
        }
        error.into()
    })
}

/// Writes a remark. Ignores a closed standard error.
pub(crate) fn complain(line: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Creates a file that only its owner may read. Fails if the file exists.
pub(crate) fn create_private(path: &Path) -> Result<File> {
    private(OpenOptions::new().write(true).create_new(true))
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Options for a file that only its owner may read.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}
