//! Stochastic gradient descent in one pass over the numbers, with everything that acts on gradients:
//! clipping, sparsity, weight decay, momentum and the running average of weights.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::graph::Role;
use crate::graph::exec::{Param, Params};
use crate::ops::lanes;

/// How gradients are bounded before the update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// Not at all.
    #[default]
    None,
    /// Each number to ±the bound, as the reference (0.1).
    Value(f32),
    /// The whole gradient to this Euclidean length.
    Norm(f32),
}

/// The optimiser's constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Share of the last step that is kept.
    pub momentum: f32,
    /// Pull of every trained number towards zero, added to its gradient as PyTorch does.
    pub weight_decay: f32,
    /// Nesterov's look-ahead.
    pub nesterov: bool,
    /// Bound on the gradients.
    pub clip: Clip,
    /// `s` of network slimming: `s·sign(γ)` is added to every BatchNorm scale's gradient after
    /// clipping (Liu et al., 2017).
    pub sparsity: f32,
    /// Decay of the running average of weights, such as 0.999; 0 keeps none.
    pub ema: f32,
}

impl Default for Sgd {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            weight_decay: 5e-4,
            nesterov: false,
            clip: Clip::None,
            sparsity: 0.0,
            ema: 0.0,
        }
    }
}

/// The state that goes with a set of parameters.
#[derive(Clone, Debug)]
pub struct Optimizer {
    constants: Sgd,
    /// One buffer for each parameter, empty for statistics.
    pub(super) velocity: Vec<Vec<f32>>,
    /// The running average of every tensor, statistics too; empty when `ema` is 0.
    pub(super) average: Vec<Vec<f32>>,
    /// Updates so far: a young average is corrected towards its first values.
    pub(super) updates: u64,
}

/// Numbers that one task updates.
const BLOCK: usize = 1 << 14;

impl Optimizer {
    /// A fresh state.
    pub fn new(constants: Sgd, params: &Params) -> Self {
        let average = if constants.ema > 0.0 {
            params.iter().map(|p| p.value.clone()).collect()
        } else {
            Vec::new()
        };
        Self {
            constants,
            velocity: params.iter().map(|p| vec![0.0; p.grad.len()]).collect(),
            average,
            updates: 0,
        }
    }

    /// Moves every parameter one step of length `rate` along its gradient.
    pub fn step(&mut self, params: &mut Params, rate: f32) {
        let c = self.constants;
        let scale = match c.clip {
            Clip::Norm(bound) => (bound / gradient_norm(params).max(1e-12)).min(1.0),
            Clip::None | Clip::Value(_) => 1.0,
        };
        let bound = match c.clip {
            Clip::Value(bound) => bound,
            Clip::None | Clip::Norm(_) => f32::INFINITY,
        };
        self.updates += 1;
        // as TensorFlow's moving averages: young averages follow faster
        let ema = c
            .ema
            .min((1 + self.updates) as f32 / (10 + self.updates) as f32);
        for (i, param) in params.iter_mut().enumerate() {
            let Param {
                value, grad, role, ..
            } = param;
            let sparsity = if *role == Role::NormScale {
                c.sparsity
            } else {
                0.0
            };
            if role.trained() {
                let update = |((value, grad), velocity): ((&mut [f32], &[f32]), &mut [f32])| {
                    for ((p, &g), v) in value.iter_mut().zip(grad).zip(velocity) {
                        let g = (g * scale).clamp(-bound, bound)
                            + sparsity * sign(*p)
                            + c.weight_decay * *p;
                        *v = c.momentum * *v + g;
                        let along = if c.nesterov { g + c.momentum * *v } else { *v };
                        *p -= rate * along;
                    }
                };
                value
                    .par_chunks_mut(BLOCK)
                    .zip(grad.par_chunks(BLOCK))
                    .zip(self.velocity[i].par_chunks_mut(BLOCK))
                    .for_each(update);
            }
            if let Some(average) = self.average.get_mut(i) {
                average
                    .par_chunks_mut(BLOCK)
                    .zip(value.par_chunks(BLOCK))
                    .for_each(|(average, value)| {
                        for (a, &v) in average.iter_mut().zip(value) {
                            *a += (1.0 - ema) * (v - *a);
                        }
                    });
            }
        }
    }

