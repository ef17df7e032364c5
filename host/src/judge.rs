//! Any network that can be judged: a checkpoint or a model folder, behind one face.

use std::path::{Path, PathBuf};

use fer_models::{Crops, Decision, Labels, MANIFEST_FILE, ModelError, ModelPackage, Preprocess};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::compress::quantize::{IntegerEngine, Quantized};
use crate::data::Dataset;
use crate::export::{ExportError, OnnxModel};
use crate::graph::exec::{Engine, ExecError, NativeEngine, Params};
use crate::predict;
use crate::report::{Evaluation, EvaluationError};

/// Why a network cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model folder cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The ONNX file cannot be run.
    #[error(transparent)]
    Onnx(Box<ExportError>),
    /// The checkpoint's network cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Manifest and ONNX file disagree.
    #[error("{model}: the manifest says {manifest}, the ONNX file {file}")]
    Lies {
        /// The model's name.
        model: String,
        /// What the manifest says.
        manifest: String,
        /// What the file does.
        file: String,
    },
    /// A model folder whose parts do not fit together.
    #[error("{}: {reason}", folder.display())]
    Folder {
        /// The folder, or the `model.toml` in it, as given.
        folder: PathBuf,
        /// What is wrong with it.
        reason: Box<JudgeError>,
    },
    /// The model folder's ONNX file is not usable.
    #[error("{file}: {reason}")]
    File {
        /// Its name in the manifest.
        file: String,
        /// Why not.
        reason: Box<ExportError>,
    },
    /// The data has other classes or another image size than the network.
    #[error("the data has {data}, the network knows {network}")]
    Data {
        /// Classes or size of the data.
        data: String,
        /// Classes or size of the network.
        network: String,
    },
    /// An ONNX file without the manifest that says how it is used.
    #[error("{}: no {MANIFEST_FILE} beside it that speaks for it", path.display())]
    NoManifest {
        /// The ONNX file.
        path: PathBuf,
    },
    /// A network that diverged, or is damaged.
    #[error("the network gives {value} for class {class}, expected a finite number")]
    NotFinite {
        /// The class.
        class: String,
        /// Its logit.
        value: f32,
    },
    /// No image to judge with.
    #[error("the data has no image in that split")]
    Empty,
    /// The measures cannot be computed.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
}

impl From<ExportError> for JudgeError {
    fn from(error: ExportError) -> Self {
        Self::Onnx(Box::new(error))
    }
}

impl JudgeError {
    /// Whether the model folder is wrong, rather than the data or the work.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Lies { .. }
                | Self::Model(_)
                | Self::Folder { .. }
                | Self::File { .. }
                | Self::NoManifest { .. }
        )
    }
}

/// Judges a quantized network, number by number as [`IntegerEngine`] computes it, on the images at
/// `indices`.
///
/// # Errors
/// When there are none, or the network cannot be run on them.
pub fn evaluate_quantized(
    quantized: &Quantized,
    dataset: &Dataset,
    indices: &[usize],
    input: &Preprocess,
    crops: Crops,
) -> Result<Evaluation, JudgeError> {
    let mut engine = IntegerEngine::new(quantized);
    let predict = |pixels: &[f32], batch| engine.infer(pixels, batch);
    let logits = predict::logits(dataset, indices, input, crops, predict)?;
    let targets = predict::targets(dataset, indices);
    let evaluation = Evaluation::from_logits(dataset.labels(), &logits, &targets);
    Ok(evaluation?)
}

enum Runner {
    Checkpoint(Box<NativeEngine>, Params),
    Onnx(OnnxModel),
}

/// A network ready to be judged.
pub struct Candidate {
    labels: Labels,
    input: Preprocess,
    decision: Decision,
    runner: Runner,
}

impl Candidate {
    /// Opens a checkpoint file, or a model folder, its `model.toml` or its ONNX file.
    ///
    /// # Errors
    /// When it cannot be read, or manifest and ONNX file disagree.
    pub fn open(path: &Path) -> Result<Self, JudgeError> {
        let is_manifest = path.file_name().is_some_and(|name| name == MANIFEST_FILE);
        let is_onnx = path.extension().is_some_and(|e| e == "onnx");
        if path.is_dir() || is_manifest || is_onnx {
            let beside = path.with_file_name(MANIFEST_FILE);
            let nobody = || JudgeError::NoManifest { path: path.into() };
            if is_onnx && !beside.is_file() {
                return Err(nobody());
            }
            let package = ModelPackage::open(if is_onnx { &beside } else { path })?;
            if is_onnx && path.file_name() != Some(package.manifest.model.file.as_ref()) {
                return Err(nobody());
            }
            return Self::from_package(&package).map_err(|e| JudgeError::Folder {
                folder: path.into(),
                reason: Box::new(e),
            });
        }
        Ok(Self::from_checkpoint(Checkpoint::load(path)?))
    }

