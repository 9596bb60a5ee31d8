//! The two parties that pushcast stands between: a push service that really checks, and a browser that
//! really decrypts. Neither uses a line of pushcast's own code for it.

pub(crate) mod autopush;
pub(crate) mod behaviour;
pub(crate) mod browser;
pub(crate) mod checks;
pub(crate) mod chromium;
pub(crate) mod client;
pub(crate) mod cloud;
pub(crate) mod connection;
pub(crate) mod crowd;
pub(crate) mod door;
pub(crate) mod faults;
pub(crate) mod figures;
pub(crate) mod firefox;
pub(crate) mod ministack;
pub(crate) mod page;
pub(crate) mod program;
pub(crate) mod push_service;
pub(crate) mod remote;
pub(crate) mod runtime;
pub(crate) mod scheduler;
pub(crate) mod stack;
pub(crate) mod stage;
pub(crate) mod template;
pub(crate) mod webkit;
