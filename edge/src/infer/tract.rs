//! The classifier on tract, checked against its manifest.

use std::io::Cursor;
use std::panic::catch_unwind;
use std::sync::Arc;

use fer_models::{ModelPackage, average_crops, softmax};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use super::{Classifier, InferError, LoadError};

/// An ONNX model on tract.
///
/// The plan is made once, for the crops of one face, and runs once a face. Larger batches would gain
/// next to nothing (compare the milliseconds a crop of `fer-edge bench` for models of one and of ten
/// crops), would hold another copy of the packed weights each, and would stall the stream for the time
/// of planning whenever a further face comes in.
pub struct TractClassifier {
    state: TypedSimpleState,
    input: Arc<Tensor>,
    temperature: f32,
    mean: Vec<f32>,
}

impl TractClassifier {
    /// Loads the model and checks its shape against the manifest.
    ///
    /// # Errors
    /// Returns an error when the file is no usable model or disagrees with the manifest.
    pub fn load(package: &ModelPackage) -> Result<Self, LoadError> {
        // tract 0.23.9 panics on some damaged files instead of returning an error
        catch_unwind(|| Self::plan(package)).unwrap_or_else(|_| {
            Err(LoadError::Graph {
                file: package.manifest.model.file.clone(),
                reason: "damaged: tract gave up on it".into(),
            })
        })
    }

    fn plan(package: &ModelPackage) -> Result<Self, LoadError> {
        let manifest = &package.manifest;
        let file = &manifest.model.file;
        let graph = |e: TractError| LoadError::Graph {
            file: file.clone(),
            reason: format!("{e:#}"),
        };
        let input = &manifest.input;
        let crops = manifest.decision.crops.count();
        let shape = [crops, input.channels, input.crop, input.crop];

        let model = tract_onnx::onnx()
            .model_for_read(&mut Cursor::new(package.onnx()))
            .map_err(graph)?;
        check_input(file, &model, shape)?;
        check_outputs(file, &model)?;
        let plan = model
            .with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))
            .and_then(InferenceModelExt::into_optimized)
            .map_err(graph)?;
        let output = plan.output_fact(0).map_err(graph)?;
        let found: Vec<String> = output.shape.iter().map(ToString::to_string).collect();
        let expected = [crops.to_string(), manifest.labels.len().to_string()];
        if found != expected {
            return Err(LoadError::Mismatch {
                file: file.clone(),
                what: "the output's shape [crops, labels]",
                found: format!("[{}]", found.join(", ")),
                expected: format!("[{}]", expected.join(", ")),
            });
        }
        Ok(Self {
            state: plan
                .into_runnable()
                .and_then(|plan| plan.spawn())
                .map_err(graph)?,
            input: Arc::new(Tensor::zero::<f32>(&shape).map_err(graph)?),
            temperature: manifest.decision.temperature,
            mean: vec![0.0; manifest.labels.len()],
        })
    }

    fn run(&mut self, face: &[f32], scores: &mut [f32]) -> TractResult<()> {
        // The plan has let go of last time's input, so this writes in place.
        let input = Arc::make_mut(&mut self.input);
        input
            .try_as_plain_ram_mut()?
            .as_slice_mut::<f32>()?
            .copy_from_slice(face);
        let outputs = self
            .state
            .run(tvec!(TValue::from_const(Arc::clone(&self.input))))?;
        let logits = outputs[0].view();
        average_crops(logits.as_slice::<f32>()?, &mut self.mean);
        softmax(&self.mean, self.temperature, scores);
        Ok(())
    }
}

impl Classifier for TractClassifier {
    fn classify(&mut self, faces: &[f32], scores: &mut Vec<f32>) -> Result<(), InferError> {
        let face_len = self.input.len();
        let labels = self.mean.len();
        scores.clear();
        scores.resize(faces.len() / face_len * labels, 0.0);
        for (face, row) in faces
            .chunks_exact(face_len)
            .zip(scores.chunks_exact_mut(labels))
        {
            self.run(face, row)
                .map_err(|e| InferError::Run(format!("{e:#}")))?;
        }
        if scores.iter().all(|score| score.is_finite()) {
            Ok(())
        } else {
            Err(InferError::NotFinite)
        }
    }
}

/// What the file itself declares; dynamic dimensions agree with anything.
fn check_input(file: &str, model: &InferenceModel, shape: [usize; 4]) -> Result<(), LoadError> {
    let mismatch = |what, found: String, expected: String| {
        Err(LoadError::Mismatch {
            file: file.to_owned(),
            what,
            found,
            expected,
        })
    };
    if model.inputs.len() != 1 {
        return mismatch(
            "the number of inputs",
            model.inputs.len().to_string(),
            "1".to_owned(),
        );
    }
    let graph = |e: TractError| LoadError::Graph {
        file: file.to_owned(),
        reason: format!("{e:#}"),
    };
    let fact = model.input_fact(0).map_err(graph)?;
    if let Some(found) = fact
        .datum_type
        .concretize()
        .filter(|found| *found != f32::datum_type())
    {
        return mismatch("the input's type", format!("{found:?}"), "F32".to_owned());
    }
    if let Some(rank) = fact.shape.rank().concretize().filter(|rank| *rank != 4) {
        return mismatch("the input's rank", rank.to_string(), "4".to_owned());
    }
    let names = [
        "the input's batch size",
        "the input's channels",
        "the input's height",
        "the input's width",
    ];
    for (axis, (what, expected)) in names.into_iter().zip(shape).enumerate() {
        let declared = fact.shape.dim(axis).and_then(|dim| dim.concretize());
        let declared = declared.and_then(|dim| dim.to_usize().ok());
        if let Some(found) = declared.filter(|found| *found != expected) {
            return mismatch(what, found.to_string(), expected.to_string());
        }
    }
    Ok(())
}

