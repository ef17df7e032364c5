//! What is wrong with a setting, in the same words for every table of the configuration.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A setting that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, found `{found}`")]
pub struct InvalidSetting {
    /// Its name in its table.
    pub field: &'static str,
    /// What it is; of a secret, nothing that gives it away.
    pub found: String,
    /// What it may be.
    pub expected: String,
}

impl InvalidSetting {
    pub(crate) fn new(field: &'static str, found: impl Display, expected: impl Display) -> Self {
        Self {
            field,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}

/// Refuses what lies outside of `range`, also NaN.
pub(crate) fn within<T: PartialOrd + Display>(
    field: &'static str,
    found: T,
    range: RangeInclusive<T>,
) -> Result<(), InvalidSetting> {
    if range.contains(&found) {
        return Ok(());
    }
    let expected = format!("{} to {}", range.start(), range.end());
    Err(InvalidSetting::new(field, found, expected))
}
