//! One binary for all integration tests: this is its table of contents.

// Encryption, judged in both directions by the crates `ece` and `web-push`.
mod encryption;
// Keys in every form that peers write, tokens and how long they are reused, subjects.
mod vapid;
