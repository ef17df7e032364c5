//! The same cases against every engine, and all of them against a plain reference.

mod frozen;
mod reference;

use std::io::Write;

use candle_core::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::reference::Reference;
use super::{CandleEngine, Engine, NativeEngine, Params, Precision};
use crate::graph::build::{Architecture, GraphBuilder, build};
use crate::graph::{Border, Conv2d, ConvTranspose2d, Graph, Network, Op, Pool, Role, init};
use crate::ops::element::{Bf16, Element};

fn uniform(rng: &mut ChaCha8Rng, len: usize, low: f32, high: f32) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(low..high)).collect()
}

/// Random weights with BatchNorm scales and statistics away from their starting values.
fn lively(graph: Graph, seed: u64) -> Network {
    let mut network = init::fresh(graph, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed + 1);
    for spec in network.graph.tensors() {
        let (low, high) = match spec.role {
            Role::NormScale | Role::RunningVar => (0.5, 1.5),
            Role::NormShift | Role::RunningMean => (-0.5, 0.5),
            Role::Weight | Role::Bias => continue,
        };
        let array = network.weights.get_mut(&spec.name).unwrap();
        let len = array.data().len();
        array
            .data_mut()
            .copy_from_slice(&uniform(&mut rng, len, low, high));
    }
    network
}

/// Every operator in one small graph, on an odd size so that pooling drops a row.
fn every_operator() -> Graph {
    let conv = Conv2d {
        bias: true,
        ..Conv2d::square(2, 4, 3)
    };
    let (mut b, x) = GraphBuilder::new([2, 9, 9]);
    let first = b.conv("conv", x, conv);
    let normed = b.norm("norm", first, 4);
    let hot = b.relu("relu", normed);
    let max = b.halve("max", hot);
    let depthwise = b.conv(
        "depthwise",
        max,
        Conv2d {
            inputs: 4,
            groups: 4,
            bias: false,
            ..conv
        },
    );
    let average = Pool {
        padding: Border::all(1),
        ..Pool::new(3, 1)
    };
    let smooth = b.push("average", Op::AvgPool(average), &[max]);
    let sum = b.push("add", Op::Add, &[depthwise, smooth]);
    let sum = b.relu("relu2", sum);
    let gate = b.push("squeeze", Op::GlobalAvgPool, &[max]);
    let gate = b.push("gate", Op::Sigmoid, &[gate]);
    let gated = b.push("mul", Op::Mul, &[sum, gate]);
    let squared = b.push("square", Op::Mul, &[smooth, depthwise]);
    let joined = b.push("concat", Op::Concat, &[gated, squared]);
    let padded = Pool {
        padding: Border::all(1),
        ..Pool::new(3, 2)
    };
    let pooled = b.push("max2", Op::MaxPool(padded), &[joined]);
    let flat = b.push("flatten", Op::Flatten, &[pooled]);
    let dropped = b.push("dropout", Op::Dropout { p: 0.3 }, &[flat]);
    let hidden = b.linear("hidden", dropped, 8 * 2 * 2, 6);
    let hidden = b.relu("relu3", hidden);
    b.linear("logits", hidden, 6, 3);
    b.finish("every-operator").unwrap()
}

