//! pushcast
pub mod webpush;
