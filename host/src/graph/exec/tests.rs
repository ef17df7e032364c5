//! The same cases against both engines, and both against finite differences.

use candle_core::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{CandleEngine, Engine, NativeEngine, Params};
use crate::graph::build::{Architecture, GraphBuilder, build};
use crate::graph::{Conv2d, Graph, Network, Op, Pool, Role, init};

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
        inputs: 2,
        outputs: 4,
        kernel: 3,
        stride: 1,
        padding: 1,
        groups: 1,
        bias: true,
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
        kernel: 3,
        stride: 1,
        padding: 1,
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
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let pooled = b.push("max2", Op::MaxPool(padded), &[joined]);
    let flat = b.push("flatten", Op::Flatten, &[pooled]);
    let dropped = b.push("dropout", Op::Dropout { p: 0.3 }, &[flat]);
    let hidden = b.linear("hidden", dropped, 8 * 2 * 2, 6);
    let hidden = b.relu("relu3", hidden);
    b.linear("logits", hidden, 6, 3);
    b.finish("every-operator").unwrap()
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
        Box::new(NativeEngine::new(graph.clone())),
        Box::new(CandleEngine::new(graph.clone(), Device::Cpu)),
    ]
}

fn batch_for(graph: &Graph, batch: usize, seed: u64) -> Vec<f32> {
    let len = batch * graph.input_shape().iter().product::<usize>();
    uniform(&mut ChaCha8Rng::seed_from_u64(seed), len, 0.0, 1.0)
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let scale = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * scale,
            "{what}[{i}]: {a} against {b}"
        );
    }
}

/// Forward, running statistics and every gradient of both engines agree.
fn engines_agree(graph: Graph) {
    let network = lively(graph.clone(), 7);
    let pixels = batch_for(&graph, 4, 3);
    let dlogits = uniform(
        &mut ChaCha8Rng::seed_from_u64(9),
        4 * graph.classes(),
        -1.0,
        1.0,
    );
    let mut results = engines(&graph).map(|mut engine| {
        let mut params = Params::new(&network);
        let eval = engine.infer(&params, &pixels, 4).unwrap();
        // twice: the second step runs in buffers that the first one left behind
        let mut train = Vec::new();
        for seed in [1, 2] {
            train = engine.forward(&mut params, &pixels, 4, seed).unwrap();
            engine.backward(&mut params, &dlogits).unwrap();
        }
        (eval, train, params)
    });
    let [(eval_a, train_a, a), (eval_b, train_b, b)] = &mut results;
    let name = graph.name();
    assert_close(eval_a, eval_b, 1e-4, &format!("{name} eval"));
    assert_close(train_a, train_b, 1e-4, &format!("{name} train"));
    for (a, b) in a.iter().zip(b.iter()) {
        assert_close(&a.value, &b.value, 1e-4, &format!("{name} {}", a.name));
        // a convolution's bias before a batch normalisation has gradient zero but for rounding
        if b.grad.iter().any(|g| g.abs() > 1e-3) {
            assert_close(&a.grad, &b.grad, 1e-3, &format!("{name} d{}", a.name));
        }
    }
}

#[test]
fn both_engines_agree_on_every_operator() {
    engines_agree(every_operator());
}

#[test]
fn both_engines_agree_on_vgg19() {
    engines_agree(small("vgg19"));
}

#[test]
fn both_engines_agree_on_resnet18() {
    engines_agree(small("resnet18"));
    engines_agree(small("resnet18-gap"));
}

#[test]
fn both_engines_agree_on_vggnet() {
    engines_agree(small("vggnet"));
}

/// `Σ logits·d` in 64 bits, whose gradient the backward pass must give.
fn objective(engine: &mut dyn Engine, params: &Params, pixels: &[f32], d: &[f32]) -> f64 {
    let mut scratch = params.clone();
    let logits = engine.forward(&mut scratch, pixels, 3, 5).unwrap();
    logits
        .iter()
        .zip(d)
        .map(|(&l, &d)| f64::from(l) * f64::from(d))
        .sum()
}

#[test]
fn gradients_equal_finite_differences() {
    let graph = every_operator();
    let pixels = batch_for(&graph, 3, 11);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let dlogits = uniform(&mut rng, 3 * graph.classes(), -1.0, 1.0);
    for mut engine in engines(&graph) {
        let mut params = Params::new(&lively(graph.clone(), 21));
        engine.forward(&mut params, &pixels, 3, 5).unwrap();
        engine.backward(&mut params, &dlogits).unwrap();
        let (mut checked, mut kinks) = (0, 0);
        for t in 0..params.iter().count() {
            let param = params.iter().nth(t).unwrap().clone();
            for i in 0..param.grad.len() {
                let step = 2e-3;
                let mut at = |delta: f32| {
                    let mut moved = params.clone();
                    moved.iter_mut().nth(t).unwrap().value[i] += delta;
                    objective(engine.as_mut(), &moved, &pixels, &dlogits)
                };
                let (low, high) = (at(-step), at(step));
                let (near_low, near_high) = (at(-step / 2.0), at(step / 2.0));
                let wide = (high - low) / f64::from(2.0 * step);
                let near = (near_high - near_low) / f64::from(step);
                // where a ReLU or a maximum switches inside the step there is no derivative to meet
                if (wide - near).abs() > 0.02 * (1.0 + near.abs()) {
                    kinks += 1;
                    continue;
                }
                let got = f64::from(param.grad[i]);
                assert!(
                    (got - near).abs() <= 0.02 * (1.0 + near.abs()),
                    "{}[{i}]: {got} against {near}",
                    param.name
                );
                checked += 1;
            }
        }
        assert!(
            checked > 300 && kinks < checked / 5,
            "{checked} checked, {kinks} kinks"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let graph = small("vgg19");
    let network = lively(graph.clone(), 7);
    let pixels = batch_for(&graph, 6, 3);
    let d = vec![0.1; 6 * 7];
    let run = || {
        let mut engine = NativeEngine::new(graph.clone());
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
