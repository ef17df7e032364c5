//! Running a graph forward and backward.
//!
//! Two engines stand behind one trait: [`NativeEngine`] on the CPU, with the kernels of
//! [`crate::ops`] and buffers that are reused from step to step, and [`CandleEngine`], which spells
//! the same operators in candle's and so runs wherever candle runs. The numbers that are trained lie
//! in [`Params`], outside both, so that optimiser, checkpoints and averages exist once.

mod candle;
mod native;
mod params;

pub use candle::CandleEngine;
pub use native::{NativeEngine, NodeEngine, Observation, Observer};
pub use params::{Param, Params};

use super::{Graph, NodeId};
use crate::ops::dropout;
use crate::ops::element::{Bf16, Element};
use serde::{Deserialize, Serialize};

/// PyTorch's momentum of the running statistics: the share of the newest batch.
const NORM_MOMENTUM: f32 = 0.1;

/// What can go wrong when a graph runs.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// Pixels or gradients of another length than the batch needs.
    #[error("{what}: {found} numbers, expected {expected}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Numbers given.
        found: usize,
        /// Numbers that the batch needs.
        expected: usize,
    },
    /// `backward` without a `forward` before it.
    #[error("backward was called before forward")]
    NoForward,
    /// The device said no.
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

/// What activations and their gradients are stored and multiplied as on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits everywhere.
    #[default]
    F32,
    /// bfloat16 activations and products, sums and weights in 32 bits; needs a processor with AMX or AVX-512 BF16.
    Bf16,
}

impl Precision {
    /// This precision where the processor multiplies it at full speed, else `f32`.
    #[must_use]
    pub fn or_f32(self) -> Self {
        match self {
            Self::Bf16 if !Bf16::is_fast() => Self::F32,
            precision => precision,
        }
    }

    /// The CPU engine for `graph` in this precision, or in `f32` where the processor has no other.
    #[must_use]
    pub fn engine(self, graph: Graph) -> Box<dyn Engine> {
        match self.or_f32() {
            Self::F32 => Box::new(NativeEngine::<f32>::new(graph)),
            Self::Bf16 => Box::new(NativeEngine::<Bf16>::new(graph)),
        }
    }
}

/// Something that runs one graph.
pub trait Engine {
    /// The graph it runs.
    fn graph(&self) -> &Graph;

    /// Logits `[batch, classes]` of `pixels [batch, channels, height, width]` in evaluation mode:
    /// running statistics, no dropout.
    ///
    /// # Errors
    /// When the length does not fit the batch or the device fails.
    fn infer(
        &mut self,
        params: &Params,
        pixels: &[f32],
        batch: usize,
    ) -> Result<Vec<f32>, ExecError>;

    /// Logits in training mode: batch statistics, which also move the running ones, and dropout drawn
    /// from `seed`. Keeps what [`Engine::backward`] needs.
    ///
    /// # Errors
    /// When the length does not fit the batch or the device fails.
    fn forward(
        &mut self,
        params: &mut Params,
        pixels: &[f32],
        batch: usize,
        seed: u64,
    ) -> Result<Vec<f32>, ExecError>;

    /// Fills the gradients in `params` from the loss gradient `[batch, classes]` of the last
    /// [`Engine::forward`].
    ///
    /// # Errors
    /// When there was no forward pass, the length does not fit or the device fails.
    fn backward(&mut self, params: &mut Params, dlogits: &[f32]) -> Result<(), ExecError>;
}

fn check_len(what: &'static str, found: usize, expected: usize) -> Result<(), ExecError> {
    if found == expected {
        Ok(())
    } else {
        Err(ExecError::Length {
            what,
            found,
            expected,
        })
    }
}

/// Draws a node's dropout mask: the same for every engine.
fn draw_mask(p: f32, seed: u64, node: NodeId, mask: &mut [f32]) {
    dropout::draw(p, seed, node.0 as u64, mask);
}

/// Moves running statistics towards those of a batch of `count` values a channel.
fn move_running_stats(
    [running_mean, running_var]: [&mut [f32]; 2],
    mean: &[f32],
    variance: &[f32],
    count: usize,
) {
    // PyTorch keeps the unbiased variance
    let unbias = count as f32 / (count.max(2) - 1) as f32;
    for (running, &batch) in running_mean.iter_mut().zip(mean) {
        *running += NORM_MOMENTUM * (batch - *running);
    }
    for (running, &batch) in running_var.iter_mut().zip(variance) {
        *running += NORM_MOMENTUM * (batch * unbias - *running);
    }
}

#[cfg(test)]
mod tests;
