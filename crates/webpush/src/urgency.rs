//! The urgency of a message (RFC 8030, section 5.3).

use std::str::FromStr;

/// In which state of its battery a device is woken for a message (RFC 8030, section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// On power and Wi-Fi: advertisements.
    VeryLow,
    /// On power or Wi-Fi: topic updates.
    Low,
    /// On neither: chat and calendar messages.
    Normal,
    /// On low battery: calls and alerts.
    High,
}

impl Urgency {
    const ALL: [Self; 4] = [Self::VeryLow, Self::Low, Self::Normal, Self::High];

    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// The text is not an urgency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of very-low, low, normal, high")]
pub struct NotAnUrgency;

impl FromStr for Urgency {
    type Err = NotAnUrgency;

    fn from_str(text: &str) -> Result<Self, NotAnUrgency> {
        Self::ALL
            .into_iter()
            .find(|urgency| urgency.as_str() == text)
            .ok_or(NotAnUrgency)
    }
}
