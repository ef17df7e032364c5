//! Why a pickle is refused.

use super::MAX_VALUES;

/// A pickle that is damaged, or that wants more than tensors and plain containers.
#[derive(Debug, thiserror::Error)]
#[error("byte {offset}: {problem}")]
pub struct PickleError {
    /// Where the refused opcode starts, counted from the pickle's own start.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a pickle.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes end too early, or a length points past them.
    #[error("the file ends inside {0}")]
    Truncated(&'static str),
    /// An opcode that PyTorch does not write.
    #[error("opcode {name} is refused: {why}")]
    Opcode {
        /// Its name in Python's `pickletools`.
        name: &'static str,
        /// What it would do.
        why: &'static str,
    },
    /// Not an opcode.
    #[error("0x{0:02x} is no opcode of a pickle")]
    Unknown(u8),
    /// A name that is not on the list; nothing was imported or called.
    #[error(
        "`{0}` is refused: only tensors, numbers, text and plain containers are read, and nothing is \
         executed (save `net.state_dict()`, not the module)"
    )]
    Global(String),
    /// A name, a number or text that cannot be read.
    #[error("{what}: {found}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What stands there.
        found: String,
    },
    /// An opcode on a value of another kind than it needs.
    #[error("{what} is {found}, expected {expected}")]
    Kind {
        /// The argument.
        what: &'static str,
        /// The kind that would do.
        expected: &'static str,
        /// The kind found.
        found: &'static str,
    },
    /// More was taken from the stack than lies there.
    #[error("the stack is empty")]
    Empty,
    /// An opcode that needs a mark, without one.
    #[error("no mark on the stack")]
    NoMark,
    /// A memo entry that was never written.
    #[error("memo entry {0} was never written")]
    NoMemo(u32),
    /// More than any checkpoint has.
    #[error("more than {MAX_VALUES} {0}, no checkpoint has so many")]
    TooMany(&'static str),
    /// A container inside itself.
    #[error("a container holds itself")]
    SelfReference,
}
