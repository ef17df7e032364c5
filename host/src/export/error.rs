//! What can go wrong between a network and a model folder.

use std::io;
use std::path::PathBuf;

use fer_models::{FieldError, ModelError};

use crate::graph::GraphError;
use crate::graph::exec::ExecError;

/// Why a network was not exported or an ONNX file is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The network's tensors are not those of its graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Two values of the ONNX graph would have one name.
    #[error("two values of the ONNX graph would be called `{0}`; rename a node")]
    Name(String),
    /// Labels and logits do not match.
    #[error("the network gives {classes} logits for {labels} labels")]
    Labels {
        /// Logits of the network.
        classes: usize,
        /// Labels to name them.
        labels: usize,
    },
    /// The network reads another image than the preprocessing gives.
    #[error(
        "the network reads {network:?} (channels, height, width), the [input] table gives {given:?}"
    )]
    Input {
        /// What the graph reads.
        network: [usize; 3],
        /// What the manifest's input table describes.
        given: [usize; 3],
    },
    /// A number that 16 bits do not hold.
    #[error(
        "tensor `{tensor}` has the number {value:e}, 16-bit floats end at 65504; export it as f32"
    )]
    Half {
        /// The tensor.
        tensor: String,
        /// The number.
        value: f32,
    },
    /// A field of the manifest out of range.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The bytes are not an ONNX model that can be run.
    #[error("not a usable ONNX model: {0}")]
    Onnx(String),
    /// The model reads or gives something else than one image batch and one row of logits.
    #[error("the ONNX model's {what} is {found}, expected {expected}")]
    Signature {
        /// `input` or `output`.
        what: &'static str,
        /// Its type and shape.
        found: String,
        /// What this program can use.
        expected: &'static str,
    },
    /// As many numbers as the images need were not given.
    #[error("{found} pixels for {images} images of {each}")]
    Pixels {
        /// Numbers given.
        found: usize,
        /// Images announced.
        images: usize,
        /// Numbers in one image.
        each: usize,
    },
    /// Two logit tables that cannot be compared.
    #[error("cannot compare {left} with {right} logits in rows of {classes}")]
    Logits {
        /// Numbers on the left.
        left: usize,
        /// Numbers on the right.
        right: usize,
        /// Length of a row.
        classes: usize,
    },
    /// The network that the file is compared with cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Nothing to verify with.
    #[error("an export is verified on at least one image, none was given")]
    NoImages,
    /// The exported file computes something else than the network.
    #[error(
        "the exported file is wrong and was removed: its logits differ by {difference:e} from the \
         network's on {images} images (at most {tolerance:e} is accepted; {same_argmax} decisions agree)"
    )]
    Disagrees {
        /// Largest absolute difference; infinite where one of the two is not a number.
        difference: f32,
        /// The limit.
        tolerance: f32,
        /// Images compared.
        images: usize,
        /// Images with the same largest logit.
        same_argmax: usize,
    },
    /// The exported file of a quantized network decides otherwise than the integers that it holds.
    #[error(
        "the exported file is wrong and was removed: {changed} of {images} decisions are not the \
         quantized network's (largest logit difference {difference:e})"
    )]
    Decides {
        /// Images with another largest logit.
        changed: usize,
        /// Images compared.
        images: usize,
        /// Largest absolute difference; infinite where one of the two is not a number.
        difference: f32,
    },
    /// The folder just written does not open.
    #[error(transparent)]
    Package(#[from] ModelError),
    /// A file or folder that cannot be read or written.
    #[error("cannot {verb} {}: {reason}", path.display())]
    Io {
        /// `read`, `write`, …
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

impl ExportError {
    /// For `map_err`: the system's error with the path.
    pub(super) fn io(verb: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |reason| Self::Io { verb, path, reason }
    }
}
