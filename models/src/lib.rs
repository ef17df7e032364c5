//! What a model *is*, for every program that trains or runs one.
//!
//! A model is a folder with three files: `model.onnx`, `model.toml` (the [`Manifest`]) and `CARD.md`.
//! The manifest is the contract between the host that trained and the device that runs: the class
//! names in order ([`Labels`]), how a face becomes the network's input ([`Preprocess`]), how logits
//! become a decision ([`Decision`]), and the checksum of the file it speaks for. Host and device both
//! call the functions in this crate, so preprocessing has one implementation and cannot drift.
//!
//! The crate reads no camera and runs no network: it needs neither candle nor tract. It also holds the
//! two small things that both sides share: scores ([`softmax`], [`argmax`], [`average_crops`]) and
//! [`write_atomic`].
//!
//! ```
//! use fer_models::{Crops, GrayView, ModelPackage, Rect};
//!
//! let package = ModelPackage::embedded();
//! let input = package.manifest.input;
//! // A grey frame and the box a face detector found in it.
//! let pixels = vec![128u8; 320 * 240];
//! let frame = GrayView::new(320, 240, 320, &pixels)?;
//! let face = Rect { x: 100.0, y: 60.0, width: 96.0, height: 96.0 };
//!
//! let mut tile = vec![0u8; input.tile * input.tile];
//! input.cut_tile(frame, input.face_square(face), &mut tile);
//! let mut tensor = vec![0f32; Crops::Ten.count() * input.input_len()];
//! input.write_input(&tile, Crops::Ten, &mut tensor); // [10, channels, crop, crop]
//! # Ok::<(), fer_models::ImageError>(())
//! ```

mod atomic;
mod crops;
mod field;
mod image;
mod labels;
pub mod machine;
mod manifest;
mod package;
mod preprocess;
mod resize;
mod scores;

pub use crate::atomic::write_atomic;
pub use crate::crops::Crops;
pub use crate::field::FieldError;
pub use crate::image::{GrayView, ImageError, MAX_SIDE, Rect, rgb_to_gray};
pub use crate::labels::{LabelError, Labels};
pub use crate::manifest::{
    Accuracy, Calibration, Decision, MANIFEST_FORMAT, Manifest, ManifestError, ModelFile,
    Precision, Provenance,
};
pub use crate::package::{
    MANIFEST_FILE, MAX_MANIFEST_BYTES, MAX_MODEL_BYTES, ModelError, ModelPackage, sha256_hex,
};
pub use crate::preprocess::{MAX_TILE, Preprocess};
pub use crate::resize::resize;
pub use crate::scores::{argmax, average_crops, softmax};
