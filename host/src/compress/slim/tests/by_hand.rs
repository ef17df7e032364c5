//! Small graphs, each with one way to tie or pin channels.

use super::super::testing::{classify, conv, layer, logits, network, node};
use super::super::{Channels, Ranking, Scope, SlimError, SlimOptions, Target};
use super::{assert_cut_equals_masked, kept};
use crate::graph::build::GraphBuilder;
use crate::graph::{Conv2d, ConvTranspose2d, Graph, Network, Op};

const FLOOR_1: SlimOptions = SlimOptions {
    target: Target::Percent(0.5),
    min_channels: 1,
    round_to: 1,
    scope: Scope::Network,
};

fn set_scales(network: &mut Network, norm: &str, scales: &[f32]) {
    let tensor = network.weights.get_mut(&format!("{norm}.weight")).unwrap();
    tensor.data_mut().copy_from_slice(scales);
}

/// Cuts the `count` weakest classes with a floor of 1 and compares with the masked network.
fn cut_weakest(network: &Network, count: usize) -> super::Keep {
    let channels = Channels::of(&network.graph);
    let ranking = Ranking::of(network, &channels, &FLOOR_1).unwrap();
    let keep = channels.keep(&ranking.weakest(count));
    assert_cut_equals_masked(network, &keep);
    keep
}

/// Whether the first channel of a node is prunable.
fn prunable(graph: &Graph, name: &str) -> bool {
    let channels = Channels::of(graph);
    channels.is_prunable(channels.classes(node(graph, name))[0])
}

#[test]
fn concat_keeps_the_order_of_what_is_left() {
    let (mut b, x) = GraphBuilder::new([2, 6, 6]);
    let left = layer(&mut b, "left", x, 2, 4);
    let right = layer(&mut b, "right", x, 2, 3);
    let joined = b.push("concat", Op::Concat, &[left, right]);
    let last = layer(&mut b, "last", joined, 7, 5);
    let mut net = network(classify(b, last, 5), 1);
    set_scales(&mut net, "left.norm", &[0.9, 0.01, 0.8, 0.0]);
    set_scales(&mut net, "right.norm", &[0.02, 0.7, -0.6]);
    set_scales(&mut net, "last.norm", &[1.0; 5]);
    let keep = cut_weakest(&net, 3);
    assert_eq!(kept(&keep, joined), [0, 2, 5, 6]);
    assert_eq!(kept(&keep, node(&net.graph, "last.conv")).len(), 5);
}

#[test]
fn a_sum_of_three_dies_only_when_all_branches_do() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let mut branch = |name: &str| {
        let from = b.conv(format!("{name}.conv"), x, conv(1, 4));
        b.norm(format!("{name}.norm"), from, 4)
    };
    let [one, two, three] = ["one", "two", "three"].map(&mut branch);
    let sum = b.push("add1", Op::Add, &[one, two]);
    let sum = b.push("add2", Op::Add, &[sum, three]);
    let sum = b.relu("relu", sum);
    let mut net = network(classify(b, sum, 4), 2);
    set_scales(&mut net, "one.norm", &[0.0, 0.0, 0.9, 0.01]);
    set_scales(&mut net, "two.norm", &[0.0, 0.0, 0.0, 0.02]);
    set_scales(&mut net, "three.norm", &[0.0, -0.8, 0.0, 0.0]);
    let keep = cut_weakest(&net, 2);
    for name in ["one.conv", "two.norm", "three.conv", "add1", "pool"] {
        assert_eq!(kept(&keep, node(&net.graph, name)), [1, 2], "{name}");
    }
}

#[test]
fn depthwise_convolutions_follow_their_input() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let first = layer(&mut b, "first", x, 1, 6);
    let depthwise = Conv2d {
        groups: 6,
        bias: true,
        ..conv(6, 6)
    };
    let mid = b.conv("depthwise", first, depthwise);
    let mid = b.norm("depthwise.norm", mid, 6);
    let mid = b.relu("depthwise.relu", mid);
    let last = layer(&mut b, "point", mid, 6, 5);
    let mut net = network(classify(b, last, 5), 3);
    set_scales(&mut net, "first.norm", &[0.0, 0.9, 0.0, 0.8, 0.0, 0.7]);
    set_scales(&mut net, "depthwise.norm", &[0.0, 0.0, 0.6, 0.8, 0.0, 0.1]);
    set_scales(&mut net, "point.norm", &[1.0; 5]);
    let keep = cut_weakest(&net, 2);
    assert_eq!(kept(&keep, mid), [1, 2, 3, 5]);
    let slim = super::cut(&net, &keep).unwrap();
    let Op::Conv2d(slim) = slim.graph.node(node(&net.graph, "depthwise")).op else {
        panic!("the node is a convolution");
    };
    assert_eq!((slim.inputs, slim.outputs, slim.groups), (4, 4, 4));
}

