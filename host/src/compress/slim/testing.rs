//! Networks for the tests of this module.

use proptest::prelude::*;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::graph::build::{Architecture, GraphBuilder, build};
use crate::graph::exec::{Engine, NativeEngine, Params};
use crate::graph::{Conv2d, ConvTranspose2d, Graph, Network, NodeId, Op, Pool, Role, init};

/// A published architecture at an eighth of its width, one channel of image.
pub(super) fn small(name: &str) -> Graph {
    let arch = Architecture {
        width: 0.125,
        channels: 1,
        ..Architecture::published(name)
    };
    build(&arch, 7).unwrap()
}

/// Random tensors as sparse training leaves them: a third of the γ zero or nearly so, statistics and β
/// anywhere.
pub(super) fn network(graph: Graph, seed: u64) -> Network {
    let mut network = init::fresh(graph, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x51);
    for spec in network.graph.tensors() {
        let values = network.weights.get_mut(&spec.name).unwrap().data_mut();
        for value in values {
            match spec.role {
                // He's variance, so that deep networks still see the image
                Role::Weight => *value *= 2.4,
                Role::Bias => {}
                Role::NormScale => {
                    *value = match rng.random_range(0..6) {
                        0 => 0.0,
                        1 => rng.random_range(-1e-3..1e-3),
                        2 => rng.random_range(-1.5..-0.3),
                        _ => rng.random_range(0.3..1.5),
                    }
                }
                Role::NormShift | Role::RunningMean => *value = rng.random_range(-0.5..0.5),
                Role::RunningVar => *value = rng.random_range(0.5..1.5),
            }
        }
    }
    network
}

/// Logits of two random images.
pub(super) fn logits(network: &Network) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let len = 2 * network.graph.input_shape().iter().product::<usize>();
    let pixels: Vec<f32> = (0..len).map(|_| rng.random_range(0.0..1.0)).collect();
    let mut engine = NativeEngine::<f32>::new(network.graph.clone());
    let params = Params::new(network);
    engine.infer(&params, &pixels, 2).unwrap()
}

/// A 3×3 convolution at stride 1 without bias.
pub(super) fn conv(inputs: usize, outputs: usize) -> Conv2d {
    Conv2d::square(inputs, outputs, 3)
}

/// Ends a graph in a classifier over the mean of each channel.
pub(super) fn classify(mut b: GraphBuilder, from: NodeId, channels: usize) -> Graph {
    let pooled = b.push("pool", Op::GlobalAvgPool, &[from]);
    b.linear("logits", pooled, channels, 3);
    b.finish("hand-made").unwrap()
}

/// Convolution, BatchNorm and ReLU, named after `name`.
pub(super) fn layer(
    b: &mut GraphBuilder,
    name: &str,
    from: NodeId,
    inputs: usize,
    outputs: usize,
) -> NodeId {
    let x = b.conv(format!("{name}.conv"), from, conv(inputs, outputs));
    let x = b.norm(format!("{name}.norm"), x, outputs);
    b.relu(format!("{name}.relu"), x)
}

/// A node by name.
pub(super) fn node(graph: &Graph, name: &str) -> NodeId {
    let found = graph.iter().find(|(_, node)| node.name == name);
    found.unwrap_or_else(|| panic!("no node `{name}`")).0
}

/// Any network: layers with and without BatchNorm, depthwise, grouped and transposed convolutions, sums, gates of every
/// form, softmax and concatenations in any order.
pub(super) fn any_network() -> impl Strategy<Value = Network> {
    any::<u64>().prop_map(|seed| network(random_graph(seed), seed))
}

/// A map of the graph under construction.
#[derive(Clone, Copy)]
struct Map {
    id: NodeId,
    channels: usize,
    side: usize,
}

