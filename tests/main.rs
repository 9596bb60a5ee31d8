//! What pushcast promises, one file per part.

mod support;

/// The push service that the other tests trust refuses what real ones refuse.
mod push_service;
