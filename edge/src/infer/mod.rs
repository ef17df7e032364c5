//! Runs the classifier: preprocessed faces in, scores out.

mod fuse;
mod fused;
mod limits;
mod tract;

pub use fer_kernels::Isa;
pub use tract::TractClassifier;

/// Whose operators run a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// Our kernels on these instructions; tract's where the model has something that they don't know.
    Kernels(Isa),
    /// tract's.
    Tract,
}

impl Default for Runner {
    /// Our kernels on the fastest instructions here.
    fn default() -> Self {
        Self::Kernels(Isa::best())
    }
}

/// Turns preprocessed faces into scores.
pub trait Classifier {
    /// Scores faces.
    ///
    /// `faces` is `[faces, crops, channels, crop, crop]` as `Preprocess::write_input` makes it;
    /// `scores` becomes `[faces, labels]`, each row a distribution.
    ///
    /// # Errors
    /// Returns an error when the model can't be run or gives scores that aren't numbers.
    fn classify(&mut self, faces: &[f32], scores: &mut Vec<f32>) -> Result<(), InferError>;
}

/// Why a model can't be used. Each message says which side says what.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// tract can't read the file or plan its execution.
    #[error("{file}: not a usable ONNX model: {reason}")]
    Graph {
        /// The model file.
        file: String,
        /// What tract said.
        reason: String,
    },
    /// The file and the manifest disagree.
    #[error("{file}: {what} is {found}, but the manifest says {expected}")]
    Mismatch {
        /// The model file.
        file: String,
        /// Which property.
        what: &'static str,
        /// What the file has.
        found: String,
        /// What the manifest implies.
        expected: String,
    },
}

/// Why faces were not scored.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// tract failed.
    #[error("the model could not be run: {0}")]
    Run(String),
    /// The model gave NaN or infinite values.
    #[error("the model gave scores that are not numbers")]
    NotFinite,
}

#[cfg(test)]
pub(crate) mod fake {
    use super::{Classifier, InferError};
    use fer_models::Labels;

    /// A classifier for tests: the darkest tile gets the first label, the brightest the last.
    ///
    /// It needs no model file, so that tests of the stages around it don't depend on one.
    #[derive(Debug, Clone)]
    pub(crate) struct Brightness {
        face_len: usize,
        labels: usize,
    }

    impl Brightness {
        /// For faces of `face_len` values.
        pub(crate) fn new(face_len: usize, labels: &Labels) -> Self {
            Self {
                face_len,
                labels: labels.len(),
            }
        }
    }

    impl Classifier for Brightness {
        fn classify(&mut self, faces: &[f32], scores: &mut Vec<f32>) -> Result<(), InferError> {
            scores.clear();
            for face in faces.chunks_exact(self.face_len) {
                let mean = face.iter().sum::<f32>() / face.len() as f32;
                let label = (mean.clamp(0.0, 1.0) * self.labels as f32) as usize;
                let label = label.min(self.labels - 1);
                scores.extend((0..self.labels).map(|i| f32::from(u8::from(i == label))));
            }
            Ok(())
        }
    }
}
