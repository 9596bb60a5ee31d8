//! One binary for all integration tests: this is its table of contents.

// What the push services' answers mean: one named row for each, and only 404 and 410 are ever gone.
mod answers;
// Encryption, judged in both directions by the crates `ece` and `web-push`.
mod encryption;
// Which addresses may be posted to, which keys encrypted for, and what each refusal says.
mod endpoints;
// Declarative notifications: the good, the bad, and the member that each bad one names.
mod notifications;
// The request that is posted: its headers and its body, per service and encoding.
mod requests;
// Keys in every form that peers write, tokens and how long they are reused, subjects.
mod vapid;
