//! An ONNX file, run by tract.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use prost::Message;
use rayon::prelude::*;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, TVec,
    Tensor, TractResult, TypedModel, TypedRunnableModel, tvec,
};
use tract_onnx::tract_hir::infer::Factoid;

use super::error::ExportError;

/// Images that one plan runs together; a batch is cut into chunks of this many, which run on the
/// machine's threads side by side.
const CHUNK: usize = 8;

/// Largest number of values that one node may give for one image: far above any network for faces,
/// and little enough memory that a damaged file cannot ask for more than there is.
const LARGEST: usize = 1 << 24;

/// No window, stride or padding of a network for faces is wider; those of the published networks stay below 225 pixels.
const WIDEST: i64 = 256;

/// An ONNX image classifier, ready to run.
pub struct OnnxModel {
    model: InferenceModel,
    input: [usize; 3],
    classes: usize,
    /// Optimised plans by batch size, at most [`CHUNK`] of them.
    plans: Vec<(usize, Arc<TypedRunnableModel>)>,
}

impl OnnxModel {
    /// Reads the bytes of an ONNX file: one input of 32-bit floats
    /// `[batch, channels, height, width]` and one output `[batch, classes]`.
    ///
    /// # Errors
    /// When the bytes are damaged, use an operator that tract does not know, refer to other files, or
    /// have another input or output.
    pub fn load(bytes: &[u8]) -> Result<Self, ExportError> {
        guarded(|| Self::parse(bytes))
    }