fn random_graph(seed: u64) -> Graph {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let image = rng.random_range(1..4);
    let (mut b, x) = GraphBuilder::new([image, 8, 8]);
    let first = Map {
        id: x,
        channels: image,
        side: 8,
    };
    let mut maps = vec![first];
    for step in 0..rng.random_range(2..12) {
        let from = *maps.choose(&mut rng).unwrap();
        let name = format!("n{step}");
        let map = match rng.random_range(0..14) {
            0 if from.side >= 4 => Map {
                id: b.halve(name, from.id),
                side: from.side / 2,
                ..from
            },
            1 => {
                // Add with a branch of its own
                let branch = random_layer(&mut b, &mut rng, &name, from, from.channels);
                let id = b.push(format!("{name}.add"), Op::Add, &[branch.id, from.id]);
                Map { id, ..from }
            }
            2 => {
                let equal = maps.iter().filter(|m| m.side == from.side);
                let other = *equal.collect::<Vec<_>>().choose(&mut rng).unwrap();
                Map {
                    id: b.push(name, Op::Concat, &[from.id, other.id]),
                    channels: from.channels + other.channels,
                    ..from
                }
            }
            3 => {
                let squeezed = b.push(format!("{name}.squeeze"), Op::GlobalAvgPool, &[from.id]);
                let c = from.channels;
                let hidden = b.linear(format!("{name}.hidden"), squeezed, c, 3);
                let excited = b.linear(format!("{name}.excite"), hidden, 3, c);
                let gate = b.push(format!("{name}.gate"), Op::Sigmoid, &[excited]);
                let id = b.push(format!("{name}.mul"), Op::Mul, &[from.id, gate]);
                Map { id, ..from }
            }
            4 => {
                let equal = maps
                    .iter()
                    .filter(|m| m.side == from.side && m.channels == from.channels);
                let other = *equal.collect::<Vec<_>>().choose(&mut rng).unwrap();
                let gate = b.push(format!("{name}.gate"), Op::Sigmoid, &[other.id]);
                let op = if rng.random() { Op::Mul } else { Op::Add };
                let id = b.push(format!("{name}.join"), op, &[from.id, gate]);
                Map { id, ..from }
            }
            5 => attended(&mut b, &name, from),
            6 if from.side <= 4 => {
                let up = ConvTranspose2d {
                    inputs: from.channels,
                    outputs: 4,
                    kernel: 2,
                    bias: rng.random(),
                };
                let op = Op::ConvTranspose2d(up);
                let mut id = b.push(format!("{name}.up"), op, &[from.id]);
                if rng.random_bool(0.8) {
                    id = b.norm(format!("{name}.norm"), id, 4);
                }
                Map {
                    id,
                    channels: 4,
                    side: 2 * from.side,
                }
            }
            7 => {
                let mask = b.push(format!("{name}.mask"), Op::Softmax, &[from.id]);
                let id = b.push(format!("{name}.masked"), Op::Mul, &[from.id, mask]);
                Map { id, ..from }
            }
            8 => {
                // both pixels see the same small network
                let whole = Pool::new(from.side, from.side);
                let mean = b.push(format!("{name}.mean"), Op::AvgPool(whole), &[from.id]);
                let max = b.push(format!("{name}.max"), Op::MaxPool(whole), &[from.id]);
                let both = b.push(format!("{name}.both"), Op::Beside, &[mean, max]);
                let point = Conv2d {
                    bias: true,
                    ..Conv2d::square(from.channels, from.channels, 1)
                };
                let both = b.conv(format!("{name}.shared"), both, point);
                let gate = b.push(format!("{name}.half"), Op::GlobalAvgPool, &[both]);
                let id = b.push(format!("{name}.mul"), Op::Mul, &[gate, from.id]);
                Map { id, ..from }
            }
            _ => {
                let outputs = rng.random_range(1..4) * 4;
                random_layer(&mut b, &mut rng, &name, from, outputs)
            }
        };
        maps.push(map);
    }
    let last = maps[maps.len() - 1];
    let (id, features) = if rng.random() {
        let id = b.push("pool", Op::GlobalAvgPool, &[last.id]);
        (id, last.channels)
    } else {
        let id = b.push("flatten", Op::Flatten, &[last.id]);
        (id, last.channels * last.side * last.side)
    };
    b.linear("logits", id, features, 3);
    b.finish(format!("random-{seed}")).unwrap()
}

/// `x · (1 + sigmoid(channels · places))`, the places from mean and maximum over the channels.
fn attended(b: &mut GraphBuilder, name: &str, from: Map) -> Map {
    let part = |part: &str| format!("{name}.{part}");
    let mean = b.push(part("level"), Op::ChannelMean, &[from.id]);
    let max = b.push(part("peak"), Op::ChannelMax, &[from.id]);
    let places = b.push(part("places"), Op::Concat, &[mean, max]);
    let places = b.conv(part("conv"), places, conv(2, 1));
    let places = b.norm(part("norm"), places, 1);
    let features = b.push(part("squeeze"), Op::GlobalAvgPool, &[from.id]);
    let channels = b.dense(part("fc"), features, from.channels);
    let channels = b.norm(part("fc.norm"), channels, from.channels);
    let outer = b.push(part("outer"), Op::Mul, &[channels, places]);
    let gate = b.push(part("gate"), Op::Sigmoid, &[outer]);
    let gated = b.push(part("mul"), Op::Mul, &[from.id, gate]);
    let id = b.push(part("add"), Op::Add, &[from.id, gated]);
    Map { id, ..from }
}

/// A convolution of any kind, mostly with a BatchNorm, at times with a ReLU.
fn random_layer(
    b: &mut GraphBuilder,
    rng: &mut ChaCha8Rng,
    name: &str,
    from: Map,
    outputs: usize,
) -> Map {
    let mut groups = vec![1, 1];
    if from.channels == outputs {
        groups.push(outputs);
    }
    if from.channels.is_multiple_of(2) && outputs.is_multiple_of(2) {
        groups.push(2);
    }
    let conv = Conv2d {
        groups: *groups.choose(rng).unwrap(),
        bias: rng.random(),
        ..conv(from.channels, outputs)
    };
    let mut id = b.conv(format!("{name}.conv"), from.id, conv);
    if rng.random_bool(0.8) {
        id = b.norm(format!("{name}.norm"), id, outputs);
    }
    if rng.random_bool(0.6) {
        id = b.relu(format!("{name}.relu"), id);
    }
    Map {
        id,
        channels: outputs,
        side: from.side,
    }
}
