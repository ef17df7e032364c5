//! The line graph → fold → ONNX → tract, on every architecture and on a graph of the remaining
//! operators.

use fer_models::{Labels, Preprocess};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{ExportError, OnnxModel, compare, to_onnx};
use crate::graph::build::{Architecture, GraphBuilder, build};
use crate::graph::exec::{Engine, NativeEngine, Params};
use crate::graph::fold::fold;
use crate::graph::{Border, Conv2d, Graph, Network, Op, Pool, Role, init};

mod damaged;
mod package;

const IMAGES: usize = 11;

/// Random weights with BatchNorm scales and statistics away from their starting values.
pub(crate) fn lively(graph: Graph, seed: u64) -> Network {
    let mut network = init::fresh(graph, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for spec in network.graph.tensors() {
        let range = match spec.role {
            Role::NormScale | Role::RunningVar => 0.5..1.5,
            Role::NormShift | Role::RunningMean => -0.5..0.5,
            Role::Weight | Role::Bias => continue,
        };
        for value in network.weights.get_mut(&spec.name).unwrap().data_mut() {
            *value = rng.random_range(range.clone());
        }
    }
    network
}

fn small(name: &str) -> Network {
    let arch = Architecture::small(name).unwrap();
    lively(build(&arch, 7).unwrap(), 3)
}

/// What the architectures do not use: concatenation, gates, depthwise and unpadded convolutions, odd
/// sizes, padded pools, a BatchNorm that cannot be folded.
pub(crate) fn odds_and_ends() -> Network {
    let conv = Conv2d {
        stride: 2,
        padding: Border::NONE,
        ..Conv2d::square(3, 6, 3)
    };
    let (mut b, image) = GraphBuilder::new([3, 17, 17]);
    let first = b.norm("first", image, 3);
    let x = b.conv("conv", first, conv);
    let x = b.norm("norm", x, 6);
    let depthwise = Conv2d {
        groups: 6,
        bias: true,
        ..Conv2d::square(6, 6, 3)
    };
    let side = b.conv("depthwise", x, depthwise);
    let side = b.push("swish", Op::Sigmoid, &[side]);
    let x = b.push("times", Op::Mul, &[x, side]);
    let x = b.push("both", Op::Concat, &[x, side]);
    let pool = Pool {
        padding: Border::all(1),
        ..Pool::new(3, 2)
    };
    let mean = b.push("mean", Op::AvgPool(pool), &[x]);
    let max = b.push("max", Op::MaxPool(pool), &[x]);
    let x = b.push("sum", Op::Add, &[mean, max]);
    let gate = b.push("squeeze", Op::GlobalAvgPool, &[x]);
    let gate = b.linear("excite", gate, 12, 12);
    let gate = b.push("gate", Op::Sigmoid, &[gate]);
    let x = b.push("gated", Op::Mul, &[x, gate]);
    let x = b.push("flat", Op::Flatten, &[x]);
    let x = b.push("dropout", Op::Dropout { p: 0.5 }, &[x]);
    b.linear("head", x, 12 * 4 * 4, 7);
    lively(b.finish("odds").unwrap(), 5)
}

fn networks() -> Vec<Network> {
    // all of them: `host/tests/zoo.rs`
    let names = ["vgg11", "resnet18-gap", "vggnet", "bam_resnet50"];
    let mut networks: Vec<Network> = names.into_iter().map(small).collect();
    networks.push(odds_and_ends());
    networks
}

fn preprocess(network: &Network) -> Preprocess {
    let [channels, crop, _] = network.graph.input_shape();
    Preprocess {
        crop,
        ..Preprocess::fer2013(channels)
    }
}

fn onnx(network: &Network) -> Vec<u8> {
    let input = preprocess(network);
    to_onnx(network, "test", &Labels::fer2013(), &input).unwrap()
}

pub(crate) fn pixels(network: &Network, images: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let len = images * network.graph.input_shape().iter().product::<usize>();
    (0..len).map(|_| rng.random_range(0.0..1.0)).collect()
}

pub(crate) fn engine_logits(network: &Network, pixels: &[f32], images: usize) -> Vec<f32> {
    let params = Params::new(network);
    let mut engine = NativeEngine::<f32>::new(network.graph.clone());
    engine.infer(&params, pixels, images).unwrap()
}

#[test]
fn folding_changes_no_logit() {
    for network in networks() {
        let pixels = pixels(&network, 3);
        let before = engine_logits(&network, &pixels, 3);
        let after = engine_logits(&fold(&network), &pixels, 3);
        let agreement = compare(&before, &after, 7).unwrap();
        let name = network.graph.name();
        assert!(agreement.difference < 1e-4, "{name}: {agreement:?}");
    }
}

#[test]
fn tract_computes_what_the_graph_computes_folded_or_not() {
    for network in networks() {
        let pixels = pixels(&network, IMAGES);
        let expected = engine_logits(&network, &pixels, IMAGES);
        for (exported, form) in [(&network, "as it is"), (&fold(&network), "folded")] {
            let mut model = OnnxModel::load(&onnx(exported)).unwrap();
            assert_eq!(model.input_shape(), network.graph.input_shape());
            assert_eq!(model.classes(), 7);
            // more than one chunk, and a rest
            let logits = model.logits(&pixels, IMAGES).unwrap();
            let agreement = compare(&logits, &expected, 7).unwrap();
            let name = network.graph.name();
            assert!(agreement.difference < 1e-4, "{name} {form}: {agreement:?}");
            assert_eq!(agreement.same_argmax, IMAGES, "{name} {form}");
        }
    }
}

#[test]
fn the_same_network_gives_the_same_bytes() {
    let network = odds_and_ends();
    assert_eq!(onnx(&network), onnx(&network.clone()));
}

#[test]
fn logits_do_not_depend_on_how_images_are_batched() {
    let network = odds_and_ends();
    let pixels = pixels(&network, IMAGES);
    let mut model = OnnxModel::load(&onnx(&fold(&network))).unwrap();
    let together = model.logits(&pixels, IMAGES).unwrap();
    let alone: Vec<f32> = pixels
        .chunks(pixels.len() / IMAGES)
        .flat_map(|image| model.logits(image, 1).unwrap())
        .collect();
    assert!(compare(&together, &alone, 7).unwrap().difference < 1e-5);
    assert!(model.logits(&[], 0).unwrap().is_empty());
    let error = model.logits(&pixels, IMAGES + 1).unwrap_err();
    assert!(matches!(error, ExportError::Pixels { .. }), "{error}");
}

#[test]
fn facts_that_do_not_fit_the_graph_are_refused() {
    let network = odds_and_ends();
    let input = preprocess(&network);
    let error = to_onnx(&network, "test", &Labels::ferplus(), &input).unwrap_err();
    assert_eq!(error.to_string(), "the network gives 7 logits for 8 labels");
    let error = to_onnx(
        &network,
        "test",
        &Labels::fer2013(),
        &Preprocess::fer2013(3),
    )
    .unwrap_err();
    assert!(error.to_string().contains("[3, 17, 17]"), "{error}");
}

#[test]
fn a_node_called_like_a_value_of_the_file_is_refused() {
    let (mut b, x) = GraphBuilder::new([3, 4, 4]);
    let x = b.relu("logits", x);
    b.push("pool", Op::GlobalAvgPool, &[x]);
    let network = init::fresh(b.finish("clash").unwrap(), 1);
    let labels = Labels::new(["a", "b", "c"].map(String::from).to_vec()).unwrap();
    let error = to_onnx(&network, "test", &labels, &preprocess(&network)).unwrap_err();
    assert!(matches!(error, ExportError::Name(name) if name == "logits"));
}
