//! Times and spans, in milliseconds.

/// Milliseconds since the Unix epoch, or of a span.
pub type Millis = u64;

/// Seconds between two times.
pub(super) fn seconds(from: Millis, to: Millis) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}