/// What attention, Inception and transposed convolutions add: borders, dilation, gates of every form, what is
/// computed over channels, normalised features.
fn attention() -> Graph {
    let (mut b, x) = GraphBuilder::new([2, 7, 7]);
    let uneven = Border {
        top: 0,
        left: 1,
        bottom: 2,
        right: 1,
    };
    let strided = Conv2d {
        stride: 2,
        padding: uneven,
        ..Conv2d::square(2, 4, 3)
    };
    let x = b.conv("uneven", x, strided);
    let flat = Conv2d {
        kernel: [1, 3],
        padding: Border::sides(0, 1),
        ..Conv2d::square(4, 4, 1)
    };
    let x = b.conv("flat", x, flat);
    let dilated = Conv2d {
        dilation: 2,
        padding: Border::all(2),
        bias: true,
        ..Conv2d::square(4, 4, 3)
    };
    let x = b.conv("dilated", x, dilated);
    let x = b.norm("norm", x, 4);
    let sharp = b.push("swish", Op::Sigmoid, &[x]);
    let x = b.push("swished", Op::Mul, &[x, sharp]);
    let deep = Conv2d {
        groups: 4,
        padding: uneven,
        ..Conv2d::square(4, 4, 3)
    };
    let x = b.conv("depthwise", x, deep);
    let up = ConvTranspose2d {
        inputs: 4,
        outputs: 3,
        kernel: 2,
        bias: true,
    };
    let x = b.push("up", Op::ConvTranspose2d(up), &[x]);
    let x = b.norm("up.norm", x, 3);
    // CBAM: one small network over the mean and the maximum of every channel
    let whole = Pool::new(8, 8);
    let mean = b.push("mean", Op::AvgPool(whole), &[x]);
    let max = b.push("max", Op::MaxPool(whole), &[x]);
    let both = b.push("both", Op::Beside, &[mean, max]);
    let squeezed = Conv2d {
        bias: true,
        ..Conv2d::square(3, 3, 1)
    };
    let both = b.conv("shared", both, squeezed);
    let both = b.relu("shared.relu", both);
    let half = b.push("half", Op::GlobalAvgPool, &[both]);
    let sum = b.push("sum", Op::Add, &[half, half]);
    let gate = b.push("gate", Op::Sigmoid, &[sum]);
    let x = b.push("gated", Op::Mul, &[x, gate]);
    let peak = b.push("peak", Op::ChannelMax, &[x]);
    let level = b.push("level", Op::ChannelMean, &[x]);
    let place = b.push("place", Op::Concat, &[peak, level]);
    let place = b.conv("place.conv", place, Conv2d::square(2, 1, 3));
    let place = b.norm("place.norm", place, 1);
    // BAM: features times places
    let features = b.linear("features", half, 3, 3);
    let features = b.norm("features.norm", features, 3);
    let outer = b.push("outer", Op::Mul, &[features, place]);
    let mask = b.push("mask", Op::Softmax, &[outer]);
    let x = b.push("masked", Op::Mul, &[place, mask]);
    let rounded_up = Pool {
        padding: Border {
            bottom: 1,
            right: 1,
            ..Border::NONE
        },
        ..Pool::new(3, 2)
    };
    let x = b.push("ceil", Op::MaxPool(rounded_up), &[x]);
    let x = b.push("average", Op::AvgPool(rounded_up), &[x]);
    let x = b.push("flatten", Op::Flatten, &[x]);
    let x = b.linear("logits", x, 3 * 2 * 2, 3);
    b.push("probabilities", Op::Softmax, &[x]);
    b.finish("attention").unwrap()
}

fn small(name: &str) -> Graph {
    let arch = Architecture {
        width: 0.125,
        channels: 1,
        dropout: 0.25,
        ..Architecture::published(name)
    };
    build(&arch, 7).unwrap()
}

fn engines(graph: &Graph) -> [Box<dyn Engine>; 2] {
    [
        Box::new(NativeEngine::<f32>::new(graph.clone())),
        Box::new(CandleEngine::new(graph.clone(), Device::Cpu)),
    ]
}