#[test]
fn a_depthwise_bias_without_norm_pins_the_channels() {
    let graph = |bias: bool| {
        let (mut b, x) = GraphBuilder::new([1, 6, 6]);
        let first = layer(&mut b, "first", x, 1, 4);
        let depthwise = Conv2d {
            groups: 4,
            bias,
            ..conv(4, 4)
        };
        let mid = b.conv("depthwise", first, depthwise);
        let last = layer(&mut b, "last", mid, 4, 4);
        classify(b, last, 4)
    };
    assert!(prunable(&graph(false), "first.conv"));
    assert!(!prunable(&graph(true), "first.conv"));
}

#[test]
fn other_grouped_convolutions_pin_both_sides() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let first = layer(&mut b, "first", x, 1, 4);
    let grouped = Conv2d {
        groups: 2,
        ..conv(4, 6)
    };
    let mid = b.conv("grouped", first, grouped);
    let mid = b.norm("grouped.norm", mid, 6);
    let last = layer(&mut b, "last", mid, 6, 4);
    let graph = classify(b, last, 4);
    assert!(!prunable(&graph, "first.conv"));
    assert!(!prunable(&graph, "grouped"));
    assert!(prunable(&graph, "last.conv"));
    cut_weakest(&network(graph, 4), 2);
}

#[test]
fn a_squeeze_and_excitation_gate_goes_with_its_map() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let map = layer(&mut b, "first", x, 1, 5);
    let squeezed = b.push("squeeze", Op::GlobalAvgPool, &[map]);
    let hidden = b.linear("hidden", squeezed, 5, 2);
    let hidden = b.relu("hidden.relu", hidden);
    let excited = b.linear("excite", hidden, 2, 5);
    let gate = b.push("gate", Op::Sigmoid, &[excited]);
    let gated = b.push("mul", Op::Mul, &[map, gate]);
    let last = layer(&mut b, "last", gated, 5, 4);
    let mut net = network(classify(b, last, 4), 5);
    set_scales(&mut net, "first.norm", &[0.5, 0.0, 0.6, 0.01, 0.7]);
    set_scales(&mut net, "last.norm", &[1.0; 4]);
    let keep = cut_weakest(&net, 2);
    for name in ["first.conv", "squeeze", "excite", "gate", "mul"] {
        assert_eq!(kept(&keep, node(&net.graph, name)), [0, 2, 4], "{name}");
    }
    assert_eq!(keep.kept(hidden), 2, "hidden features have no γ");
}

#[test]
fn a_sigmoid_that_is_read_directly_pins_its_channels() {
    // sigmoid(0) is a half: cutting the channel would shift what the next layer sees
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let first = layer(&mut b, "first", x, 1, 4);
    let half = b.push("sigmoid", Op::Sigmoid, &[first]);
    let last = layer(&mut b, "last", half, 4, 4);
    let graph = classify(b, last, 4);
    assert!(!prunable(&graph, "first.conv"));
    assert!(prunable(&graph, "last.conv"));
}

#[test]
fn a_map_times_its_own_sigmoid_is_prunable() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let first = b.conv("first.conv", x, conv(1, 4));
    let first = b.norm("first.norm", first, 4);
    let gate = b.push("sigmoid", Op::Sigmoid, &[first]);
    let swish = b.push("swish", Op::Mul, &[first, gate]);
    let last = layer(&mut b, "last", swish, 4, 4);
    let graph = classify(b, last, 4);
    assert!(prunable(&graph, "first.conv"));
    cut_weakest(&network(graph, 6), 4);
}

#[test]
fn a_gate_alone_cannot_silence_a_map() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let bare = b.conv("bare", x, conv(1, 4));
    let normed = layer(&mut b, "first", x, 1, 4);
    let gate = b.push("sigmoid", Op::Sigmoid, &[normed]);
    let gated = b.push("mul", Op::Mul, &[bare, gate]);
    let last = layer(&mut b, "last", gated, 4, 4);
    let graph = classify(b, last, 4);
    assert!(!prunable(&graph, "bare"));
    assert!(!prunable(&graph, "first.conv"));
}

