//! A YuNet detector from a file (Wu, Peng and Yu 2023, "YuNet: a tiny millisecond-level face
//! detector"): any ONNX file with the outputs of `face_detection_yunet_2023mar.onnx`.
//!
//! The network's cost grows with the pixels it sees, so the frame is first shrunk until the smallest
//! wanted face is 20 pixels wide, as the default detector does with its 40.

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fer_models::{GrayView, resize};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::DimLike;

use super::{DetectError, Detection, Detector, Framing, Search};

mod decode;

use decode::{Boxes, STRIDES, suppress};

/// Face size in the network's input from which on YuNet is reliable, in pixels.
const FACE: f32 = 20.0;

/// Widths and heights of the network's input are multiples of its coarsest stride.
const GRID: usize = STRIDES[2];

/// Largest input of the network, in pixels a side: bounds time and memory for tiny smallest faces.
const MAX_INPUT: usize = 1280;

/// The search unless said otherwise; scores lie between 0 and 1.
pub const SEARCH: Search = Search {
    min_face: None,
    min_score: 0.7,
};

/// Faces by a YuNet file.
pub struct YunetDetector {
    path: PathBuf,
    model: InferenceModel,
    /// The size that the file insists on, width and height.
    fixed: Option<[usize; 2]>,
    search: Search,
    plan: Option<Plan>,
    scaled: Vec<u8>,
    found: Vec<Detection>,
}

/// The network, planned for one size of input.
struct Plan {
    width: usize,
    height: usize,
    state: TypedSimpleState,
    input: Arc<Tensor>,
}

impl YunetDetector {
    /// Reads the file and checks that it computes what a YuNet does.
    ///
    /// # Errors
    /// Returns an error when the file can't be read, is no ONNX, or has other inputs or outputs.
    pub fn load(path: &Path, search: Search) -> Result<Self, DetectError> {
        let bytes = fs::read(path).map_err(|e| file_error(path, e))?;
        Self::from_bytes(path, &bytes, search)
    }

    fn from_bytes(path: &Path, bytes: &[u8], search: Search) -> Result<Self, DetectError> {
        // tract panics on some damaged files instead of returning an error
        catch_unwind(|| Self::parse(path, bytes, search))
            .unwrap_or_else(|_| Err(file_error(path, "damaged: tract gave up on it")))
    }

    fn parse(path: &Path, bytes: &[u8], search: Search) -> Result<Self, DetectError> {
        let refuse = |e: TractError| file_error(path, format!("{e:#}"));
        // The published files declare the shapes of one input size; the network has no such limit.
        let onnx = tract_onnx::onnx()
            .with_ignore_output_shapes(true)
            .with_ignore_value_info(true);
        let mut model = onnx
            .model_for_read(&mut Cursor::new(bytes))
            .map_err(refuse)?;
        if model.inputs.len() != 1 {
            let found = model.inputs.len();
            return Err(file_error(
                path,
                format!("{found} inputs, expected one, the picture"),
            ));
        }
        let wanted = decode::output_names();
        if let Some(missing) = wanted
            .iter()
            .find(|name| model.find_outlet_label(name).is_none())
        {
            let found: Vec<_> = model
                .outputs
                .iter()
                .filter_map(|o| model.outlet_label(*o))
                .collect();
            return Err(file_error(
                path,
                format!(
                    "no output `{missing}`; found {}, expected a YuNet's {}",
                    found.join(", "),
                    wanted.join(", ")
                ),
            ));
        }
        // The landmarks aren't used: leaving them out saves their computation.
        model.select_outputs_by_name(&wanted).map_err(refuse)?;
        let mut detector = Self {
            path: path.to_owned(),
            fixed: None,
            model,
            search,
            plan: None,
            scaled: Vec::new(),
            found: Vec::new(),
        };
        detector.probe()?;
        Ok(detector)
    }

    /// Plans once now, so that an unfit file is refused at the start and not at the first face.
    fn probe(&mut self) -> Result<(), DetectError> {
        let Err(error) = self.plan_for(4 * GRID, 3 * GRID) else {
            return Ok(());
        };
        // Some exports have their size written into the graph.
        let Some([width, height]) = self.declared_size() else {
            return Err(error);
        };
        self.fixed = Some([width, height]);
        self.plan_for(width, height).map_err(|_| error)
    }

    /// Width and height of the input as the file declares them.
    fn declared_size(&self) -> Option<[usize; 2]> {
        let fact = self.model.input_fact(0).ok()?;
        let dim = |axis| fact.shape.dim(axis)?.concretize()?.to_usize().ok();
        let size = [dim(3)?, dim(2)?];
        let fits = |side: &usize| side.is_multiple_of(GRID) && (GRID..=MAX_INPUT).contains(side);
        size.iter().all(fits).then_some(size)
    }

