//! Pickles as data: a small virtual machine that builds plain values and calls nothing.
//!
//! Python's `pickle` is a program: its opcodes import and call whatever they name
//! (<https://docs.python.org/3/library/pickle.html>). This machine knows the opcodes that PyTorch writes and a
//! short list of names (`globals`), each of which it replaces by a value of its own. Any other name or
//! opcode is refused and named in the error.
//!
//! Values lie in one arena and refer to each other by index. Nothing recurses, whatever the nesting;
//! nothing is copied when a value is used twice; text and bytes stay where they lie in the file.

mod cursor;
mod cycle;
mod error;
mod globals;
mod machine;
mod opcode;
mod reduce;
mod stack;

pub use error::{PickleError, Problem};
pub(super) use machine::load;

use super::torch::Dtype;
use globals::Known;

/// Values, list items, memo entries and open marks of one pickle, each. Checkpoints of the largest
/// networks have tens of thousands; more is an attempt to exhaust the memory.
pub(super) const MAX_VALUES: usize = 1 << 18;

/// A value's place in its pickle's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A value; text and bytes are those of the file.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most eight bytes.
    Int(i64),
    /// A longer integer, little-endian two's complement.
    Long(&'a [u8]),
    /// A float. Nothing that is imported depends on one.
    Float,
    /// Text.
    Text(&'a str),
    /// Bytes, or Python 2 text that is not UTF-8. Nothing that is imported depends on them.
    Bytes,
    /// `[…]`.
    List(Vec<Id>),
    /// `(…)`.
    Tuple(Vec<Id>),
    /// `{…}` or an `OrderedDict`, in the order of insertion.
    Dict(Vec<(Id, Id)>),
    /// A name from the list, before it is called.
    Global(Known),
    /// Numbers that lie elsewhere in the file.
    Storage(Storage<'a>),
    /// A tensor over a storage. Offset, sizes and strides are checked when it is read.
    Tensor(Tensor),
    /// Something that PyTorch or NumPy would rebuild and that no network needs, such as an accuracy.
    Inert(&'static str),
}

/// A run of numbers in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'a> {
    /// What the file calls it.
    pub key: &'a str,
    /// Type of its numbers.
    pub dtype: Dtype,
    /// How many there are, as the pickle says.
    pub len: i64,
}

/// The arguments that a tensor is rebuilt from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor {
    pub storage: Id,
    pub offset: Id,
    pub size: Id,
    pub stride: Id,
}

impl Value<'_> {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::Long(_) => "an integer",
            Self::Float => "a float",
            Self::Text(_) => "text",
            Self::Bytes => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dict",
            Self::Global(known) => known.kind(),
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::Inert(name) => name,
        }
    }
}

/// What one pickle holds.
#[derive(Debug)]
pub(super) struct Object<'a> {
    values: Vec<Value<'a>>,
    root: Id,
    /// Bytes that the pickle took of its input.
    pub length: usize,
}

impl<'a> Object<'a> {
    /// The outermost value.
    pub(super) fn root(&self) -> &Value<'a> {
        self.get(self.root)
    }

    /// A value by its place.
    pub(super) fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    /// Every value, in the order in which they were made.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.values.iter()
    }
}
