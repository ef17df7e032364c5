//! Cross-layer equalisation (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
//! Correction", 2019): a channel may be scaled in one layer and scaled back in the next, as long as only
//! operators lie between that commute with a positive factor.

use super::network::prepared;
use crate::graph::{Graph, Network, NodeId, Op};

/// Rounds over all pairs; the factors settle in a few.
const ROUNDS: usize = 10;
/// A factor beyond this is not applied at once: a channel that is all but dead needs no rescue.
const LARGEST_FACTOR: f64 = 1e3;

/// The same function with weights of neighbouring layers brought to the same range, channel by channel:
/// after it the range of a channel's weights on the way out of one layer equals that on the way into
/// the next. The network is folded first, and its convolutions get biases.
pub fn equalize(network: &Network) -> Network {
    let mut network = prepared(network);
    let pairs = pairs(&network.graph);
    for _ in 0..ROUNDS {
        for &(first, second) in &pairs {
            equalize_pair(&mut network, first, second);
        }
    }
    network
}

/// Layers of which the second alone reads what the first gives.
fn pairs(graph: &Graph) -> Vec<(NodeId, NodeId)> {
    let consumers = graph.consumers();
    let follow = |start: NodeId| {
        let mut at = start;
        loop {
            let &[reader] = &consumers[at.0][..] else {
                return None;
            };
            match graph.node(reader).op {
                Op::Conv2d(_) | Op::Linear { .. } => return Some((start, reader)),
                Op::Relu
                | Op::MaxPool(_)
                | Op::AvgPool(_)
                | Op::GlobalAvgPool
                | Op::Flatten
                | Op::Dropout { .. } => at = reader,
                _ => return None,
            }
        }
    };
    let layers = graph
        .iter()
        .filter(|(_, node)| matches!(node.op, Op::Conv2d(_)));
    layers.filter_map(|(id, _)| follow(id)).collect()
}

fn equalize_pair(network: &mut Network, first: NodeId, second: NodeId) {
    let graph = &network.graph;
    let channels = graph.shape(first)[0];
    let [out, into] = [first, second].map(|id| format!("{}.weight", graph.node(id).name));
    let bias = format!("{}.bias", graph.node(first).name);
    let columns = Columns::of(&graph.node(second).op, channels);
    let weights = &mut network.weights;
    let leaving = weights[&out].data();
    let depth = leaving.len() / channels;
    let mut entering = vec![0f64; channels];
    for (at, &w) in weights[&into].data().iter().enumerate() {
        let largest = &mut entering[columns.channel(at)];
        *largest = largest.max(f64::from(w.abs()));
    }
    let largest = |filter: &[f32]| filter.iter().fold(0f64, |l, w| l.max(f64::from(w.abs())));
    let factors: Vec<f64> = leaving
        .chunks_exact(depth)
        .zip(&entering)
        .map(|(filter, &into)| {
            let factor = (largest(filter) / into).sqrt();
            let sane = (1.0 / LARGEST_FACTOR..=LARGEST_FACTOR).contains(&factor);
            if sane { factor } else { 1.0 }
        })
        .collect();
    let scaled = |w: &mut f32, by: f64| *w = (f64::from(*w) * by) as f32;
    for name in [&out, &bias] {
        let data = weights.get_mut(name).expect("checked").data_mut();
        let each = data.len() / channels;
        for (row, factor) in data.chunks_exact_mut(each).zip(&factors) {
            row.iter_mut().for_each(|w| scaled(w, 1.0 / factor));
        }
    }
    let data = weights.get_mut(&into).expect("checked").data_mut();
    for (at, w) in data.iter_mut().enumerate() {
        scaled(w, factors[columns.channel(at)]);
    }
}

/// Which input channel each weight of a layer multiplies.
struct Columns {
    /// Weights that one channel has in a row.
    each: usize,
    /// Channels of a group.
    inputs: usize,
    /// Weights of a group.
    group: usize,
}

impl Columns {
    fn of(op: &Op, channels: usize) -> Self {
        match op {
            Op::Conv2d(conv) => {
                let (each, inputs) = (conv.kernel.iter().product(), conv.inputs / conv.groups);
                Self {
                    each,
                    inputs,
                    group: conv.outputs / conv.groups * inputs * each,
                }
            }
            Op::Linear { inputs, outputs } => Self {
                // a flattened map: the pixels of a channel lie together
                each: inputs / channels,
                inputs: channels,
                group: inputs * outputs,
            },
            _ => unreachable!("`pairs` ends at a layer with weights"),
        }
    }

    fn channel(&self, weight: usize) -> usize {
        weight / self.group * self.inputs + weight / self.each % self.inputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::{engine_logits, lively, pixels};
    use crate::graph::build::{Architecture, GraphBuilder, NAMES, build};
    use crate::graph::{Conv2d, Pool};

    #[test]
    fn the_function_stays_the_same() {
        for name in NAMES {
            let arch = Architecture::small(name).unwrap();
            let network = lively(build(&arch, 7).unwrap(), 3);
            let pixels = pixels(&network, 3);
            let before = engine_logits(&network, &pixels, 3);
            let equal = equalize(&network);
            if name.starts_with("vgg") || name.starts_with("resnet") {
                assert_ne!(prepared(&network), equal, "{name}");
            }
            for (a, b) in before.iter().zip(engine_logits(&equal, &pixels, 3)) {
                assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{name}: {a} {b}");
            }
        }
    }

    /// conv, ReLU, depthwise conv, ReLU, pool, flatten, linear.
    fn chain() -> Network {
        let conv = Conv2d::square(2, 6, 3);
        let depthwise = Conv2d {
            inputs: 6,
            groups: 6,
            ..conv
        };
        let pool = Pool::new(2, 2);
        let (mut b, x) = GraphBuilder::new([2, 4, 4]);
        let x = b.conv("first", x, conv);
        let x = b.relu("relu", x);
        let x = b.conv("depthwise", x, depthwise);
        let x = b.relu("relu2", x);
        let x = b.push("max", Op::MaxPool(pool), &[x]);
        let x = b.push("flat", Op::Flatten, &[x]);
        b.linear("head", x, 24, 3);
        lively(b.finish("chain").unwrap(), 8)
    }

    #[test]
    fn each_channel_leaves_one_layer_as_wide_as_it_enters_the_next() {
        let equal = equalize(&chain());
        let pairs = pairs(&equal.graph);
        assert_eq!(pairs.len(), 2);
        for (first, second) in pairs {
            let weight =
                |id| equal.weights[&format!("{}.weight", equal.graph.node(id).name)].data();
            let leaving = weight(first).chunks(weight(first).len() / 6);
            let columns = Columns::of(&equal.graph.node(second).op, 6);
            for (channel, filter) in leaving.enumerate() {
                let out = filter.iter().fold(0f32, |l, w| l.max(w.abs()));
                let weights = weight(second).iter().enumerate();
                let own = weights.filter(|(at, _)| columns.channel(*at) == channel);
                let into = own.fold(0f32, |l, (_, w)| l.max(w.abs()));
                assert!((out / into - 1.0).abs() < 0.01, "{channel}: {out} {into}");
            }
        }
    }
}