fn check_outputs(file: &str, model: &InferenceModel) -> Result<(), LoadError> {
    if model.outputs.len() == 1 {
        return Ok(());
    }
    Err(LoadError::Mismatch {
        file: file.to_owned(),
        what: "the number of outputs",
        found: model.outputs.len().to_string(),
        expected: "1".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fer_models::{Crops, Labels, Manifest, sha256_hex};
    use std::borrow::Cow;

    fn repackaged(change: impl Fn(&mut Manifest)) -> ModelPackage {
        let embedded = ModelPackage::embedded();
        let mut manifest = embedded.manifest.clone();
        change(&mut manifest);
        let onnx = Cow::Owned(embedded.onnx().to_vec());
        ModelPackage::from_parts(&manifest.to_toml(), onnx).unwrap()
    }

    fn refusal(change: impl Fn(&mut Manifest)) -> String {
        TractClassifier::load(&repackaged(change))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_embedded_model_gives_distributions() {
        let package = ModelPackage::embedded();
        let mut classifier = TractClassifier::load(&package).unwrap();
        let len = package.manifest.decision.crops.count() * package.manifest.input.input_len();
        let faces: Vec<f32> = (0..2 * len).map(|i| (i % 255) as f32 / 255.0).collect();
        let mut scores = Vec::new();
        classifier.classify(&faces, &mut scores).unwrap();
        let labels = package.manifest.labels.len();
        assert_eq!(scores.len(), 2 * labels);
        for row in scores.chunks(labels) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        }
        classifier.classify(&[], &mut scores).unwrap();
        assert!(scores.is_empty());
    }

    #[test]
    fn faces_do_not_influence_each_other() {
        let package = ModelPackage::embedded();
        let mut classifier = TractClassifier::load(&package).unwrap();
        let len = package.manifest.decision.crops.count() * package.manifest.input.input_len();
        let dark = vec![0.1; len];
        let mixed: Vec<f32> = dark
            .iter()
            .copied()
            .chain((0..len).map(|i| (i % 7) as f32))
            .collect();
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        classifier.classify(&dark, &mut alone).unwrap();
        classifier.classify(&mixed, &mut together).unwrap();
        assert_eq!(alone, together[..alone.len()]);
    }

    #[test]
    fn both_crop_rules_load() {
        for crops in [Crops::Center, Crops::Ten] {
            let package = repackaged(|manifest| manifest.decision.crops = crops);
            assert!(TractClassifier::load(&package).is_ok());
        }
    }

    #[test]
    fn a_manifest_with_other_channels_is_refused() {
        let error = refusal(|m| m.input.channels = if m.input.channels == 1 { 3 } else { 1 });
        assert!(error.contains("channels"), "{error}");
    }

    #[test]
    fn a_manifest_with_another_crop_is_refused() {
        let error = refusal(|m| m.input.crop -= 4);
        assert!(
            error.contains("height is 44, but the manifest says 40"),
            "{error}"
        );
    }

    #[test]
    fn a_manifest_with_other_labels_is_refused() {
        let error = refusal(|m| m.labels = Labels::ferplus());
        assert!(error.contains("labels") && error.contains('8'), "{error}");
    }

    #[test]
    fn rubbish_is_no_model() {
        let mut manifest = ModelPackage::embedded().manifest;
        manifest.model.sha256 = sha256_hex(b"rubbish");
        let package =
            ModelPackage::from_parts(&manifest.to_toml(), Cow::Borrowed(b"rubbish")).unwrap();
        let error = TractClassifier::load(&package)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("not a usable ONNX model"), "{error}");
    }

    #[test]
    fn damaged_files_are_errors_where_tract_panics() {
        let embedded = ModelPackage::embedded();
        let whole = embedded.onnx();
        // cuts and flips in the header, where the structure of the graph lies
        for at in (0..24).map(|i| 7 + i * 61).filter(|&at| at < whole.len()) {
            let mut flipped = whole.to_vec();
            flipped[at] ^= 0xff;
            for damaged in [whole[..at].to_vec(), flipped] {
                let mut manifest = embedded.manifest.clone();
                manifest.model.sha256 = sha256_hex(&damaged);
                let text = manifest.to_toml();
                let package = ModelPackage::from_parts(&text, Cow::Owned(damaged)).unwrap();
                // either is fine, as long as it returns
                let _ = TractClassifier::load(&package);
            }
        }
    }
}
