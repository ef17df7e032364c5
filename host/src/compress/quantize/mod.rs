//! Post-training static quantization of any graph to 8-bit integers.
//!
//! [`Calibrator`] folds the network and runs it on real images; [`Calibrator::quantize`] chooses how
//! every value is coded ([`Affine`], one scale and zero point a tensor) and rounds the weights
//! ([`Layer`], one scale an output channel, symmetric). [`IntegerEngine`] computes what the result
//! computes, number by number; [`to_onnx_int8`](crate::export::to_onnx_int8) writes it as a file.
//!
//! Layers that suffer most can stay float ([`Calibrator::sensitivity`], [`keep_worst`]), biases can be
//! corrected ([`Calibrator::correct_bias`]) and weights equalised beforehand ([`equalize`]).

mod affine;
mod bias;
mod calibrator;
mod demand;
mod engine;
mod equalize;
mod error;
mod histogram;
mod layer;
mod network;
mod range;
mod rows;
mod search;
mod sensitivity;
mod sums;
#[cfg(test)]
mod tests;

pub use affine::{Affine, WEIGHT_LIMIT};
pub use calibrator::Calibrator;
pub use engine::{IntegerEngine, Seen, Value};
pub use equalize::equalize;
pub use error::QuantizeError;
pub use layer::Layer;
pub use network::Quantized;
pub use range::Method;
pub use search::{Found, Recipe, Trial, search};
pub use sensitivity::{Distance, LayerCost, keep_worst};