    /// Takes a checkpoint.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Self {
        let params = Params::new(&checkpoint.network);
        let engine = Box::new(NativeEngine::<f32>::new(checkpoint.network.graph));
        Self {
            labels: checkpoint.labels,
            input: checkpoint.input,
            // it has no say
            decision: Decision {
                temperature: 1.0,
                crops: Crops::Center,
            },
            runner: Runner::Checkpoint(engine, params),
        }
    }

    /// Takes a model with its manifest.
    ///
    /// # Errors
    /// When the ONNX file cannot be run, or is not what the manifest says.
    pub fn from_package(package: &ModelPackage) -> Result<Self, JudgeError> {
        let onnx = OnnxModel::load(package.onnx()).map_err(|reason| JudgeError::File {
            file: package.manifest.model.file.clone(),
            reason: Box::new(reason),
        })?;
        let manifest = &package.manifest;
        let lies = |manifest_says: String, file: String| JudgeError::Lies {
            model: manifest.name.clone(),
            manifest: manifest_says,
            file,
        };
        let want = [
            manifest.input.channels,
            manifest.input.crop,
            manifest.input.crop,
        ];
        if onnx.input_shape() != want {
            let found = onnx.input_shape();
            return Err(lies(format!("input {want:?}"), format!("reads {found:?}")));
        }
        if onnx.classes() != manifest.labels.len() {
            return Err(lies(
                format!("{} labels", manifest.labels.len()),
                format!("gives {} logits", onnx.classes()),
            ));
        }
        Ok(Self {
            labels: manifest.labels.clone(),
            input: manifest.input,
            decision: manifest.decision,
            runner: Runner::Onnx(onnx),
        })
    }

    /// The crops that the manifest decides with; the centre for a checkpoint.
    pub fn crops(&self) -> Crops {
        self.decision.crops
    }

    /// The classes in the order of the logits.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// How a face becomes the input.
    pub fn input(&self) -> &Preprocess {
        &self.input
    }

    /// Logits `[batch, classes]` of `pixels [batch, channels, crop, crop]`, divided by the manifest's
    /// temperature: their softmax is what the edge says.
    ///
    /// # Errors
    /// When the network cannot be run, or gives what is not a number.
    pub fn predict(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>, JudgeError> {
        let mut logits = match &mut self.runner {
            Runner::Checkpoint(engine, params) => engine.infer(params, pixels, batch)?,
            Runner::Onnx(model) => model.logits(pixels, batch)?,
        };
        for logit in &mut logits {
            *logit /= self.decision.temperature;
        }
        match logits.iter().position(|logit| !logit.is_finite()) {
            None => Ok(logits),
            Some(at) => Err(JudgeError::NotFinite {
                class: self.labels.names()[at % self.labels.len()].clone(),
                value: logits[at],
            }),
        }
    }

    /// Judges the network on the images at `indices`.
    ///
    /// # Errors
    /// When there are none, or their classes or size are not the network's.
    pub fn evaluate(
        &mut self,
        dataset: &Dataset,
        indices: &[usize],
        crops: Crops,
    ) -> Result<Evaluation, JudgeError> {
        let logits = self.logits(dataset, indices, crops)?;
        let targets = predict::targets(dataset, indices);
        Ok(Evaluation::from_logits(
            dataset.labels(),
            &logits,
            &targets,
        )?)
    }

    /// Judges the network on random variants of the images at `indices`, as [`predict::drawn`] does.
    ///
    /// # Errors
    /// When there are none, or their classes or size are not the network's.
    pub fn evaluate_drawn(
        &mut self,
        dataset: &Dataset,
        indices: &[usize],
        draws: predict::Draws<'_>,
    ) -> Result<Evaluation, JudgeError> {
        self.check(dataset, indices)?;
        let input = self.input;
        let predict = |pixels: &[f32], batch| self.predict(pixels, batch);
        let logits = predict::drawn(dataset, indices, &input, draws, predict)?;
        let targets = predict::targets(dataset, indices);
        Ok(Evaluation::from_logits(
            dataset.labels(),
            &logits,
            &targets,
        )?)
    }

    /// Logits `[indices, classes]` of the images at `indices`, averaged over their crops.
    ///
    /// # Errors
    /// When there are none, or their classes or size are not the network's.
    pub fn logits(
        &mut self,
        dataset: &Dataset,
        indices: &[usize],
        crops: Crops,
    ) -> Result<Vec<f32>, JudgeError> {
        self.check(dataset, indices)?;
        let input = self.input;
        let predict = |pixels: &[f32], batch| self.predict(pixels, batch);
        predict::logits(dataset, indices, &input, crops, predict)
    }

    fn check(&self, dataset: &Dataset, indices: &[usize]) -> Result<(), JudgeError> {
        if dataset.labels() != &self.labels {
            return Err(JudgeError::Data {
                data: dataset.labels().names().join(" "),
                network: self.labels.names().join(" "),
            });
        }
        if dataset.tile() != self.input.tile {
            return Err(JudgeError::Data {
                data: format!("{0}×{0} pixels", dataset.tile()),
                network: format!("{0}×{0} pixels", self.input.tile),
            });
        }
        if indices.is_empty() {
            return Err(JudgeError::Empty);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LoadOptions, Split, open};

    /// Losses and certainties were those of temperature 1, whatever the manifest said to the edge.
    #[test]
    fn a_manifests_temperature_divides_the_logits_and_changes_no_decision() {
        let data = open("synth:7:70", &LoadOptions::default()).unwrap().dataset;
        let indices = data.indices(Split::PublicTest);
        let judge = |temperature| {
            let mut package = ModelPackage::embedded();
            package.manifest.decision.temperature = temperature;
            let mut candidate = Candidate::from_package(&package).unwrap();
            let crops = candidate.crops();
            let logits = candidate.logits(&data, &indices, crops).unwrap();
            let targets = predict::targets(&data, &indices);
            let evaluation = Evaluation::from_logits(data.labels(), &logits, &targets).unwrap();
            (logits, evaluation)
        };
        let (sharp, one) = judge(1.0);
        let (flat, three) = judge(3.0);
        let divided: Vec<f32> = sharp.iter().map(|logit| logit / 3.0).collect();
        assert_eq!(divided, flat);
        assert_eq!(one.confusion(), three.confusion());
        assert_ne!(one.loss(), three.loss());
    }
}
