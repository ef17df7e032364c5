//! Why a network can't be built or run.

use std::fmt;

use crate::isa::Isa;

/// Why a network can't be built or run.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// This processor doesn't have the instructions.
    Isa(Isa),
    /// Something has another size than its neighbours imply.
    Size {
        /// Which.
        what: &'static str,
        /// What its neighbours imply.
        expected: usize,
        /// What it has.
        found: usize,
    },
    /// A window doesn't fit its map.
    Window,
    /// A map of floats where integers belong, or the other way round.
    Element,
    /// The workspace belongs to another network.
    Workspace,
}

impl Error {
    /// That `what` is of the expected size.
    pub(crate) fn size(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
        if expected == found {
            return Ok(());
        }
        Err(Error::Size {
            what,
            expected,
            found,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Isa(isa) => write!(f, "this processor has no {isa}"),
            Error::Size {
                what,
                expected,
                found,
            } => write!(f, "{what}: expected {expected}, found {found}"),
            Error::Window => f.write_str("a window doesn't fit its map"),
            Error::Element => {
                f.write_str("a layer of integers meets a map of floats, or the other way round")
            }
            Error::Workspace => f.write_str("the workspace belongs to another network"),
        }
    }
}

impl std::error::Error for Error {}
