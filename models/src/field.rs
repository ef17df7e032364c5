//! The error of one manifest field: which, what it holds, what it should hold.

use std::fmt::Display;

/// A field of the manifest holds a value that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}, expected {expected}")]
pub struct FieldError {
    /// The field's path in `model.toml`, for example `input.crop`.
    pub field: String,
    /// The value found, as the file writes it.
    pub found: String,
    /// What would have been accepted.
    pub expected: String,
}

/// `Ok` when `holds`, otherwise the error for `field`.
pub(crate) fn check(
    holds: bool,
    field: &str,
    found: impl Display,
    expected: impl Display,
) -> Result<(), FieldError> {
    if holds {
        return Ok(());
    }
    Err(FieldError {
        field: field.to_owned(),
        found: found.to_string(),
        expected: expected.to_string(),
    })
}
