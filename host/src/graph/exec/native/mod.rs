//! The CPU engine: the graph's own reverse pass over plain buffers. Maps, their gradients, masks, winners,
//! packed weights and parts of weight gradients stay from step to step; what a step allocates anew is
//! small beside them: sums and statistics by channel, tables of a convolution, and the logits it returns.
//!
//! Activations and their gradients lie channels last in a [`Product`] format, `f32` or bfloat16;
//! weights, statistics, sums and logits are `f32` (mixed precision: Micikevicius et al., 2018).

mod backward;
mod buffers;
mod forward;
mod observe;
mod plan;
mod separate;
mod transposed;

use super::{Engine, ExecError, Params, check_len, move_running_stats};
use crate::graph::{Graph, NodeId, Op};
use crate::ops::conv::Packed;
use crate::ops::norm::BatchStats;
use crate::ops::product::Product;
use buffers::Buffers;
use plan::Plan;

pub use observe::{Observation, Observer};
pub use separate::NodeEngine;

/// What a node's backward pass needs besides inputs and outputs.
#[derive(Debug, Default)]
enum Saved {
    #[default]
    Nothing,
    /// Max pooling and maxima over channels: the winners' numbers.
    Winners(Vec<u16>),
    /// Batch normalisation: the batch's statistics.
    Stats(BatchStats),
    /// Batch normalisation outside training or frozen: the running statistics, which no gradient moves.
    Running(BatchStats),
    /// Dropout: the mask.
    Mask(Vec<f32>),
    /// The last inner product: its result before it was rounded.
    Logits(Vec<f32>),
}

impl Saved {
    /// Room for so many winners: that of the last step, where there is some.
    fn into_winners(self, len: usize) -> Vec<u16> {
        let mut room = match self {
            Self::Winners(room) => room,
            _ => Vec::new(),
        };
        room.resize(len, 0);
        room
    }

    /// As [`Saved::into_winners`], for a mask or logits.
    fn into_numbers(self, len: usize) -> Vec<f32> {
        let mut room = match self {
            Self::Mask(room) | Self::Logits(room) => room,
            _ => Vec::new(),
        };
        room.resize(len, 0.0);
        room
    }

    /// The winners of a maximum's forward pass.
    fn winners(&self) -> &[u16] {
        match self {
            Self::Winners(winners) => winners,
            _ => unreachable!("the forward pass saved the winners"),
        }
    }
}

/// Whether a forward pass trains, and with which dropout seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Eval,
    /// As `Eval`, but every output is kept for a backward pass.
    Observe,
    Train {
        seed: u64,
    },
}

/// Runs one graph on the CPU.
#[derive(Debug)]
pub struct NativeEngine<E: Product = f32> {
    graph: Graph,
    plan: Plan,
    buffers: Buffers<E>,
    /// Each node's output, where it has one of its own.
    outputs: Vec<Vec<E>>,
    saved: Vec<Saved>,
    /// Room for each convolution's weights in the order that products read.
    packed: Vec<Packed<E>>,
    /// Parts of weight gradients, one a thread.
    partials: Vec<Vec<f32>>,
    /// Whether a gradient is wanted at each node: where something is trained, there or before.
    wanted: Vec<bool>,
    /// Each node's gradient until the backward pass comes to it.
    grads: Vec<Option<Vec<E>>>,
    /// Images of the last training forward pass, until its backward pass.
    trained_batch: Option<usize>,
}

impl<E: Product> NativeEngine<E> {
    /// Plans the graph.
    pub fn new(graph: Graph) -> Self {
        Self::showing(graph, &[])
    }

    /// Plans the graph so that the outputs of `shown` can be looked at.
    fn showing(graph: Graph, shown: &[NodeId]) -> Self {
        let nodes = graph.nodes().len();
        Self {
            plan: Plan::new(&graph, shown),
            buffers: Buffers::default(),
            outputs: (0..nodes).map(|_| Vec::new()).collect(),
            saved: (0..nodes).map(|_| Saved::Nothing).collect(),
            packed: (0..nodes).map(|_| Packed::default()).collect(),
            partials: Vec::new(),
            wanted: Vec::new(),
            grads: Vec::new(),
            trained_batch: None,
            graph,
        }
    }

    fn numbers(&self, id: NodeId, batch: usize) -> usize {
        batch * self.graph.shape(id).iter().product::<usize>()
    }

    /// The buffer that holds a node's output.
    fn output(&self, id: NodeId) -> &[E] {
        &self.outputs[self.plan.holder(id).0]
    }

    fn logits(&self) -> Vec<f32> {
        let last = self.graph.output();
        if let Saved::Logits(logits) = &self.saved[last.0] {
            return logits.clone();
        }
        let mut rows: Vec<f32> = self.output(last).iter().map(|v| v.to_f32()).collect();
        if let Op::Concat = self.graph.node(last).op {
            // logits with something behind them: the inner product still knows what was rounded here
            let width = self.graph.classes();
            let mut at = 0;
            for input in &self.graph.node(last).inputs {
                let part: usize = self.graph.shape(*input).iter().product();
                if let Saved::Logits(exact) = &self.saved[input.0] {
                    let images = rows.chunks_exact_mut(width);
                    for (row, exact) in images.zip(exact.chunks_exact(part)) {
                        row[at..at + part].copy_from_slice(exact);
                    }
                }
                at += part;
            }
        }
        rows
    }

    /// Gives every output back for reuse.
    fn clear(&mut self) {
        for output in &mut self.outputs {
            self.buffers.give(std::mem::take(output));
        }
        self.trained_batch = None;
    }
}

impl<E: Product> Engine for NativeEngine<E> {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn infer(
        &mut self,
        params: &Params,
        pixels: &[f32],
        batch: usize,
    ) -> Result<Vec<f32>, ExecError> {
        self.clear();
        self.run(params, pixels, batch, Mode::Eval)?;
        let logits = self.logits();
        self.clear();
        Ok(logits)
    }

    fn forward(
        &mut self,
        params: &mut Params,
        pixels: &[f32],
        batch: usize,
        seed: u64,
    ) -> Result<Vec<f32>, ExecError> {
        self.clear();
        self.run(params, pixels, batch, Mode::Train { seed })?;
        for (id, node) in self.graph.iter() {
            if let (Op::BatchNorm { .. }, Saved::Stats(stats)) = (&node.op, &self.saved[id.0]) {
                let (_, pixels) = plan::layout(self.graph.shape(id));
                let [_, _, mean, var] = params.of_mut(id) else {
                    unreachable!("a batch normalisation has four tensors")
                };
                move_running_stats(
                    [&mut mean.value, &mut var.value],
                    &stats.mean,
                    &stats.variance,
                    batch * pixels,
                );
            }
        }
        self.trained_batch = Some(batch);
        Ok(self.logits())
    }

    fn backward(&mut self, params: &mut Params, dlogits: &[f32]) -> Result<(), ExecError> {
        let batch = self.trained_batch.ok_or(ExecError::NoForward)?;
        check_len(
            "logit gradient",
            dlogits.len(),
            batch * self.graph.classes(),
        )?;
        self.reverse(params, dlogits, batch);
        self.clear();
        Ok(())
    }
}
