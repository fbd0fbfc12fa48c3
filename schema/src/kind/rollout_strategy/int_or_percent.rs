//! A number of clusters, or a share of them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Largest number of clusters that can be written.
pub(crate) const MAX_NUMBER: u32 = i32::MAX as u32;
/// Largest share, in percent.
pub(crate) const MAX_PERCENT: u8 = 100;

/// A number of clusters, or a share of them in percent.
///
/// On the wire a JSON integer or a text such as `25%`. A text of digits alone is read as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub enum IntOrPercent {
    /// This many clusters, at most 2147483647.
    Number(u32),
    /// This share of the clusters, 0 to 100.
    Percent(u8),
}

/// Why something is no [`IntOrPercent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntOrPercentError {
    /// Neither digits nor digits and `%`.
    #[error("must be a whole number, or a whole number of percent such as 25%")]
    Form,
    /// The number is negative or does not fit.
    #[error("must be between 0 and 2147483647")]
    Number,
    /// More than all.
    #[error("must be between 0% and 100%")]
    Percent,
}

impl IntOrPercent {
    /// The number of clusters that is meant, of `total`. Parts of a cluster count as a whole one.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Number(number) => usize::try_from(number).unwrap_or(usize::MAX),
            // By hundreds and rest, so that no product overflows.
            Self::Percent(percent) => {
                let percent = usize::from(percent);
                (total / 100) * percent + ((total % 100) * percent).div_ceil(100)
            }
        }
    }
}

impl Default for IntOrPercent {
    /// OCM's default for failures: none.
    fn default() -> Self {
        Self::Number(0)
    }
}

impl fmt::Display for IntOrPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for IntOrPercent {
    type Err = IntOrPercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_suffix('%').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(IntOrPercentError::Form);
        }
        if digits.len() < text.len() {
            return match digits.parse() {
                Ok(percent) if percent <= MAX_PERCENT => Ok(Self::Percent(percent)),
                Ok(_) | Err(_) => Err(IntOrPercentError::Percent),
            };
        }
        match digits.parse() {
            Ok(number) if number <= MAX_NUMBER => Ok(Self::Number(number)),
            Ok(_) | Err(_) => Err(IntOrPercentError::Number),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Number(i64),
    Text(String),
}

impl TryFrom<Wire> for IntOrPercent {
    type Error = IntOrPercentError;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        match wire {
            Wire::Number(number) => match u32::try_from(number) {
                Ok(number) if number <= MAX_NUMBER => Ok(Self::Number(number)),
                Ok(_) | Err(_) => Err(IntOrPercentError::Number),
            },
            Wire::Text(text) => text.parse(),
        }
    }
}

impl From<IntOrPercent> for Wire {
    fn from(value: IntOrPercent) -> Self {
        match value {
            IntOrPercent::Number(number) => Self::Number(i64::from(number)),
            IntOrPercent::Percent(_) => Self::Text(value.to_string()),
        }
    }
}