    /// The parameters to evaluate and ship: the running average where one is kept.
    pub fn evaluated(&self, params: &Params) -> Params {
        let mut params = params.clone();
        for (param, average) in params.iter_mut().zip(&self.average) {
            param.value.copy_from_slice(average);
        }
        params
    }
}

/// `sign` with `sign(0) = 0`, as PyTorch's.
fn sign(v: f32) -> f32 {
    if v > 0.0 {
        1.0
    } else if v < 0.0 {
        -1.0
    } else {
        0.0
    }
}

fn gradient_norm(params: &Params) -> f32 {
    let square = |p: &Param| f64::from(lanes::sum(&p.grad, |g| g * g));
    params.iter().map(square).sum::<f64>().sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::GraphBuilder;
    use crate::graph::{Op, init};

    /// One linear layer of one number each, value 1 and gradient 2; and a scale of 1.
    fn params() -> Params {
        let (mut b, x) = GraphBuilder::new([1, 1, 1]);
        let x = b.norm("norm", x, 1);
        let x = b.push("flatten", Op::Flatten, &[x]);
        b.linear("linear", x, 1, 1);
        let graph = b.finish("one").unwrap();
        let mut params = Params::new(&init::fresh(graph, 1));
        for p in params.iter_mut() {
            p.value.fill(1.0);
            p.grad.fill(2.0);
        }
        params
    }

    fn after(constants: Sgd, steps: usize) -> (f32, f32) {
        let mut p = params();
        let mut sgd = Optimizer::new(constants, &p);
        (0..steps).for_each(|_| sgd.step(&mut p, 0.1));
        let value = |name: &str| p.iter().find(|p| p.name == name).unwrap().value[0];
        (value("linear.weight"), value("norm.weight"))
    }

    fn plain() -> Sgd {
        Sgd {
            momentum: 0.0,
            weight_decay: 0.0,
            ..Sgd::default()
        }
    }

    fn close(a: f32, b: f32) {
        assert!((a - b).abs() < 1e-6, "{a} against {b}");
    }

    #[test]
    fn updates_by_hand() {
        close(after(plain(), 1).0, 0.8);
        let momentum = Sgd {
            momentum: 0.5,
            ..plain()
        };
        // v = 2, then 0.5·2 + 2 = 3
        close(after(momentum, 2).0, 1.0 - 0.2 - 0.3);
        let nesterov = Sgd {
            nesterov: true,
            ..momentum
        };
        close(after(nesterov, 1).0, 1.0 - 0.1 * (2.0 + 0.5 * 2.0));
        let decay = Sgd {
            weight_decay: 0.5,
            ..plain()
        };
        close(after(decay, 1).0, 1.0 - 0.1 * 2.5);
    }

    #[test]
    fn sparsity_is_added_to_scales_after_the_clamp() {
        let constants = Sgd {
            clip: Clip::Value(0.1),
            sparsity: 0.05,
            ..plain()
        };
        let (weight, scale) = after(constants, 1);
        close(weight, 1.0 - 0.1 * 0.1);
        close(scale, 1.0 - 0.1 * (0.1 + 0.05));
    }

    #[test]
    fn norm_clipping_keeps_the_direction() {
        let constants = Sgd {
            clip: Clip::Norm(1.0),
            ..plain()
        };
        // four numbers of gradient 2: length 4, so each becomes 0.5
        close(after(constants, 1).0, 1.0 - 0.1 * 0.5);
    }

    #[test]
    fn the_average_follows_and_is_what_is_evaluated() {
        let mut p = params();
        let constants = Sgd {
            ema: 0.5,
            ..plain()
        };
        let mut sgd = Optimizer::new(constants, &p);
        sgd.step(&mut p, 0.1);
        // young: decay is min(0.5, 2/11)
        let want = 1.0 + (1.0 - 2.0 / 11.0) * (0.8 - 1.0);
        let average = sgd.evaluated(&p);
        close(average.iter().last().unwrap().value[0], want);
    }
}
