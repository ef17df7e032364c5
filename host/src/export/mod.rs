//! From a trained network to a model folder that other programs run.
//!
//! [`fold`](crate::graph::fold::fold) → [`to_onnx`] → [`OnnxModel`] reads the file back and
//! [`verify`] compares it with the graph → [`write_package`] writes `model.onnx`, `model.toml` and
//! `CARD.md`.

mod attribute;
mod card;
mod error;
mod model;
mod onnx;
mod package;
mod verify;

#[cfg(test)]
mod tests;

pub use error::ExportError;
pub use model::OnnxModel;
pub use onnx::{OPSET, to_onnx};
pub use package::{CARD_FILE, Exported, Facts, MODEL_FILE, write_package};
pub use verify::{Agreement, Images, Reference, TOLERANCE, compare, verify};
