//! The finer sieves: small networks that say whether a window is a face, and where in it the face is.
//!
//! Each output's products are added in the order of the inputs, as whoever trained the thresholds did; vectors go over
//! outputs instead, which needs the weights in another order than the file's.

use crate::surf::{Features, Slopes};
use crate::window::Patch;

/// Outputs worked out at once: enough sums in flight to hide how long an addition takes.
const LANES: usize = 32;

/// A network and the features that it reads.
#[derive(Debug)]
pub(crate) struct Mlp {
    pub(crate) features: Features,
    /// Scores up to this are no face.
    pub(crate) threshold: f32,
    pub(crate) hidden: Vec<Layer>,
    pub(crate) last: Layer,
}

/// What a network says of a face, each between 0 and 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) score: f32,
    /// How far right and down of the window the face is, and how much larger; 0.5 is not at all.
    pub(crate) shift: [f32; 3],
}

/// Outputs of a network.
pub(crate) const OUTPUTS: usize = 4;

/// Weights and biases, [`LANES`] outputs together, the last filled up with zeros.
#[derive(Debug)]
pub(crate) struct Layer {
    inputs: usize,
    outputs: usize,
    /// Blocks of inputs of lanes.
    weights: Vec<[f32; LANES]>,
    biases: Vec<[f32; LANES]>,
}

impl Layer {
    /// From the file's order: each output's weights one after another.
    pub(crate) fn new(inputs: usize, weights: &[f32], biases: &[f32]) -> Self {
        let blocks = biases.len().div_ceil(LANES);
        let mut layer = Self {
            inputs,
            outputs: biases.len(),
            weights: vec![[0.0; LANES]; blocks * inputs],
            biases: vec![[0.0; LANES]; blocks],
        };
        for (output, &bias) in biases.iter().enumerate() {
            let (block, lane) = (output / LANES, output % LANES);
            layer.biases[block][lane] = bias;
            let row = &weights[output * inputs..][..inputs];
            let block = &mut layer.weights[block * inputs..][..inputs];
            for (lanes, &weight) in block.iter_mut().zip(row) {
                lanes[lane] = weight;
            }
        }
        layer
    }

    /// The sums, before any function bends them.
    fn run(&self, input: &[f32], output: &mut Vec<f32>) {
        output.clear();
        for (weights, biases) in self.weights.chunks_exact(self.inputs).zip(&self.biases) {
            let mut sums = [0.0; LANES];
            for (weights, &input) in weights.iter().zip(input) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += input * weight;
                }
            }
            for (sum, bias) in sums.iter_mut().zip(biases) {
                *sum += bias;
            }
            output.extend_from_slice(&sums);
        }
        output.truncate(self.outputs);
    }
}

/// What networks need beside their weights; keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    slopes: Slopes,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Mlp {
    /// Looks at a window; `None` where it is no face.
    pub(crate) fn judge(&self, patch: &Patch, scratch: &mut Scratch) -> Option<Verdict> {
        let Scratch {
            slopes,
            input,
            output,
        } = scratch;
        input.resize(self.features.len(), 0.0);
        slopes.describe(patch, &self.features, input);
        for layer in &self.hidden {
            layer.run(input, output);
            std::mem::swap(input, output);
            for number in input.iter_mut() {
                // Not f32::max: what is not a number becomes 0 here.
                *number = if *number > 0.0 { *number } else { 0.0 };
            }
        }
        self.last.run(input, output);
        let &[score, ref shift @ ..] = output.first_chunk::<OUTPUTS>()?;
        let score = logistic(score);
        (score > self.threshold).then(|| Verdict {
            score,
            shift: shift.map(logistic),
        })
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
