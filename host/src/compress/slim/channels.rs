//! Which channels of a graph have to be cut together, and which may be cut at all.
//!
//! Every node's output channels belong to classes. An ordinary convolution or linear layer starts new
//! ones; everything that works on each channel alone hands them on; `Add`, `Mul` and `Beside` unite those of
//! their sides, because a sum or product has one channel count. A class is cut everywhere or
//! nowhere.
//!
//! Cutting must not change what the other channels see. Channels meet only where a convolution or
//! linear layer mixes them, so a class is prunable when each of its channels is exactly zero at every
//! such place once γ and β of the class's BatchNorms are zero. That is decided by following zeros
//! through the graph: BatchNorm makes one; ReLU, pooling and dropout keep it; a sum is zero when both
//! sides are, a product when one is; `sigmoid(0)` is not, nor is a convolution's own output. Mean, maximum and
//! softmax over the channels count a zero as a channel, so what they read is never cut.

use super::keep::Keep;
use super::sets::Sets;
use crate::graph::{Conv2d, Graph, Node, NodeId, Op};

/// How a convolution joins its channels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mixing {
    /// Every output sees every input.
    Full,
    /// Output `i` sees input `i` alone.
    Depthwise,
    /// Outputs see one block of inputs: the blocks' sizes are tied to positions, so no channel of
    /// either side may be cut.
    Blocks,
}

impl Mixing {
    pub(super) fn of(conv: &Conv2d) -> Self {
        if conv.groups == 1 {
            Self::Full
        } else if conv.groups == conv.inputs && conv.groups == conv.outputs {
            Self::Depthwise
        } else {
            Self::Blocks
        }
    }
}

/// The channel classes of a graph.
#[derive(Clone, Debug)]
pub struct Channels {
    of: Vec<Vec<usize>>,
    prunable: Vec<bool>,
}

impl Channels {
    /// Finds the classes of a graph, numbered in the order of their first channels.
    pub fn of(graph: &Graph) -> Self {
        let mut sets = Sets::default();
        let ids = tie(graph, &mut sets);
        let mut number = vec![None; sets.len()];
        let mut count = 0;
        let mut class = |id: usize| {
            *number[sets.root(id)].get_or_insert_with(|| {
                count += 1;
                count - 1
            })
        };
        let of: Vec<Vec<usize>> = ids
            .iter()
            .map(|ids| ids.iter().map(|&id| class(id)).collect())
            .collect();
        let prunable = prunable(graph, &of, count);
        Self { of, prunable }
    }

    /// How many classes there are.
    pub fn count(&self) -> usize {
        self.prunable.len()
    }

    /// Class of each channel (or feature) that a node gives.
    ///
    /// # Panics
    /// When the id is of another graph.
    pub fn classes(&self, node: NodeId) -> &[usize] {
        &self.of[node.0]
    }

    /// Whether a class may be cut.
    ///
    /// # Panics
    /// When there is no such class.
    pub fn is_prunable(&self, class: usize) -> bool {
        self.prunable[class]
    }

    /// The channels left at every node when the classes marked in `cut` go; classes that are not
    /// prunable stay.
    ///
    /// # Panics
    /// When `cut` does not have one entry a class.
    pub fn keep(&self, cut: &[bool]) -> Keep {
        assert_eq!(cut.len(), self.count(), "one entry a class");
        let stays = |&class: &usize| !(cut[class] && self.prunable[class]);
        let masks = self.of.iter();
        Keep::new(masks.map(|of| of.iter().map(stays).collect()).collect())
    }
}

/// Gives every node's channels ids and unites those that stand and fall together.
fn tie(graph: &Graph, sets: &mut Sets) -> Vec<Vec<usize>> {
    let mut ids: Vec<Vec<usize>> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let input = |i: usize| &ids[node.inputs[i].0];
        let here = match &node.op {
            Op::Input { shape } => sets.grow(shape[0]),
            Op::Linear { outputs, .. } => sets.grow(*outputs),
            Op::Conv2d(conv) if Mixing::of(conv) == Mixing::Depthwise => input(0).clone(),
            Op::Conv2d(conv) => sets.grow(conv.outputs),
            Op::ConvTranspose2d(conv) => sets.grow(conv.outputs),
            Op::ChannelMean | Op::ChannelMax => sets.grow(1),
            // one channel that is repeated over the others is tied to none of them
            Op::Mul if input(0).len() != input(1).len() => {
                let wide = usize::from(input(0).len() < input(1).len());
                input(wide).clone()
            }
            Op::Add | Op::Mul | Op::Beside => {
                for i in 1..node.inputs.len() {
                    for (&a, &b) in input(0).iter().zip(input(i)) {
                        sets.unite(a, b);
                    }
                }
                input(0).clone()
            }
            op => hand_on(op, graph, node, &ids),
        };
        ids.push(here);
    }
    ids
}

