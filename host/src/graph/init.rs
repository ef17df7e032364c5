//! Fresh weights, drawn as PyTorch draws them by default.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Array, Graph, Network, Op, Role, Weights};

/// Draws weights and biases uniformly in ±1/√fan-in (PyTorch's `kaiming_uniform` with a = √5), γ = 1,
/// β = 0, running mean 0 and variance 1. The same seed gives the same bits on every machine.
pub fn fresh(graph: Graph, seed: u64) -> Network {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Weights::new();
    for node in graph.nodes() {
        let fan_in = match &node.op {
            Op::Conv2d(c) => c.inputs / c.groups * c.kernel[0] * c.kernel[1],
            // PyTorch counts the second dimension of the weights, which are the outputs here
            Op::ConvTranspose2d(c) => c.outputs * c.kernel * c.kernel,
            Op::Linear { inputs, .. } => *inputs,
            _ => 1,
        };
        let bound = 1.0 / (fan_in as f32).sqrt();
        for spec in node.tensors() {
            let len = spec.shape.iter().product();
            let values: Vec<f32> = match spec.role {
                Role::Weight | Role::Bias => {
                    (0..len).map(|_| rng.random_range(-bound..bound)).collect()
                }
                Role::NormScale | Role::RunningVar => vec![1.0; len],
                Role::NormShift | Role::RunningMean => vec![0.0; len],
            };
            weights.insert(spec.name, Array::new(spec.shape, values));
        }
    }
    Network { graph, weights }
}