fn batch_for(graph: &Graph, batch: usize, seed: u64) -> Vec<f32> {
    let len = batch * graph.input_shape().iter().product::<usize>();
    uniform(&mut ChaCha8Rng::seed_from_u64(seed), len, 0.0, 1.0)
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// `‖got − want‖ / ‖want‖`.
fn distance(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |v: f64| v * v;
    let differences: f64 = got
        .iter()
        .zip(want)
        .map(|(&g, w)| square(f64::from(g) - w))
        .sum();
    let scale: f64 = want.iter().map(|&w| square(w)).sum();
    differences.sqrt() / scale.sqrt().max(1e-9)
}

/// Logits, running statistics and every gradient of one training step, against the reference: the
/// largest relative distance over all tensors.
fn step_distance(engine: &mut dyn Engine, network: &Network, batch: usize) -> Vec<(String, f64)> {
    let graph = network.graph.clone();
    let pixels = batch_for(&graph, batch, 3);
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let dlogits = uniform(&mut rng, batch * graph.classes(), -1.0, 1.0);
    let mut params = Params::new(network);
    let reference = Reference::new(&graph, &params);
    let pass = reference.forward(&widened(&pixels), batch, 2);
    let gradients = reference.backward(&pass, &widened(&dlogits));
    // twice: the second step runs in buffers that the first one left behind
    engine.forward(&mut params, &pixels, batch, 1).unwrap();
    engine.backward(&mut params, &dlogits).unwrap();
    let mut params = Params::new(network);
    let logits = engine.forward(&mut params, &pixels, batch, 2).unwrap();
    engine.backward(&mut params, &dlogits).unwrap();

    let mut distances = vec![("logits".into(), distance(&logits, pass.logits()))];
    for (id, node) in graph.iter() {
        let moved = matches!(node.op, Op::BatchNorm { .. }).then(|| reference.moved(&pass, id));
        for (i, param) in params.of(id).iter().enumerate() {
            let far = match (param.role, &moved) {
                (Role::RunningMean, Some([mean, _])) => distance(&param.value, mean),
                (Role::RunningVar, Some([_, variance])) => distance(&param.value, variance),
                // before a batch normalisation a bias has gradient zero but for rounding
                (Role::Bias, _) if gradients[id.0][i].iter().all(|g| g.abs() < 1e-9) => 0.0,
                _ => distance(&param.grad, &gradients[id.0][i]),
            };
            assert!(far.is_finite(), "{}", param.name);
            distances.push((param.name.clone(), far));
        }
    }
    distances
}

fn worst(distances: &[(String, f64)]) -> f64 {
    distances.iter().map(|(_, far)| *far).fold(0.0, f64::max)
}

/// Every engine's step lies within 1e-4 of the reference.
fn engines_meet_the_reference(graph: Graph, batch: usize) {
    let network = lively(graph.clone(), 7);
    for (mut engine, name) in engines(&graph).into_iter().zip(["native", "candle"]) {
        let far = worst(&step_distance(engine.as_mut(), &network, batch));
        assert!(far < 1e-4, "{} in {name}: {far:e}", graph.name());
    }
}

#[test]
fn every_operator_meets_the_reference() {
    engines_meet_the_reference(every_operator(), 4);
    engines_meet_the_reference(attention(), 5);
}

#[test]
fn small_networks_meet_the_reference() {
    for name in ["vgg19", "resnet18", "resnet18-gap", "vggnet"] {
        engines_meet_the_reference(small(name), 4);
    }
}

/// The published VGG19 at full width, one training step.
#[test]
fn a_whole_vgg19_step_meets_the_reference() {
    let arch = Architecture {
        channels: 1,
        ..Architecture::published("vgg19")
    };
    let graph = build(&arch, 7).unwrap();
    let network = init::fresh(graph.clone(), 7);
    let far = worst(&step_distance(
        &mut NativeEngine::<f32>::new(graph),
        &network,
        2,
    ));
    assert!(far < 1e-4, "{far:e}");
}

/// bfloat16 has 8 bits, and where the terms of a gradient cancel, few are left; a wrong operator would be
/// off by its whole size. Left out is what stands before a batch normalisation of a single channel or of one
/// vector an image: with so few values it takes away nearly all of a gradient, and the rounding stays.
#[test]
fn a_bfloat16_step_is_as_near_as_its_rounding() {
    if !Bf16::is_fast() {
        let _ = writeln!(std::io::stderr().lock(), "SKIP: no fast bfloat16 here");
        return;
    }
    for graph in [every_operator(), attention()] {
        let mut engine = Precision::Bf16.engine(graph.clone());
        for (name, far) in step_distance(engine.as_mut(), &lively(graph, 7), 4) {
            let few = ["place.", "features."].iter().any(|n| name.starts_with(n));
            assert!(few || far < 0.2, "{name}: {far:e}");
        }
    }
}

/// In 64 bits the reference's gradients and finite differences differ by rounding only.
#[test]
fn the_reference_equals_finite_differences() {
    for graph in [every_operator(), attention()] {
        gradients_equal_finite_differences(&graph);
    }
}

fn gradients_equal_finite_differences(graph: &Graph) {
    let batch = 3;
    let params = Params::new(&lively(graph.clone(), 21));
    let mut reference = Reference::new(graph, &params);
    let pixels = widened(&batch_for(graph, batch, 11));
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let dlogits = widened(&uniform(&mut rng, batch * graph.classes(), -1.0, 1.0));
    let pass = reference.forward(&pixels, batch, 5);
    let gradients = reference.backward(&pass, &dlogits);
    let objective = |reference: &Reference| -> f64 {
        let pass = reference.forward(&pixels, batch, 5);
        pass.logits().iter().zip(&dlogits).map(|(l, d)| l * d).sum()
    };
    let mut checked = 0;
    for (node, of_node) in gradients.iter().enumerate() {
        let trained = params.of(crate::graph::NodeId(node)).iter().zip(of_node);
        for (t, (_, gradient)) in trained.enumerate().filter(|(_, (p, _))| p.role.trained()) {
            for (i, got) in gradient.iter().enumerate() {
                let step = 1e-6;
                let mut at = |delta: f64| {
                    let before = reference.tensors[node][t][i];
                    reference.tensors[node][t][i] = before + delta;
                    let value = objective(&reference);
                    reference.tensors[node][t][i] = before;
                    value
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                assert!(
                    (got - difference).abs() <= 1e-6 * (1.0 + difference.abs()),
                    "node {node} tensor {t}[{i}]: {got} against {difference}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 150, "{checked}");
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let graph = small("vgg19");
    let network = lively(graph.clone(), 7);
    let pixels = batch_for(&graph, 6, 3);
    let d = vec![0.1; 6 * 7];
    for precision in [Precision::F32, Precision::Bf16] {
        let run = || {
            let mut engine = precision.engine(graph.clone());
            let mut params = Params::new(&network);
            engine.forward(&mut params, &pixels, 6, 5).unwrap();
            engine.backward(&mut params, &d).unwrap();
            params
                .iter()
                .flat_map(|p| p.grad.clone())
                .collect::<Vec<f32>>()
        };
        assert_eq!(run(), run());
    }
}

#[test]
fn evaluation_uses_the_running_statistics() {
    let graph = small("vgg19");
    let params = Params::new(&lively(graph.clone(), 7));
    let pixels = batch_for(&graph, 5, 3);
    let [native, candle] = engines(&graph).map(|mut e| e.infer(&params, &pixels, 5).unwrap());
    assert!(distance(&native, &widened(&candle)) < 1e-4);
    let rounded = Precision::Bf16
        .engine(graph)
        .infer(&params, &pixels, 5)
        .unwrap();
    assert!(distance(&rounded, &widened(&candle)) < 0.05);
}

/// A ReLU that made zeros of them would have a network that diverged look well.
#[test]
fn what_is_no_number_reaches_the_logits() {
    let mut network = lively(small("vgg11"), 7);
    let input = batch_for(&network.graph, 2, 1);
    let first = network.weights.get_mut("features.0.weight").unwrap();
    first.data_mut()[0] = f32::NAN;
    let mut engine = NativeEngine::<f32>::new(network.graph.clone());
    let mut params = Params::new(&network);
    let trained = engine.forward(&mut params, &input, 2, 3).unwrap();
    let judged = engine.infer(&params, &input, 2).unwrap();
    for logits in [trained, judged] {
        assert!(logits.iter().all(|logit| logit.is_nan()), "{logits:?}");
    }
}

#[test]
fn wrong_lengths_and_order_are_errors() {
    let graph = small("vgg11");
    let mut params = Params::new(&init::fresh(graph.clone(), 1));
    for mut engine in engines(&graph) {
        assert!(engine.backward(&mut params, &[0.0; 7]).is_err());
        let error = engine.infer(&params, &[0.0; 10], 1).unwrap_err();
        assert!(error.to_string().contains("expected 1936"), "{error}");
    }
}