#[test]
fn a_branch_without_norm_pins_the_sum() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let normed = layer(&mut b, "first", x, 1, 4);
    let bare = b.conv("bare", x, conv(1, 4));
    let sum = b.push("add", Op::Add, &[normed, bare]);
    let last = layer(&mut b, "last", sum, 4, 4);
    let graph = classify(b, last, 4);
    assert!(!prunable(&graph, "first.conv"));
    assert!(!prunable(&graph, "bare"));
}

#[test]
fn a_norm_over_the_image_or_of_no_consequence_cuts_nothing() {
    let (mut b, x) = GraphBuilder::new([2, 6, 6]);
    let normed = b.norm("norm", x, 2);
    let bare = b.conv("bare", normed, conv(2, 4));
    let net = network(classify(b, bare, 4), 7);
    let channels = Channels::of(&net.graph);
    let error = Ranking::of(&net, &channels, &FLOOR_1).unwrap_err();
    assert!(matches!(error, SlimError::NothingPrunable { .. }));
}

#[test]
fn flatten_drops_every_pixel_of_a_channel() {
    let (mut b, x) = GraphBuilder::new([1, 4, 4]);
    let map = layer(&mut b, "first", x, 1, 3);
    let flat = b.push("flatten", Op::Flatten, &[map]);
    b.linear("logits", flat, 3 * 16, 3);
    let mut net = network(b.finish("hand-made").unwrap(), 8);
    set_scales(&mut net, "first.norm", &[0.5, 0.0, 0.5]);
    let keep = cut_weakest(&net, 1);
    let slim = super::cut(&net, &keep).unwrap();
    let (before, after) = (
        &net.weights["logits.weight"],
        &slim.weights["logits.weight"],
    );
    assert_eq!(after.shape(), [3, 32]);
    assert_eq!(after.data()[..16], before.data()[..16]);
    assert_eq!(after.data()[16..32], before.data()[32..48]);
    assert_eq!(logits(&slim).len(), 6);
}

#[test]
fn a_transposed_convolution_is_cut_on_both_sides() {
    let (mut b, x) = GraphBuilder::new([1, 4, 4]);
    let first = layer(&mut b, "first", x, 1, 4);
    let up = ConvTranspose2d {
        inputs: 4,
        outputs: 3,
        kernel: 2,
        bias: true,
    };
    let mid = b.push("up", Op::ConvTranspose2d(up), &[first]);
    let mid = b.norm("up.norm", mid, 3);
    let last = layer(&mut b, "last", mid, 3, 4);
    let mut net = network(classify(b, last, 4), 3);
    set_scales(&mut net, "first.norm", &[0.9, 0.0, 0.8, 0.7]);
    set_scales(&mut net, "up.norm", &[0.6, 0.5, 0.0]);
    set_scales(&mut net, "last.norm", &[1.0; 4]);
    let keep = cut_weakest(&net, 2);
    assert_eq!(kept(&keep, node(&net.graph, "first.conv")), [0, 2, 3]);
    assert_eq!(kept(&keep, mid), [0, 1]);
    let slim = super::cut(&net, &keep).unwrap();
    assert_eq!(slim.weights["up.weight"].shape(), [3, 2, 2, 2]);
    assert_eq!(slim.weights["up.bias"].shape(), [2]);
}

#[test]
fn what_counts_channels_pins_them() {
    for op in [Op::Softmax, Op::ChannelMean, Op::ChannelMax] {
        let (mut b, x) = GraphBuilder::new([1, 6, 6]);
        let first = layer(&mut b, "first", x, 1, 4);
        let second = layer(&mut b, "second", first, 4, 4);
        let counted = b.push("counted", op.clone(), &[second]);
        let gated = b.push("mul", Op::Mul, &[second, counted]);
        let graph = classify(b, gated, 4);
        assert!(!prunable(&graph, "second.conv"), "{op:?}");
        assert!(prunable(&graph, "first.conv"), "{op:?}");
    }
}

#[test]
fn a_gate_of_places_is_tied_to_no_channel() {
    let (mut b, x) = GraphBuilder::new([1, 6, 6]);
    let first = layer(&mut b, "first", x, 1, 4);
    let places = b.conv("places", first, conv(4, 1));
    let gated = b.push("mul", Op::Mul, &[first, places]);
    let last = layer(&mut b, "last", gated, 4, 4);
    let mut net = network(classify(b, last, 4), 3);
    set_scales(&mut net, "first.norm", &[0.0, 0.9, 0.8, 0.7]);
    set_scales(&mut net, "last.norm", &[1.0; 4]);
    let keep = cut_weakest(&net, 1);
    assert_eq!(kept(&keep, gated), [1, 2, 3]);
    assert_eq!(kept(&keep, node(&net.graph, "places")), [0]);
}
