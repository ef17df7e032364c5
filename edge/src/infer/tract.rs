//! The classifier on tract, checked against its manifest.

use std::io::Cursor;
use std::panic::catch_unwind;
use std::sync::Arc;

use fer_kernels::{Network, Shape};
use fer_models::{ModelPackage, average_crops, softmax};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use super::{Classifier, InferError, LoadError, Runner};
use super::{fuse, fused, limits};

/// An ONNX model on tract.
///
/// Networks that our kernels know run on them, as one operator in tract's plan; all faces of a frame run together then, since
/// most of the time goes into fetching the weights. Others run on tract's own operators, face by face: larger batches would
/// gain next to nothing there, would hold another copy of the packed weights each, and would stall the stream for the time of
/// planning whenever a further face comes in.
pub struct TractClassifier {
    state: TypedSimpleState,
    input: Arc<Tensor>,
    /// `[crops, channels, crop, crop]` of one face.
    face: [usize; 4],
    together: bool,
    runs_on: String,
    temperature: f32,
    mean: Vec<f32>,
}

impl TractClassifier {
    /// Loads the model and checks its shape against the manifest.
    ///
    /// # Errors
    /// Returns an error when the file is no usable model or disagrees with the manifest.
    pub fn load(package: &ModelPackage) -> Result<Self, LoadError> {
        Self::load_on(package, Runner::default())
    }

    /// As [`TractClassifier::load`], with the operators of one's choice.
    ///
    /// # Errors
    /// Returns an error when the file is no usable model or disagrees with the manifest.
    pub fn load_on(package: &ModelPackage, runner: Runner) -> Result<Self, LoadError> {
        // tract 0.23.9 panics on some damaged files instead of returning an error
        catch_unwind(|| Self::plan(package, runner)).unwrap_or_else(|_| {
            Err(LoadError::Graph {
                file: package.manifest.model.file.clone(),
                reason: "damaged: tract gave up on it".into(),
            })
        })
    }

    /// What it runs on: number format and instructions of our kernels, or tract's operators.
    pub fn runs_on(&self) -> &str {
        &self.runs_on
    }

    fn plan(package: &ModelPackage, runner: Runner) -> Result<Self, LoadError> {
        let manifest = &package.manifest;
        let file = &manifest.model.file;
        let graph = |e: TractError| LoadError::Graph {
            file: file.clone(),
            reason: format!("{e:#}"),
        };
        let input = &manifest.input;
        let crops = manifest.decision.crops.count();
        let face = [crops, input.channels, input.crop, input.crop];

        let onnx = tract_onnx::onnx();
        let proto = onnx
            .proto_model_for_read(&mut Cursor::new(package.onnx()))
            .map_err(graph)?;
        let refused = |reason: String| LoadError::Graph {
            file: file.clone(),
            reason,
        };
        if let Some(graph) = &proto.graph {
            limits::check_windows(graph).map_err(refused)?;
        }
        let model = onnx.model_for_proto_model(&proto).map_err(graph)?;
        check_input(file, &model, face)?;
        check_outputs(file, &model)?;
        let network = match runner {
            Runner::Kernels(isa) => fuse::network(&proto, input_shape(face), isa),
            Runner::Tract => Err(fuse::Unfused("not asked for".into())),
        };
        let (plan, runs_on, together) = match network {
            Ok(network) => {
                let runs_on = describe(&network);
                (fused::model(network).map_err(graph)?, runs_on, true)
            }
            Err(fuse::Unfused(reason)) => {
                let typed = model
                    .with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), face))
                    .and_then(InferenceModelExt::into_typed)
                    .map_err(graph)?;
                limits::check_maps(&typed, crops).map_err(refused)?;
                let plan = typed.into_optimized().map_err(graph)?;
                tracing::debug!(reason, "the model runs on tract's own operators");
                (plan, "tract".to_owned(), false)
            }
        };
        let output = plan.output_fact(0).map_err(graph)?;
        let mut found: Vec<String> = output.shape.iter().map(ToString::to_string).collect();
        if let (true, Some(batch)) = (together, found.first_mut()) {
            // any number of crops, so also this
            *batch = crops.to_string();
        }
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
            input: Arc::new(Tensor::zero::<f32>(&face).map_err(graph)?),
            face,
            together,
            runs_on,
            temperature: manifest.decision.temperature,
            mean: vec![0.0; manifest.labels.len()],
        })
    }

    /// Runs whole faces, and makes a distribution of each one's logits.
    fn run(&mut self, faces: &[f32], scores: &mut [f32]) -> TractResult<()> {
        if self.input.len() != faces.len() {
            let [crops, channels, height, width] = self.face;
            let count = faces.len() / self.face.iter().product::<usize>();
            let shape = [count * crops, channels, height, width];
            self.input = Arc::new(Tensor::zero::<f32>(&shape)?);
        }
        // The plan has let go of last time's input, so this writes in place.
        let input = Arc::make_mut(&mut self.input);
        input
            .try_as_plain_ram_mut()?
            .as_slice_mut::<f32>()?
            .copy_from_slice(faces);
        let outputs = self
            .state
            .run(tvec!(TValue::from_const(Arc::clone(&self.input))))?;
        let logits = outputs[0].view();
        let labels = self.mean.len();
        let rows = logits
            .as_slice::<f32>()?
            .chunks_exact(self.face[0] * labels);
        for (logits, scores) in rows.zip(scores.chunks_exact_mut(labels)) {
            average_crops(logits, &mut self.mean);
            softmax(&self.mean, self.temperature, scores);
        }
        Ok(())
    }
}

