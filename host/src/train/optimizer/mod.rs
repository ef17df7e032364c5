//! The optimiser: one pass over the numbers, with everything that acts on gradients: clipping, sparsity,
//! penalties, weight decay, momentum or the adaptive rules, and the running average of weights.

mod options;
mod rule;

use std::borrow::Cow;

use rayon::prelude::*;

pub use options::{Betas, Clip, OptimizerOptions, Rule, RuleName};

use self::rule::{Bent, Step};
use super::penalty::Penalty;
use crate::graph::Role;
use crate::graph::exec::{Param, Params};
use crate::ops::lanes;
use crate::ops::norm::at_least;

/// The state that goes with a set of parameters.
#[derive(Clone, Debug)]
pub struct Optimizer {
    options: OptimizerOptions,
    penalty: Penalty,
    /// For each parameter the velocity or the mean of gradients; empty for what is not trained.
    pub(super) first: Vec<Vec<f32>>,
    /// For each parameter the mean of squared gradients; empty for SGD and for what is not trained.
    pub(super) second: Vec<Vec<f32>>,
    /// The running average of every tensor, statistics too; empty when `ema` is 0.
    pub(super) average: Vec<Vec<f32>>,
    /// Updates so far: a young average is corrected towards its first values, and so are the means.
    pub(super) updates: u64,
}

/// Numbers that one task updates.
pub(super) const BLOCK: usize = 1 << 14;

impl Optimizer {
    /// A fresh state for what is trained of `params`.
    pub fn new(options: OptimizerOptions, params: &Params) -> Self {
        let average = if options.ema > 0.0 {
            params.iter().map(|p| p.value.clone()).collect()
        } else {
            Vec::new()
        };
        let zeros = |wanted: bool| {
            let len = |p: &Param| {
                if wanted && p.trained() {
                    p.value.len()
                } else {
                    0
                }
            };
            params.iter().map(|p| vec![0.0; len(p)]).collect()
        };
        Self {
            options,
            penalty: Penalty::default(),
            first: zeros(true),
            second: zeros(options.rule.betas().is_some()),
            average,
            updates: 0,
        }
    }

    /// Adds the gradient of `penalty` at every step, after clipping.
    #[must_use]
    pub fn with_penalty(mut self, penalty: Penalty) -> Self {
        self.penalty = penalty;
        self
    }

    /// Moves every trained parameter one step of length `rate` along its gradient.
    pub fn step(&mut self, params: &mut Params, rate: f32) {
        let o = self.options;
        let scale = match o.clip {
            // a gradient that is no number spoils the weights, and the next loss says so
            Clip::Norm(bound) => match bound / at_least(gradient_norm(params), 1e-12) {
                scale if scale > 1.0 => 1.0,
                scale => scale,
            },
            Clip::None | Clip::Value(_) => 1.0,
        };
        let bound = match o.clip {
            Clip::Value(bound) => bound,
            Clip::None | Clip::Norm(_) => f32::INFINITY,
        };
        let decay = if o.rule.decouples_decay() {
            0.0
        } else {
            o.weight_decay
        };
        self.updates += 1;
        let step = Step::at(&o, self.updates, rate);
        // as TensorFlow's moving averages: young averages follow faster
        let ema = o
            .ema
            .min((1 + self.updates) as f32 / (10 + self.updates) as f32);
        for (i, param) in params.iter_mut().enumerate() {
            if param.frozen {
                continue;
            }
            if param.trained() {
                let [l1, l2] = self.penalty.slopes(param);
                let sparsity = if param.role == Role::NormScale {
                    o.sparsity
                } else {
                    0.0
                };
                let bent = Bent {
                    scale,
                    bound,
                    l1: sparsity + l1,
                    l2: decay + l2,
                };
                let numbers = param
                    .value
                    .par_chunks_mut(BLOCK)
                    .zip(param.grad.par_chunks(BLOCK))
                    .zip(self.first[i].par_chunks_mut(BLOCK));
                let second = &mut self.second[i];
                if second.is_empty() {
                    numbers.for_each(|((p, g), m)| step.apply(bent, p, g, m, &mut []));
                } else {
                    numbers
                        .zip(second.par_chunks_mut(BLOCK))
                        .for_each(|(((p, g), m), v)| step.apply(bent, p, g, m, v));
                }
            }
            if let Some(average) = self.average.get_mut(i) {
                average
                    .par_chunks_mut(BLOCK)
                    .zip(param.value.par_chunks(BLOCK))
                    .for_each(|(average, value)| {
                        for (a, &v) in average.iter_mut().zip(value) {
                            *a += (1.0 - ema) * (v - *a);
                        }
                    });
            }
        }
    }

    /// The parameters to evaluate and ship: the running average where one is kept.
    pub fn evaluated<'a>(&self, params: &'a Params) -> Cow<'a, Params> {
        if self.average.is_empty() {
            Cow::Borrowed(params)
        } else {
            Cow::Owned(params.with_values(&self.average))
        }
    }
}

/// Euclidean length of the whole gradient.
pub(super) fn gradient_norm(params: &Params) -> f32 {
    let square = |p: &Param| f64::from(lanes::sum(&p.grad, |g| g * g));
    params.iter().map(square).sum::<f64>().sqrt() as f32
}

#[cfg(test)]
mod tests;
