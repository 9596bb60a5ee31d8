//! Lines of a file or a pipe, read on a thread of its own.

use std::io::{self, BufRead as _, BufReader, Read};
use std::thread;

use indicatif::ProgressBar;
use tokio::sync::mpsc;

/// Lines that the thread reads ahead.
const AHEAD: usize = 1000;
/// Maximum length of a line in bytes. A longer line is no subscription.
pub(crate) const MAX_LINE: u64 = 64 * 1024;

/// Iterates over the lines that are not empty, with their numbers. Holds one line in memory.
pub(crate) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    number: u64,
    bar: ProgressBar,
}

/// A line and its number.
pub(crate) type Line = io::Result<(u64, Vec<u8>)>;

impl Lines {
    /// Reads ahead on a thread of its own, because reading a terminal may block for ever.
    pub(crate) fn read_aside(
        input: Box<dyn Read + Send>,
        bar: ProgressBar,
    ) -> mpsc::Receiver<Line> {
        let (read, lines) = mpsc::channel(AHEAD);
        let input = BufReader::new(input);
        thread::spawn(move || {
            let mut lines = Lines {
                input,
                number: 0,
                bar,
            };
            // Ends when the receiver is dropped.
            lines.try_for_each(|line| read.blocking_send(line))
        });
        lines
    }
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match self
                .input
                .by_ref()
                .take(MAX_LINE + 1)
                .read_until(b'\n', &mut line)
            {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            self.number += 1;
            self.bar.inc(line.len() as u64);
            // Skips the rest of a line that is too long. `parse` refuses the part that was read.
            if is_cut_off(&line)
                && let Err(error) = self.input.skip_until(b'\n')
            {
                return Some(Err(error));
            }
            if is_cut_off(&line) || !line.trim_ascii().is_empty() {
                return Some(Ok((self.number, line)));
            }
        }
    }
}

/// Whether a line is longer than [`MAX_LINE`], so that only its beginning was read.
pub(crate) fn is_cut_off(line: &[u8]) -> bool {
    line.len() as u64 > MAX_LINE && !line.ends_with(b"\n")
}
