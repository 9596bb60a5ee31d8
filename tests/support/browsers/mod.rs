//! Real browsers under remote control, without a window.

/// Chromium, over the DevTools protocol.
pub(crate) mod chromium;
/// Firefox, over WebDriver BiDi.
pub(crate) mod firefox;
/// The actions of a test on a page, in any browser.
pub(crate) mod page;
/// Numbered commands and answers, and events.
pub(crate) mod remote_control;
/// WebKit, Safari's engine, through our own program.
pub(crate) mod webkit;
