//! Every architecture does everything: shapes, a training step, pruning, folding, export, agreement of runtimes.
//!
//! At an eighth of the width and the smallest side that the layers accept, so that all of them take seconds. ONNX Runtime and
//! OpenVINO judge the same networks in `tests/tests/judges.rs`.

use fer_models::{Labels, Preprocess, argmax, softmax};
use fer_tools::compress::slim::{SlimError, SlimOptions, Target, cut, masked, slim};
use fer_tools::export::{OnnxModel, to_onnx};
use fer_tools::graph::build::{Architecture, NAMES, build};
use fer_tools::graph::exec::{CandleEngine, Engine, NativeEngine, Params};
use fer_tools::graph::fold::fold;
use fer_tools::graph::{Graph, Network, Op, Role, init};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const IMAGES: usize = 6;
const CLASSES: usize = 7;

fn pixels(graph: &Graph, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let each = graph.input_shape().iter().product::<usize>();
    // of different brightness, so that also a network that sees little sees that
    (0..IMAGES)
        .flat_map(|_| {
            let bright: f32 = rng.random_range(0.2..1.0);
            (0..each)
                .map(|_| rng.random_range(0.0..bright))
                .collect::<Vec<f32>>()
        })
        .collect()
}

/// Mean cross-entropy of the batch, and its gradient.
fn cross_entropy(logits: &[f32]) -> (f32, Vec<f32>) {
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(logits.len());
    for (image, row) in logits.chunks(CLASSES).enumerate() {
        let label = image % CLASSES;
        let mut scores = vec![0.0; CLASSES];
        softmax(row, 1.0, &mut scores);
        loss -= scores[label].max(1e-30).ln() / IMAGES as f32;
        scores[label] -= 1.0;
        gradient.extend(scores.iter().map(|s| s / IMAGES as f32));
    }
    (loss, gradient)
}

/// Scales and shifts of the batch normalisations away from their first values; He's variance elsewhere, without which
/// networks that have none forget their image.
fn lively(graph: Graph, seed: u64) -> Network {
    let mut network = init::fresh(graph, seed);
    let mut rng = StdRng::seed_from_u64(seed);
    for spec in network.graph.tensors() {
        for value in network.weights.get_mut(&spec.name).unwrap().data_mut() {
            match spec.role {
                Role::Weight => *value *= 2.4,
                Role::NormScale => *value = rng.random_range(0.4..1.4),
                Role::NormShift => *value = rng.random_range(-0.3..0.3),
                Role::Bias | Role::RunningMean | Role::RunningVar => {}
            }
        }
    }
    network
}

/// A step against the gradient lowers the loss about as much as the gradient promises. Gives the network with the
/// statistics of its images.
fn training_lowers_the_loss(network: &Network, pixels: &[f32]) -> Network {
    const PROMISED: f32 = 0.002;
    let name = network.graph.name();
    let mut engine = NativeEngine::<f32>::new(network.graph.clone());
    let mut params = Params::new(network);
    let mut forward = |params: &mut Params| engine.forward(params, pixels, IMAGES, 1).unwrap();
    for _ in 0..30 {
        forward(&mut params);
    }
    let (before, gradient) = cross_entropy(&forward(&mut params));
    let moved = params.network(&network.graph);
    engine.backward(&mut params, &gradient).unwrap();
    let trained = || params.iter().filter(|p| p.role.trained());
    for param in trained() {
        assert!(
            param.grad.iter().all(|g| g.is_finite()),
            "{name}: {}",
            param.name
        );
    }
    let length: f32 = trained().flat_map(|p| &p.grad).map(|g| g * g).sum();
    let rate = PROMISED * before / length;
    for param in params.iter_mut().filter(|p| p.role.trained()) {
        for (value, grad) in param.value.iter_mut().zip(&param.grad) {
            *value -= rate * grad;
        }
    }
    let (after, _) = cross_entropy(&engine.forward(&mut params, pixels, IMAGES, 1).unwrap());
    let won = (before - after) / (PROMISED * before);
    assert!(
        (0.5..1.5).contains(&won),
        "{name}: {before} to {after}, {won} of what the gradient promised"
    );
    moved
}

