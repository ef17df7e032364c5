//! PyTorch checkpoints of the reference systems become networks of ours.
//!
//! ```text
//! bytes -> torch (zip or legacy container) -> pickle (plain values) -> layout (names and tensors)
//!       -> fit (which architecture, how wide) -> Network
//! ```
//!
//! A checkpoint is a pickle, a program for Python's own machine. Nothing of it is executed here: see
//! `pickle`. Memory stays below a small multiple of the file's size, plus a fixed bound for the pickle.
//! What does not fit is refused whole, with every name that is unknown, missing or of another shape.

mod error;
mod fit;
mod layout;
mod names;
mod pickle;
#[cfg(test)]
mod tests;
mod torch;

pub use error::{ImportError, Mismatch, Refusal};
pub use pickle::{PickleError, Problem};

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::graph::{Array, Network, Weights};
use error::excerpt;
use fit::Fit;
use layout::Layout;
use torch::TorchFile;

/// Larger files than this are not checkpoints of our networks.
const MAX_BYTES: u64 = 8 << 30;

/// PyTorch's two file formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A zip archive, since PyTorch 1.6.
    Zip,
    /// Pickles and numbers one behind the other, before.
    Legacy,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zip => "zip",
            Self::Legacy => "legacy",
        })
    }
}

/// A network from a PyTorch checkpoint, and how it was found there.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Graph and tensors, under our names.
    pub network: Network,
    /// The container.
    pub format: Format,
    /// The key under which the tensors lay; empty where they were the whole object.
    pub key: &'static str,
    /// Whose names the tensors had, such as `torchvision`.
    pub naming: &'static str,
    /// Tensors that no inference needs (`num_batches_tracked`, classifiers that only train).
    pub ignored: usize,
}

/// Imports the checkpoint at `path`, as the architecture `arch` or as the one that its names fit.
///
/// # Errors
/// Names the file and the field that is damaged, refused or does not fit.
pub fn import(path: &Path, arch: Option<&str>) -> Result<Imported, ImportError> {
    let io = |source| ImportError::Io {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    if size > MAX_BYTES {
        return Err(ImportError::Refused {
            path: path.into(),
            refusal: Refusal::Container(format!("{size} bytes, expected at most {MAX_BYTES}")),
        });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    // `take`: the file may grow meanwhile
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    from_bytes(path, &bytes, arch)
}

/// As [`import`], of a file's `bytes`; `path` is for the messages.
///
/// # Errors
/// As [`import`].
pub fn from_bytes(path: &Path, bytes: &[u8], arch: Option<&str>) -> Result<Imported, ImportError> {
    read(bytes, arch).map_err(|refusal| ImportError::Refused {
        path: path.into(),
        refusal,
    })
}

fn read(bytes: &[u8], arch: Option<&str>) -> Result<Imported, Refusal> {
    let mut file = TorchFile::open(bytes)?;
    let layout = Layout::find(&file)?;
    let fit = Fit::find(&layout, arch)?;
    // before anything is allocated: many tensors may share one storage
    let numbers = |name: &String| layout.tensors[name.as_str()].len();
    let total = fit
        .names
        .values()
        .map(numbers)
        .fold(0, usize::saturating_add);
    if total > bytes.len() {
        return Err(Refusal::Container(format!(
            "its tensors have {total} numbers, more than its {} bytes hold",
            bytes.len()
        )));
    }
    let mut weights = Weights::new();
    for (ours, theirs) in fit.names {
        let view = &layout.tensors[theirs.as_str()];
        let numbers = file.read(view).map_err(|problem| Refusal::Field {
            field: layout.field(&theirs),
            problem,
        })?;
        weights.insert(ours, Array::new(view.shape.clone(), numbers));
    }
    // the same numbers, in our shape where the other system writes a 1×1 convolution as a linear layer
    for spec in fit.graph.tensors() {
        if let Some(array) = weights.get_mut(&spec.name)
            && array.shape() != spec.shape
        {
            let numbers = std::mem::replace(array, Array::new([0], Vec::new())).into_data();
            *array = Array::new(spec.shape, numbers);
        }
    }
    Ok(Imported {
        network: Network::new(fit.graph, weights).map_err(Refusal::Graph)?,
        format: file.format(),
        key: layout.key,
        naming: fit.naming,
        ignored: layout.ignored,
    })
}