    /// [`load`](Self::load)s the file at `path`.
    ///
    /// # Errors
    /// Also when the file cannot be read.
    pub fn open(path: &Path) -> Result<Self, ExportError> {
        let bytes = std::fs::read(path).map_err(ExportError::io("read", path))?;
        Self::load(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, ExportError> {
        let proto =
            ModelProto::decode(bytes).map_err(|error| ExportError::Onnx(error.to_string()))?;
        check_windows(&proto)?;
        let model = tract_onnx::onnx()
            .with_ignore_value_info(true)
            .model_for_proto_model(&proto)
            .map_err(refused)?;
        let input = input_shape(&model)?;
        let mut this = Self {
            model,
            input,
            classes: 0,
            plans: Vec::new(),
        };
        let (classes, plan) = this.plan_for(1)?;
        this.classes = classes;
        this.plans.push((1, plan));
        Ok(this)
    }

    /// Channels, height and width of an image.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// Number of logits for each image.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The logits `[batch, classes]` of `batch` images `[batch, channels, height, width]`, row by row.
    ///
    /// The first call of a batch size optimises a plan for it; later ones reuse it.
    ///
    /// # Errors
    /// When there are not as many pixels as the images need, or the model fails on them.
    pub fn logits(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>, ExportError> {
        let each = self.input.iter().product::<usize>();
        if batch.checked_mul(each) != Some(pixels.len()) {
            return Err(ExportError::Pixels {
                found: pixels.len(),
                images: batch,
                each,
            });
        }
        guarded(AssertUnwindSafe(|| self.run(pixels, each)))
    }

    fn run(&mut self, pixels: &[f32], each: usize) -> Result<Vec<f32>, ExportError> {
        let chunks = pixels.chunks(CHUNK * each);
        for size in [CHUNK * each, pixels.len() % (CHUNK * each)] {
            if chunks.clone().any(|chunk| chunk.len() == size) {
                self.prepare(size / each)?;
            }
        }
        let this = &*self;
        let rows: Result<Vec<Vec<f32>>, ExportError> = pixels
            .par_chunks(CHUNK * each)
            .map(|chunk| this.run_chunk(chunk, chunk.len() / each))
            .collect();
        Ok(rows?.concat())
    }

    fn run_chunk(&self, pixels: &[f32], images: usize) -> Result<Vec<f32>, ExportError> {
        let (_, plan) = self
            .plans
            .iter()
            .find(|(size, _)| *size == images)
            .expect("prepared before the chunks run");
        let [c, h, w] = self.input;
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&[images, c, h, w], pixels)?;
            let output = plan.run(tvec!(input.into()))?;
            Ok(output[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        };
        let logits = run().map_err(refused)?;
        if logits.len() == images * self.classes {
            return Ok(logits);
        }
        Err(ExportError::Signature {
            what: "output",
            found: format!("{} numbers for {images} images", logits.len()),
            expected: "[batch, classes]",
        })
    }

    fn prepare(&mut self, images: usize) -> Result<(), ExportError> {
        if self.plans.iter().all(|(size, _)| *size != images) {
            let (_, plan) = self.plan_for(images)?;
            self.plans.push((images, plan));
        }
        Ok(())
    }

    /// Number of classes and the plan for a batch size.
    fn plan_for(&self, images: usize) -> Result<(usize, Arc<TypedRunnableModel>), ExportError> {
        let [c, h, w] = self.input;
        let fact = InferenceFact::dt_shape(DatumType::F32, [images, c, h, w]);
        let typed = self
            .model
            .clone()
            .with_input_fact(0, fact)
            .and_then(InferenceModelExt::into_typed)
            .map_err(refused)?;
        check_sizes(&typed, images)?;
        let classes = classes(&typed, images)?;
        let plan = typed
            .into_optimized()
            .and_then(IntoRunnable::into_runnable)
            .map_err(refused)?;
        Ok((classes, plan))
    }
}

/// Runs tract so that a panic on a damaged file becomes an error; its message goes to stderr.
fn guarded<T>(
    work: impl FnOnce() -> Result<T, ExportError> + std::panic::UnwindSafe,
) -> Result<T, ExportError> {
    catch_unwind(work)
        .unwrap_or_else(|_| Err(ExportError::Onnx("the runtime gave up on it".into())))
}

fn refused(error: impl std::fmt::Display) -> ExportError {
    // `:#` prints the causes too
    ExportError::Onnx(format!("{error:#}"))
}

fn input_shape(model: &InferenceModel) -> Result<[usize; 3], ExportError> {
    let fact = model.input_fact(0).map_err(refused)?;
    let wrong = || ExportError::Signature {
        what: "input",
        found: format!(
            "{} input(s), the first {}",
            model.inputs.len(),
            fact.format_dt_shape()
        ),
        expected: "one of 32-bit floats [batch, channels, height, width], up to 2^24 values an image",
    };
    let shape: Vec<Option<usize>> = (fact.shape.dims())
        .map(|dim| {
            dim.concretize()
                .and_then(|d| usize::try_from(d.to_i64().ok()?).ok())
        })
        .collect();
    match shape[..] {
        [_, Some(c), Some(h), Some(w)]
            if model.inputs.len() == 1
                && model.outputs.len() == 1
                && fact.datum_type.concretize() == Some(DatumType::F32)
                && [c, h, w].iter().all(|d| (1..=1 << 16).contains(d))
                && c * h * w <= LARGEST =>
        {
            Ok([c, h, w])
        }
        _ => Err(wrong()),
    }
}

/// Refuses windows that tract would write down pixel by pixel.
fn check_windows(proto: &ModelProto) -> Result<(), ExportError> {
    let nodes = proto.graph.iter().flat_map(|graph| &graph.node);
    for (node, attribute) in nodes.flat_map(|node| node.attribute.iter().map(move |a| (node, a))) {
        let sets_window =
            ["kernel_shape", "strides", "pads", "dilations"].contains(&attribute.name.as_str());
        if sets_window
            && !attribute
                .ints
                .iter()
                .all(|side| (0..=WIDEST).contains(side))
        {
            return Err(ExportError::Onnx(format!(
                "node `{}`: {} is {:?}, expected 0 to {WIDEST}",
                node.name, attribute.name, attribute.ints
            )));
        }
    }
    Ok(())
}

/// Refuses a model that would need absurd memory, before any of it is asked for.
fn check_sizes(model: &TypedModel, images: usize) -> Result<(), ExportError> {
    for node in &model.nodes {
        for output in &node.outputs {
            let dims: Option<TVec<usize>> = output
                .fact
                .shape
                .as_concrete()
                .map(|dims| dims.iter().copied().collect());
            let size = dims
                .as_ref()
                .and_then(|d| d.iter().try_fold(1usize, |size, &d| size.checked_mul(d)));
            let constant = output.fact.konst.is_some();
            if !constant && size.is_none_or(|size| size > LARGEST * images) {
                return Err(ExportError::Onnx(format!(
                    "node `{}` gives {:?}, more than this program runs",
                    node.name, output.fact.shape
                )));
            }
        }
    }
    Ok(())
}

fn classes(model: &TypedModel, images: usize) -> Result<usize, ExportError> {
    let fact = model.output_fact(0).map_err(refused)?;
    match fact.shape.as_concrete() {
        Some(&[rows, classes])
            if rows == images && classes > 0 && fact.datum_type == DatumType::F32 =>
        {
            Ok(classes)
        }
        _ => Err(ExportError::Signature {
            what: "output",
            found: format!("{fact:?}"),
            expected: "32-bit floats [batch, classes]",
        }),
    }
}
