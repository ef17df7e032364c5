//! What can keep a network from being quantized.

use crate::graph::exec::ExecError;

/// An error in quantization.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// Nothing to calibrate with.
    #[error("quantization is calibrated on at least one image, none was given")]
    NoImages,
    /// A value of the network is not a number on a calibration image.
    #[error("node `{node}` gives numbers that are not finite on the calibration images")]
    NotFinite {
        /// The node's name.
        node: String,
    },
    /// A layer whose sums cannot be counted.
    #[error(
        "node `{node}` cannot be summed in 32-bit integers: a weight or bias is not finite, or more \
         than 33 155 weights meet in one output"
    )]
    Weights {
        /// The node's name.
        node: String,
    },
    /// No convolution or linear layer can be computed in integers.
    #[error("`{graph}` has no convolution or linear layer to quantize")]
    Nothing {
        /// The graph's name.
        graph: String,
    },
    /// A percentile out of range.
    #[error("the percentile is {0}, expected above 50 up to 100")]
    Percentile(f64),
    /// Nothing to try.
    #[error("no recipe to quantize by was given")]
    NoRecipe,
    /// The network cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}
