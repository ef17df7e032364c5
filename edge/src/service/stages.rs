//! The stages that the configuration asks for.

use std::path::{Path, PathBuf};

use fer_models::ModelPackage;

use crate::config::{Config, Kind, Vision};
use crate::infer::{LoadError, TractClassifier};
use crate::processor::Processor;
use crate::vision::roi::{Region, WholeFrame};
use crate::vision::seeta::{self, SeetaDetector};
use crate::vision::yunet::{self, YunetDetector};
use crate::vision::{DetectError, Detector, Search};

/// Why a stage can't be had. All of it is a wrong configuration or a broken model folder.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The model folder is wrong.
    #[error(transparent)]
    Model(#[from] fer_models::ModelError),
    /// The model can't be run.
    #[error("{}: {error}", folder.display())]
    Plan {
        /// The model folder.
        folder: PathBuf,
        /// Why.
        error: LoadError,
    },
    /// The detector can't be had.
    #[error(transparent)]
    Detector(#[from] DetectError),
}

/// Opens a model, by default the embedded one, and plans it.
///
/// # Errors
/// Returns what is wrong with it.
pub fn model(path: Option<&Path>) -> Result<(ModelPackage, TractClassifier), StageError> {
    let package = match path {
        Some(path) => ModelPackage::open(path)?,
        None => ModelPackage::embedded(),
    };
    let classifier = TractClassifier::load(&package).map_err(|error| StageError::Plan {
        folder: path.unwrap_or(Path::new("the embedded model")).to_owned(),
        error,
    })?;
    let runs_on = classifier.runs_on();
    tracing::info!(model = package.manifest.name, runs_on, "model loaded");
    Ok((package, classifier))
}

/// The detector that the settings mean.
///
/// # Errors
/// Returns an error when its file can't be used.
pub fn detector(vision: &Vision) -> Result<Box<dyn Detector>, DetectError> {
    let search = |default: Search| Search {
        min_face: vision.min_face.map(f32::from),
        min_score: vision.min_score.unwrap_or(default.min_score),
    };
    Ok(match vision.kind() {
        Kind::Region(region) => Box::new(Region(region)),
        Kind::WholeFrame => Box::new(WholeFrame),
        Kind::Seeta => Box::new(SeetaDetector::new(search(seeta::SEARCH))?),
        Kind::Yunet(path) => Box::new(YunetDetector::load(path, search(yunet::SEARCH))?),
    })
}

/// All stages between capture and publishing, and the model they run.
///
/// # Errors
/// Returns an error when a model or a file of the configuration can't be used.
pub fn processor(config: &Config) -> Result<(ModelPackage, Processor), StageError> {
    let detector = detector(&config.vision)?;
    let (package, classifier) = model(config.model.path.as_deref())?;
    let settings = super::tuning(config).processing;
    let processor = Processor::new(&package.manifest, detector, Box::new(classifier), settings);
    Ok((package, processor))
}
