//! Real browsers under remote control, without a window.

/// Chromium, over the DevTools protocol.
pub(crate) mod chromium;
/// Firefox, over WebDriver BiDi.
pub(crate) mod firefox;
/// What a test does with a page, whichever browser shows it.
pub(crate) mod page;
/// Commands and answers with a number, and events without.
pub(crate) mod remote_control;
/// WebKit, Safari's engine, through a program of our own.
pub(crate) mod webkit;