    fn plan_for(&mut self, width: usize, height: usize) -> Result<(), DetectError> {
        if self
            .plan
            .as_ref()
            .is_some_and(|p| (p.width, p.height) == (width, height))
        {
            return Ok(());
        }
        self.plan = None;
        let refuse = |e: TractError| file_error(&self.path, format!("{e:#}"));
        let shape = [1, 3, height, width];
        let model = self
            .model
            .clone()
            .with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))
            .and_then(InferenceModelExt::into_optimized)
            .map_err(refuse)?;
        for (index, name) in decode::output_names().iter().enumerate() {
            let expected = decode::output_len(index, width, height);
            let fact = model.output_fact(index).map_err(refuse)?;
            let len = fact.shape.volume().to_usize().ok();
            if len != Some(expected) || fact.datum_type != f32::datum_type() {
                return Err(file_error(
                    &self.path,
                    format!(
                        "output `{name}` is {fact:?}, expected {expected} 32-bit floats for an input of {width}x{height}"
                    ),
                ));
            }
        }
        self.plan = Some(Plan {
            width,
            height,
            state: model
                .into_runnable()
                .and_then(|plan| plan.spawn())
                .map_err(refuse)?,
            input: Arc::new(Tensor::zero::<f32>(&shape).map_err(refuse)?),
        });
        Ok(())
    }

    /// Factor from the frame to the network's input, and the size of that input.
    fn input_size(&self, width: usize, height: usize) -> (f32, usize, usize) {
        let (w, h) = (width as f32, height as f32);
        if let Some([fixed_width, fixed_height]) = self.fixed {
            let scale = (fixed_width as f32 / w).min(fixed_height as f32 / h);
            return (scale, fixed_width, fixed_height);
        }
        let scale = (FACE / self.search.smallest(width, height))
            .min(1.0)
            .min(MAX_INPUT as f32 / w.max(h));
        let side = |length: f32| {
            ((length * scale).ceil() as usize)
                .next_multiple_of(GRID)
                .max(GRID)
        };
        (scale, side(w), side(h))
    }
}

impl Detector for YunetDetector {
    fn framing(&self) -> Framing {
        Framing::Face
    }

    fn detect(
        &mut self,
        frame: GrayView<'_>,
        faces: &mut Vec<Detection>,
    ) -> Result<(), DetectError> {
        faces.clear();
        let (width, height) = (frame.width(), frame.height());
        let (scale, input_width, input_height) = self.input_size(width, height);
        self.plan_for(input_width, input_height)?;
        let scaled =
            |length: usize, most| ((length as f32 * scale).round() as usize).clamp(1, most);
        let (scaled_width, scaled_height) =
            (scaled(width, input_width), scaled(height, input_height));
        self.scaled.resize(scaled_width * scaled_height, 0);
        resize(frame, scaled_width, scaled_height, &mut self.scaled);

        let Some(plan) = &mut self.plan else {
            return Ok(());
        };
        let (picture, found, min_score) = (&self.scaled, &mut self.found, self.search.min_score);
        found.clear();
        let run = AssertUnwindSafe(|| plan.run(picture, scaled_width, min_score, found));
        match catch_unwind(run) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(file_error(&self.path, format!("{error:#}"))),
            Err(_) => {
                self.plan = None;
                return Err(DetectError::Panicked { width, height });
            }
        }
        suppress(&mut self.found, faces);
        let (x, y) = (
            width as f32 / scaled_width as f32,
            height as f32 / scaled_height as f32,
        );
        for face in faces {
            face.rect.x *= x;
            face.rect.width *= x;
            face.rect.y *= y;
            face.rect.height *= y;
        }
        Ok(())
    }
}

impl Plan {
    /// Puts the picture into the top left corner of the input, the rest black, and runs the network.
    fn run(
        &mut self,
        picture: &[u8],
        stride: usize,
        min_score: f32,
        found: &mut Vec<Detection>,
    ) -> TractResult<()> {
        let input = Arc::make_mut(&mut self.input);
        let mut ram = input.try_as_plain_ram_mut()?;
        let values = ram.as_slice_mut::<f32>()?;
        // Blue, green and red of a grey picture are the same plane, 0 to 255.
        let (blue, others) = values.split_at_mut(self.width * self.height);
        for (row, line) in blue
            .chunks_exact_mut(self.width)
            .zip(picture.chunks_exact(stride))
        {
            for (value, &pixel) in row.iter_mut().zip(line) {
                *value = f32::from(pixel);
            }
        }
        for plane in others.chunks_exact_mut(self.width * self.height) {
            plane.copy_from_slice(blue);
        }
        let outputs = self
            .state
            .run(tvec!(TValue::from_const(Arc::clone(&self.input))))?;
        let views: Vec<_> = outputs.iter().map(|value| value.view()).collect();
        for (level, stride) in STRIDES.into_iter().enumerate() {
            let of = |kind: usize| views[kind * STRIDES.len() + level].as_slice::<f32>();
            let boxes = Boxes {
                stride,
                columns: self.width / stride,
                class: of(0)?,
                object: of(1)?,
                offsets: of(2)?,
            };
            boxes.decode(min_score, found);
        }
        Ok(())
    }
}

fn file_error(path: &Path, reason: impl ToString) -> DetectError {
    DetectError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests;
