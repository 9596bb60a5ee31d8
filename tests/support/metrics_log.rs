//! A log that the test reads for metrics, and every outcome to be counted.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use webpush::Outcome;

/// A log that the test reads.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let line = |line| serde_json::from_str(line).expect("a line is JSON");
        text.lines().map(line).collect()
    }
}

/// Every outcome of a push.
pub(crate) const OUTCOMES: [Outcome; 9] = [
    Outcome::Accepted,
    Outcome::Gone,
    Outcome::Mismatched,
    Outcome::TooLarge,
    Outcome::Throttled(None),
    Outcome::Unavailable(None),
    Outcome::Unreachable,
    Outcome::OurFault,
    Outcome::Refused,
];
