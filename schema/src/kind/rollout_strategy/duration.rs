//! Durations as a rollout strategy writes them.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest duration, in seconds: ten years of 365 days. Adding it to a time cannot overflow.
pub const MAX_ROLLOUT_SECONDS: u32 = 10 * 365 * 24 * 3600;

/// A duration in whole seconds: hours, minutes and seconds in this order, as `2h`, `90m` or
/// `1h30m`, or `0`.
///
/// It keeps the text it was read from, so that an object is stored as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RolloutDuration {
    seconds: u32,
    text: String,
}

/// Why a text is no duration or no deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolloutDurationError {
    /// Not hours, minutes and seconds.
    #[error("must be whole hours, minutes and seconds in this order, such as 2h, 90m or 1h30m")]
    Form,
    /// Longer than [`MAX_ROLLOUT_SECONDS`].
    #[error("must be at most 87600h, ten years")]
    TooLong,
    /// A deadline that is over when it begins: every cluster would time out at once.
    #[error("must be longer than zero, or None for no deadline")]
    NoTime,
}

impl RolloutDuration {
    /// Its length.
    #[must_use]
    pub fn length(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.seconds))
    }

    /// True if it is no time at all.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.seconds == 0
    }
}

impl Default for RolloutDuration {
    /// OCM's default: `0`.
    fn default() -> Self {
        Self {
            seconds: 0,
            text: "0".to_owned(),
        }
    }
}

impl FromStr for RolloutDuration {
    type Err = RolloutDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "0" {
            return Ok(Self::default());
        }
        let mut rest = text;
        let mut seconds = 0_u64;
        for (unit, size) in [('h', 3600), ('m', 60), ('s', 1)] {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = &rest[..rest.len() - after.len()];
            let (false, Some(after)) = (digits.is_empty(), after.strip_prefix(unit)) else {
                continue;
            };
            // Only too many digits can fail here, and saturation ends above the limit.
            let number: u64 = digits.parse().unwrap_or(u64::MAX);
            seconds = seconds.saturating_add(number.saturating_mul(size));
            rest = after;
        }
        if !rest.is_empty() || text.is_empty() {
            return Err(RolloutDurationError::Form);
        }
        match u32::try_from(seconds) {
            Ok(seconds) if seconds <= MAX_ROLLOUT_SECONDS => Ok(Self {
                seconds,
                text: text.to_owned(),
            }),
            Ok(_) | Err(_) => Err(RolloutDurationError::TooLong),
        }
    }
}

impl fmt::Display for RolloutDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for RolloutDuration {
    type Error = RolloutDurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RolloutDuration> for String {
    fn from(duration: RolloutDuration) -> Self {
        duration.text
    }
}

/// How long a cluster may take until it counts as failed for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProgressDeadline {
    /// As long as it likes; on the wire `None`.
    #[default]
    Never,
    /// So long after its last transition; never zero.
    After(RolloutDuration),
}

impl ProgressDeadline {
    /// The time a cluster has, if it is limited.
    #[must_use]
    pub fn length(&self) -> Option<SignedDuration> {
        match self {
            Self::Never => None,
            Self::After(duration) => Some(duration.length()),
        }
    }
}

impl FromStr for ProgressDeadline {
    type Err = RolloutDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "None" {
            return Ok(Self::Never);
        }
        let duration: RolloutDuration = text.parse()?;
        if duration.is_zero() {
            return Err(RolloutDurationError::NoTime);
        }
        Ok(Self::After(duration))
    }
}

impl TryFrom<String> for ProgressDeadline {
    type Error = RolloutDurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ProgressDeadline> for String {
    fn from(deadline: ProgressDeadline) -> Self {
        match deadline {
            ProgressDeadline::Never => "None".to_owned(),
            ProgressDeadline::After(duration) => duration.into(),
        }
    }
}