/// Size of a picture of `[pictures, channels, rows, columns]`.
fn input_shape([_, channels, height, width]: [usize; 4]) -> Shape {
    Shape {
        height,
        width,
        channels,
    }
}

/// Number format and instructions.
fn describe(network: &Network) -> String {
    let isa = network.isa();
    match network.convolutions() {
        (_, 0) => format!("f32, {}", isa.float_name()),
        (0, _) => format!("int8, {}", isa.int8_name()),
        _ => format!("int8 and f32, {}", isa.int8_name()),
    }
}

impl Classifier for TractClassifier {
    fn classify(&mut self, faces: &[f32], scores: &mut Vec<f32>) -> Result<(), InferError> {
        let face_len = self.face.iter().product::<usize>();
        let labels = self.mean.len();
        scores.clear();
        scores.resize(faces.len() / face_len * labels, 0.0);
        let at_once = if self.together {
            faces.len().max(face_len)
        } else {
            face_len
        };
        let rows = at_once / face_len * labels;
        for (faces, rows) in faces
            .chunks_exact(at_once)
            .zip(scores.chunks_exact_mut(rows))
        {
            self.run(faces, rows)
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
    use fer_kernels::Isa;
    use fer_models::{Crops, Labels, Manifest, sha256_hex};
    use std::borrow::Cow;
    use std::path::Path;

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
    fn our_kernels_score_as_tracts_operators_with_all_instructions() {
        // in 8 bits there are other tests: scores move by a step where a sum is rounded the other way
        let floats = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/zoo/vgg19-lite");
        let package = ModelPackage::open(Path::new(floats)).unwrap();
        let len = package.manifest.decision.crops.count() * package.manifest.input.input_len();
        let faces: Vec<f32> = (0..3 * len).map(|i| (i * i % 255) as f32 / 255.0).collect();
        let scores = |runner| {
            let mut classifier = TractClassifier::load_on(&package, runner).unwrap();
            let mut scores = Vec::new();
            classifier.classify(&faces, &mut scores).unwrap();
            (classifier.runs_on().to_owned(), scores)
        };
        let (runs_on, expected) = scores(Runner::Tract);
        assert_eq!(runs_on, "tract");
        for isa in Isa::available() {
            let (runs_on, scores) = scores(Runner::Kernels(isa));
            assert_eq!(runs_on, format!("f32, {}", isa.float_name()));
            let difference = expected.iter().zip(&scores).map(|(a, b)| (a - b).abs());
            assert!(difference.fold(0.0, f32::max) < 1e-5, "{isa}");
        }
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