/// What a node gives that works on each channel alone, from what it reads: the same channels, those of
/// several maps one behind the other, or each as often as its map has pixels.
fn hand_on<T: Copy>(op: &Op, graph: &Graph, node: &Node, given: &[Vec<T>]) -> Vec<T> {
    match op {
        Op::Concat => {
            let parts = node.inputs.iter();
            parts.flat_map(|id| given[id.0].iter().copied()).collect()
        }
        Op::Flatten => {
            let pixels: usize = graph.shape(node.inputs[0])[1..].iter().product();
            let channels = given[node.inputs[0].0].iter();
            channels
                .flat_map(|&c| std::iter::repeat_n(c, pixels))
                .collect()
        }
        _ => given[node.inputs[0].0].clone(),
    }
}

/// Which of `count` classes can be cut without a trace.
fn prunable(graph: &Graph, of: &[Vec<usize>], count: usize) -> Vec<bool> {
    let silent = silent(graph, of);
    let mut pinned = vec![false; count];
    let mut scaled = vec![false; count];
    let pin = |pinned: &mut [bool], classes: &[usize]| {
        classes.iter().for_each(|&class| pinned[class] = true);
    };
    for (id, node) in graph.iter() {
        match &node.op {
            Op::Input { .. } => pin(&mut pinned, &of[id.0]),
            Op::BatchNorm { .. } => of[id.0].iter().for_each(|&class| scaled[class] = true),
            Op::Conv2d(conv) if Mixing::of(conv) == Mixing::Depthwise => {}
            Op::Conv2d(conv) if Mixing::of(conv) == Mixing::Blocks => {
                pin(&mut pinned, &of[node.inputs[0].0]);
                pin(&mut pinned, &of[id.0]);
            }
            Op::ChannelMean | Op::ChannelMax | Op::Softmax => {
                pin(&mut pinned, &of[node.inputs[0].0]);
            }
            Op::Conv2d(_) | Op::ConvTranspose2d(_) | Op::Linear { .. } => {
                let read = node.inputs[0].0;
                for (&class, &silent) in of[read].iter().zip(&silent[read]) {
                    pinned[class] |= !silent;
                }
            }
            _ => {}
        }
    }
    pin(&mut pinned, &of[graph.output().0]);
    let both = pinned.iter().zip(&scaled);
    both.map(|(&pinned, &scaled)| scaled && !pinned).collect()
}

/// For each channel of each node: whether it is exactly zero, whatever the image, once γ and β of its
/// class are zero.
fn silent(graph: &Graph, of: &[Vec<usize>]) -> Vec<Vec<bool>> {
    let mut silent: Vec<Vec<bool>> = Vec::with_capacity(of.len());
    for (id, node) in graph.iter() {
        let channels = of[id.0].len();
        let input = |i: usize| &silent[node.inputs[i].0];
        // of a side with one channel, that one
        let side = |i: usize, channel: usize| input(i)[channel.min(input(i).len() - 1)];
        let here = match &node.op {
            Op::BatchNorm { .. } => vec![true; channels],
            Op::Conv2d(conv) if Mixing::of(conv) == Mixing::Depthwise && !conv.bias => {
                input(0).clone()
            }
            Op::Input { .. }
            | Op::Conv2d(_)
            | Op::ConvTranspose2d(_)
            | Op::Linear { .. }
            | Op::Sigmoid
            | Op::ChannelMean
            | Op::ChannelMax
            | Op::Softmax => vec![false; channels],
            Op::Add | Op::Beside => (0..channels)
                .map(|c| (0..node.inputs.len()).all(|i| side(i, c)))
                .collect(),
            Op::Mul => (0..channels).map(|c| side(0, c) || side(1, c)).collect(),
            op => hand_on(op, graph, node, &silent),
        };
        silent.push(here);
    }
    silent
}
