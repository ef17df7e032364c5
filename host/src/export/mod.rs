//! From a trained network to a model folder that other programs run.
//!
//! [`fold`](crate::graph::fold::fold) → [`to_onnx`] → [`OnnxModel`] reads the file back, which is
//! compared with the graph → [`write_package`] writes `model.onnx`, `model.toml` and `CARD.md`.

mod attribute;
mod card;
mod error;
mod half;
mod model;
mod onnx;
mod package;
mod qdq;
mod verify;

#[cfg(test)]
pub(crate) mod tests;

pub use error::ExportError;
pub use half::round_to_f16;
pub use model::OnnxModel;
pub use onnx::to_onnx;
pub use package::{CARD_FILE, Exported, Facts, Form, MODEL_FILE, write_form, write_package};
pub use qdq::to_onnx_int8;
pub use verify::{Agreement, Images, Reference, TOLERANCE, compare};
