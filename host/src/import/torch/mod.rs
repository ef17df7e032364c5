//! PyTorch's two file formats: a pickled object, and the numbers that its tensors point at.

mod directory;
mod dtype;
mod float;
mod legacy;
mod tensor;
mod zip;

pub(super) use dtype::Dtype;
pub(super) use tensor::TensorView;

use std::collections::BTreeMap;

use super::Format;
use super::error::Refusal;
use super::pickle::{Id, Object, Storage};

/// First bytes of a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";
/// First bytes of an HDF5 file, as Keras writes.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
/// First byte of a pickle of protocol 2 or later.
const PICKLE: u8 = 0x80;

/// A checkpoint that has been opened; nothing of it is copied.
#[derive(Debug)]
pub(super) struct TorchFile<'a> {
    /// What was saved.
    pub object: Object<'a>,
    numbers: Numbers<'a>,
}

/// Where the storages lie.
#[derive(Debug)]
enum Numbers<'a> {
    /// One member of the archive each.
    Zip(zip::Archive<'a>),
    /// One behind the other after the pickles.
    Legacy(BTreeMap<&'a str, legacy::Run<'a>>),
}

impl<'a> TorchFile<'a> {
    /// Recognises the format by its first bytes, whatever the file is called, and reads the pickle.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Refusal> {
        if bytes.starts_with(ZIP) {
            let (archive, object) = zip::open(bytes)?;
            let numbers = Numbers::Zip(archive);
            return Ok(Self { object, numbers });
        }
        if bytes.first() == Some(&PICKLE) {
            let (object, runs) = legacy::open(bytes)?;
            let numbers = Numbers::Legacy(runs);
            return Ok(Self { object, numbers });
        }
        let what = if bytes.starts_with(HDF5) {
            "an HDF5 file, as Keras writes"
        } else if bytes.is_empty() {
            "an empty file"
        } else {
            "neither a zip archive nor a pickle"
        };
        Err(Refusal::Container(format!(
            "not a PyTorch checkpoint: {what}"
        )))
    }

    /// Which of the two formats it is.
    pub(super) fn format(&self) -> Format {
        match self.numbers {
            Numbers::Zip(_) => Format::Zip,
            Numbers::Legacy(_) => Format::Legacy,
        }
    }

    /// The shape, type and place of a tensor's numbers; `None` where the value is no tensor.
    pub(super) fn tensor(&self, id: Id) -> Option<Result<TensorView<'a>, String>> {
        tensor::resolve(&self.object, id)
    }

    /// A tensor's numbers in row-major order.
    pub(super) fn read(&mut self, view: &TensorView<'a>) -> Result<Vec<f32>, String> {
        let bytes = match &mut self.numbers {
            Numbers::Zip(archive) => archive.storage(&view.storage)?,
            Numbers::Legacy(runs) => {
                runs.get(view.storage.key)
                    .ok_or("its storage is not in the file")?
                    .bytes
            }
        };
        tensor::gather(view, bytes)
    }
}

/// Bytes that a storage takes; an error where the pickle's count cannot be meant.
fn byte_length(storage: &Storage<'_>) -> Result<usize, String> {
    usize::try_from(storage.len)
        .ok()
        .and_then(|len| len.checked_mul(storage.dtype.bytes()))
        .ok_or_else(|| format!("its storage has {} numbers", storage.len))
}
