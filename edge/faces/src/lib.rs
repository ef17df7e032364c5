//! Finds upright frontal faces in grey pictures.
//!
//! This is SeetaFace's funnel-structured cascade (Wu, Kan, He, Shan and Chen 2016, "Funnel-structured cascade for
//! multi-view face detection with alignment-awareness"). A window of 40 pixels slides over a pyramid of ever smaller
//! pictures. Boosted classifiers drop most windows after a few table lookups; networks look at the rest, and say where
//! in the window the face is. Windows that overlap become one.
//!
//! The model is not part of this crate; it reads the file that SeetaFace's authors published. Faces and scores are equal
//! to those of the `rustface` package to the last bit, which takes several times as long; see `examples/compare.rs`.
//!
//! ```no_run
//! use fer_faces::{Detector, Gray, Search};
//!
//! let mut detector = Detector::new(&std::fs::read("seeta_fd_frontal_v1.0.bin")?)?;
//! let pixels = vec![128; 640 * 480];
//! let picture = Gray::new(640, 480, 640, &pixels).ok_or("no picture")?;
//! let mut faces = Vec::new();
//! detector.detect(picture, &Search::default(), &mut faces);
//! assert!(faces.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Once it has seen a picture of a size, a detector takes no memory from the heap for the next, except where there are
//! more windows that may be faces than ever before.

#![forbid(unsafe_code)]

mod bilinear;
mod boosted;
mod contrast;
mod cut_off;
mod detector;
mod gray;
mod lab;
mod mlp;
mod model;
mod nms;
mod shrink;
mod surf;
mod window;

pub use detector::{Detector, Face, Search};
pub use gray::Gray;
pub use model::ModelError;