fn native(network: &Network, pixels: &[f32]) -> Vec<f32> {
    let mut engine = NativeEngine::<f32>::new(network.graph.clone());
    engine.infer(&Params::new(network), pixels, IMAGES).unwrap()
}

/// Largest difference, in parts of the largest logit.
fn apart(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    let largest = left.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
    let pairs = left.iter().zip(right);
    pairs.map(|(l, r)| (l - r).abs()).fold(0.0, f32::max) / largest
}

/// Cuts 30 % of the channels: the smaller network computes what the one with zeros in their places does. Networks without
/// batch normalisation are refused, and given back whole.
fn pruning_equals_masking(network: Network, pixels: &[f32]) -> Network {
    let name = network.graph.name();
    let options = SlimOptions {
        target: Target::Percent(0.3),
        min_channels: 2,
        ..SlimOptions::default()
    };
    let mut nodes = network.graph.nodes().iter();
    let normed = nodes.any(|node| matches!(node.op, Op::BatchNorm { .. }));
    let slimmed = match slim(&network, &options) {
        Ok(slimmed) => slimmed,
        Err(SlimError::NothingPrunable { .. }) if !normed => return network,
        Err(error) => panic!("{name}: {error}"),
    };
    let [before, after] = [&slimmed.report.before, &slimmed.report.after];
    let left = after.cost.parameters as f64 / before.cost.parameters as f64;
    assert!(left < 0.9, "{name} kept {left} of its parameters");
    let zeroed = native(&masked(&network, &slimmed.keep).unwrap(), pixels);
    let small = native(&cut(&network, &slimmed.keep).unwrap(), pixels);
    let apart = apart(&small, &zeroed);
    assert!(apart < 1e-4, "{name}: cut and masked differ by {apart}");
    slimmed.network
}

/// Native engine, candle, and tract on the exported file, folded and not.
fn runtimes_agree(network: &Network, pixels: &[f32]) {
    let name = network.graph.name();
    let expected = native(network, pixels);
    let rows: Vec<&[f32]> = expected.chunks(CLASSES).collect();
    assert!(
        apart(rows[0], rows[1]) > 1e-4,
        "{name} does not see its image: {rows:?}"
    );
    let mut candle = CandleEngine::new(network.graph.clone(), candle_core::Device::Cpu);
    let logits = candle.infer(&Params::new(network), pixels, IMAGES).unwrap();
    let far = apart(&expected, &logits);
    assert!(far < 1e-4, "{name}: candle differs by {far}");
    let [channels, crop, _] = network.graph.input_shape();
    let input = Preprocess::of_side(channels, crop);
    for (form, exported) in [("folded", &fold(network)), ("as it is", network)] {
        let file = to_onnx(exported, name, &Labels::fer2013(), &input).unwrap();
        let mut model = OnnxModel::load(&file).unwrap();
        assert_eq!(model.input_shape(), network.graph.input_shape());
        let logits = model.logits(pixels, IMAGES).unwrap();
        let far = apart(&expected, &logits);
        assert!(far < 1e-4, "{name} {form}: tract differs by {far}");
        for (ours, theirs) in rows.iter().zip(logits.chunks(CLASSES)) {
            assert_eq!(argmax(ours), argmax(theirs), "{name} {form}");
        }
    }
}

#[test]
fn every_architecture_trains_is_pruned_and_runs_everywhere() {
    let one = |name: &str| {
        let published = build(&Architecture::published(name), CLASSES).unwrap();
        assert_eq!(published.classes(), CLASSES);
        let graph = build(&Architecture::small(name).unwrap(), CLASSES).unwrap();
        // EfficientNet adds a block's input where it is as wide as its output, which narrow ones more often are
        assert!(published.nodes().len() <= graph.nodes().len(), "{name}");
        let pixels = pixels(&graph, 3);
        let network = lively(graph, 5);
        let network = training_lowers_the_loss(&network, &pixels);
        let network = pruning_equals_masking(network, &pixels);
        runtimes_agree(&network, &pixels);
    };
    // all of them, so that one message tells everything
    let broken = |name: &&str| std::panic::catch_unwind(|| one(name)).is_err();
    let failed: Vec<&str> = NAMES.into_iter().filter(broken).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
