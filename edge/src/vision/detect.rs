//! What a face detector is.

use std::path::PathBuf;

use fer_models::{GrayView, Rect};

/// One face in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Where, in pixels of the frame; may reach beyond it.
    pub rect: Rect,
    /// How sure the detector is, on its own scale.
    pub score: f32,
}

/// What a detector's rectangle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A face as detectors draw it: the model's crop rule turns it into a square.
    Face,
    /// Exactly what the classifier shall see.
    Exact,
}

/// Smallest face that is worth looking for: the models' tile is no larger.
const MIN_FACE: f32 = 48.0;

/// What a detector that searches whole frames looks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Smallest face to find, in pixels of the frame. Without it, an eighth of the frame's shorter
    /// side, at least 48: the time for a frame then hardly depends on its size.
    pub min_face: Option<f32>,
    /// Detections below this score are dropped; the scale is the detector's.
    pub min_score: f32,
}

impl Search {
    /// The smallest face to find in a frame of this size, at least 1 pixel.
    #[must_use]
    pub fn smallest(&self, width: usize, height: usize) -> f32 {
        let eighth = width.min(height) as f32 / 8.0;
        self.min_face.unwrap_or(MIN_FACE.max(eighth)).max(1.0)
    }
}

/// Finds faces in a frame.
pub trait Detector {
    /// What this detector's rectangles stand for.
    fn framing(&self) -> Framing;

    /// Replaces the content of `faces` with the faces of `frame`.
    ///
    /// # Errors
    /// Returns an error when this frame can't be searched.
    fn detect(
        &mut self,
        frame: GrayView<'_>,
        faces: &mut Vec<Detection>,
    ) -> Result<(), DetectError>;
}

/// Why a frame was not searched.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The embedded detector model can't be read.
    #[error("the embedded face detector can't be read: {0}")]
    Model(fer_faces::ModelError),
    /// A detector's file can't be read, or isn't what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The third-party detector panicked on this frame.
    #[error("the face detector failed on a frame of {width}x{height}")]
    Panicked {
        /// Frame width in pixels.
        width: usize,
        /// Frame height in pixels.
        height: usize,
    },
    /// The fixed region misses the frame.
    #[error(
        "the region {x},{y},{region_width},{region_height} lies outside the frame of \
         {width}x{height}"
    )]
    Outside {
        /// Left edge of the region.
        x: f32,
        /// Top edge of the region.
        y: f32,
        /// Width of the region.
        region_width: f32,
        /// Height of the region.
        region_height: f32,
        /// Frame width in pixels.
        width: usize,
        /// Frame height in pixels.
        height: usize,
    },
}

impl DetectError {
    /// Whether another frame may do better. A wrong setting doesn't mend itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Panicked { .. })
    }
}
