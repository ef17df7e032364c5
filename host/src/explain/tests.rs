//! Explanations against finite differences, and against networks whose reasons are known.

use fer_models::{Labels, Preprocess};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::checkpoint::{Checkpoint, History};
use crate::graph::build::GraphBuilder;
use crate::graph::exec::{Engine, NativeEngine, Observer, Params};
use crate::graph::{Border, Conv2d, Graph, Network, NodeId, Op, Role, init};

const CONV: Conv2d = Conv2d {
    bias: true,
    ..Conv2d::square(1, 3, 3)
};

/// Convolution, normalisation, a ReLU that is fused, a second path around a gate, pooling, dropout.
fn small() -> Graph {
    let (mut b, x) = GraphBuilder::new([1, 8, 8]);
    let conv = b.conv("conv", x, CONV);
    let norm = b.norm("norm", conv, 3);
    let relu = b.relu("relu", norm);
    let deep = b.conv("conv2", relu, Conv2d { inputs: 3, ..CONV });
    let deep = b.norm("norm2", deep, 3);
    let gate = b.push("squeeze", Op::GlobalAvgPool, &[relu]);
    let gate = b.push("gate", Op::Sigmoid, &[gate]);
    let gated = b.push("gated", Op::Mul, &[deep, gate]);
    let sum = b.push("sum", Op::Add, &[gated, relu]);
    let sum = b.relu("relu2", sum);
    let half = b.halve("half", sum);
    let flat = b.push("flatten", Op::Flatten, &[half]);
    let flat = b.push("dropout", Op::Dropout { p: 0.5 }, &[flat]);
    b.linear("classifier", flat, 48, 3);
    b.finish("small").unwrap()
}

/// `graph` with random numbers everywhere, statistics included.
fn lively(graph: Graph, seed: u64) -> Network {
    let mut network = init::fresh(graph, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for spec in network.graph.tensors() {
        let range = match spec.role {
            Role::NormScale | Role::RunningVar => 0.5..1.5,
            Role::NormShift | Role::RunningMean | Role::Bias => -0.5..0.5,
            Role::Weight => continue,
        };
        let array = network.weights.get_mut(&spec.name).unwrap();
        for value in array.data_mut() {
            *value = rng.random_range(range.clone());
        }
    }
    network
}

fn named(graph: &Graph, name: &str) -> NodeId {
    find_layer(graph, name).unwrap()
}

fn face(seed: u64, len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| rng.random_range(0.0..1.0)).collect()
}

#[test]
fn looking_does_not_change_the_decision() {
    let network = lively(small(), 1);
    let all: Vec<NodeId> = (0..network.graph.nodes().len()).map(NodeId).collect();
    let pixels = face(2, 3 * 64);
    let params = Params::new(&network);
    let expected = NativeEngine::<f32>::new(network.graph.clone())
        .infer(&params, &pixels, 3)
        .unwrap();
    let mut observer = Observer::new(&network, &all);
    let observation = observer.forward(&pixels, 3).unwrap();
    let logits = observation.logits();
    for (found, expected) in logits.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    let outputs = observation.outputs();
    assert_eq!(
        observer.infer(&pixels, 3).unwrap(),
        (logits, outputs.clone())
    );
    assert_eq!(outputs[0].data(), pixels, "the image as it came");
    let [norm, relu] = ["norm", "relu"].map(|n| &outputs[named(&network.graph, n).0]);
    assert_eq!(norm.shape(), [3, 3, 8, 8]);
    assert!(norm.data().iter().any(|&v| v < 0.0), "not yet rectified");
    for (norm, relu) in norm.data().iter().zip(relu.data()) {
        assert_eq!(norm.max(0.0), *relu);
    }
}

/// Adds `Σ_k scale · step_k · node_k` to a node by a graph that reads it through an `Add` with a bias
/// of its own, so that the network itself is what the finite differences go through.
fn with_offset(network: &Network, node: &str, channel: usize, offset: f32) -> Network {
    let graph = &network.graph;
    let at = named(graph, node);
    let [channels, ..] = graph.shape(at) else {
        panic!("a map")
    };
    let moved = |id: &NodeId| NodeId(id.0 + usize::from(id.0 > at.0));
    let mut nodes = Vec::new();
    for (id, old) in graph.iter() {
        let mut new = old.clone();
        for input in &mut new.inputs {
            // readers of the node read the shifted one
            *input = if *input == at {
                NodeId(at.0 + 1)
            } else {
                moved(input)
            };
        }
        nodes.push(new);
        if id == at {
            nodes.push(crate::graph::Node {
                name: "offset".into(),
                op: Op::Conv2d(Conv2d {
                    inputs: *channels,
                    outputs: *channels,
                    kernel: [1; 2],
                    padding: Border::NONE,
                    groups: *channels,
                    ..CONV
                }),
                inputs: vec![at],
            });
        }
    }
    let mut weights = network.weights.clone();
    let mut bias = vec![0.0; *channels];
    bias[channel] = offset;
    let array = |shape: &[usize], data| crate::graph::Array::new(shape, data);
    weights.insert("offset.bias".into(), array(&[*channels], bias));
    let ones = array(&[*channels, 1, 1, 1], vec![1.0; *channels]);
    weights.insert("offset.weight".into(), ones);
    Network::new(Graph::new("offset", nodes).unwrap(), weights).unwrap()
}

#[test]
fn grad_cam_weights_agree_with_finite_differences() {
    let network = lively(small(), 3);
    let graph = &network.graph;
    // before and after fused ReLUs, behind a gate, a sum of two paths, behind a pooling
    let names = [
        "conv", "norm", "relu", "norm2", "gated", "sum", "relu2", "half",
    ];
    let shown = names.map(|n| named(graph, n));
    let pixels = face(4, 64);
    let class = 1;
    let mut observer = Observer::new(&network, &shown);
    let mut observation = observer.forward(&pixels, 1).unwrap();
    let gradients = observation.gradients(&[0.0, 1.0, 0.0]).unwrap();
    let again = observation.gradients(&[0.0, 1.0, 0.0]).unwrap();
    assert_eq!(gradients, again, "a pass can be asked twice");
    let logit = |network: &Network| {
        let params = Params::new(network);
        let mut engine = NativeEngine::<f32>::new(network.graph.clone());
        f64::from(engine.infer(&params, &pixels, 1).unwrap()[class])
    };
    for (name, gradient) in names.iter().zip(&gradients) {
        let plane: usize = gradient.shape()[2..].iter().product();
        for (channel, gradient) in gradient.data().chunks_exact(plane).enumerate() {
            // shifting a whole channel by δ moves the logit by δ times the sum of its gradients, which
            // is the Grad-CAM weight times the number of places
            let step = 1e-3;
            let [up, down] = [step, -step].map(|s| logit(&with_offset(&network, name, channel, s)));
            let difference = (up - down) / f64::from(2.0 * step);
            let sum: f64 = gradient.iter().map(|&g| f64::from(g)).sum();
            let error = (difference - sum).abs();
            assert!(
                error < 0.02 * sum.abs().max(0.5),
                "{name}, channel {channel}: {difference} {sum}"
            );
        }
    }
}

/// A network whose class 1 looks at the upper left quarter for brightness and whose class 0 at the
/// lower right: one convolution that copies the image, and two inner products.
fn quarters() -> Checkpoint {
    let (mut b, x) = GraphBuilder::new([1, 8, 8]);
    let copy = Conv2d {
        outputs: 1,
        kernel: [1; 2],
        padding: Border::NONE,
        ..CONV
    };
    let x = b.conv("copy", x, copy);
    let x = b.relu("relu", x);
    let x = b.push("flatten", Op::Flatten, &[x]);
    b.linear("classifier", x, 64, 2);
    let mut network = init::fresh(b.finish("quarters").unwrap(), 0);
    let weights = &mut network.weights;
    weights.get_mut("copy.weight").unwrap().data_mut()[0] = 1.0;
    let classifier = weights.get_mut("classifier.weight").unwrap().data_mut();
    classifier.fill(0.0);
    for i in 0..64 {
        let (y, x) = (i / 8, i % 8);
        if y < 4 && x < 4 {
            classifier[64 + i] = 1.0;
        }
        if y >= 4 && x >= 4 {
            classifier[i] = 1.0;
        }
    }
    Checkpoint {
        network,
        labels: Labels::new(vec!["low".into(), "high".into()]).unwrap(),
        input: Preprocess {
            crop: 8,
            tile: 8,
            ..Preprocess::fer2013(1)
        },
        history: History::default(),
    }
}

#[test]
fn maps_point_where_the_answer_is_known_to_come_from() {
    let mut explainer = Explainer::new(&quarters(), Some("copy")).unwrap();
    // a bright spot in the quarter that class 1 reads, and one that nobody reads
    let mut tile = vec![0; 64];
    tile[8 + 2] = 255;
    tile[6 * 8 + 1] = 255;
    let seen = explainer
        .explain(&tile, Method::GradCam, Class::Predicted)
        .unwrap();
    assert_eq!((seen.class, seen.seen.predicted), (1, 1));
    let hottest = |heat: &Heat| {
        let values = heat.values().iter().enumerate();
        values.max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
    };
    // Grad-CAM weighs whole channels: with one channel it cannot tell the two spots apart
    assert_eq!(seen.heat.values()[10], seen.heat.values()[49]);
    // covering can
    let how = Occlusion {
        cell: 1,
        step: 1,
        fill: Fill::Grey(0),
    };
    let (occluded, map) = explainer.occlude(&tile, &how, Class::Predicted).unwrap();
    assert_eq!(hottest(&occluded.heat), 10);
    assert!(occluded.heat.values()[49].abs() < 1e-6);
    assert_eq!(map.cells.len(), 64);
    // for the other class the same spot speaks against it
    let (other, _) = explainer.occlude(&tile, &how, Class::Number(0)).unwrap();
    assert!(other.heat.values()[10] < -0.1);
}

#[test]
fn channels_get_the_weight_of_what_reads_them() {
    // two channels: the image, and its negative; the class reads the mean of the first only
    let (mut b, x) = GraphBuilder::new([1, 8, 8]);
    let two = Conv2d {
        outputs: 2,
        kernel: [1; 2],
        padding: Border::NONE,
        ..CONV
    };
    let x = b.conv("two", x, two);
    let x = b.push("mean", Op::GlobalAvgPool, &[x]);
    b.linear("classifier", x, 2, 2);
    let mut network = init::fresh(b.finish("two").unwrap(), 0);
    let mut set = |name: &str, values: &[f32]| {
        let array = network.weights.get_mut(name).unwrap();
        array.data_mut().copy_from_slice(values);
    };
    set("two.weight", &[1.0, -1.0]);
    set("two.bias", &[0.0, 1.0]);
    set("classifier.weight", &[0.0, 0.0, 64.0, 0.0]);
    let checkpoint = Checkpoint {
        network,
        ..quarters()
    };
    let mut explainer = Explainer::new(&checkpoint, Some("two")).unwrap();
    let mut tile = vec![0; 64];
    tile[20] = 255;
    let mut cam = |method| {
        let map = explainer.explain(&tile, method, Class::Number(1)).unwrap();
        map.heat.values().to_vec()
    };
    // weight 1 for the first channel and 0 for the second: the image itself
    let mut image = [0.0; 64];
    image[20] = 1.0;
    assert_eq!(cam(Method::GradCam), image);
    assert_eq!(cam(Method::ChannelMean), [0.5; 64]);
    assert_eq!(cam(Method::ChannelMax), [1.0; 64]);
    // g = 1 everywhere and Σ output = 1: α = 1 / 3, 64 of them
    let plus = cam(Method::GradCamPlusPlus);
    assert!((plus[20] - 64.0 / 3.0).abs() < 1e-4, "{}", plus[20]);
}

#[test]
fn what_cannot_be_explained_is_refused_by_name() {
    let checkpoint = quarters();
    let refused = |layer: &str| {
        let error = Explainer::new(&checkpoint, Some(layer)).unwrap_err();
        error.to_string()
    };
    assert!(refused("classifier").contains("[2]"));
    assert!(refused("pixels").contains("pixels"));
    assert!(refused("copi").contains("copy"));
    let mut explainer = Explainer::new(&checkpoint, None).unwrap();
    assert_eq!(explainer.layer(), ("relu", [1, 8, 8]));
    let error = explainer.explain(&[0; 9], Method::GradCam, Class::Predicted);
    assert!(error.unwrap_err().to_string().contains("64"));
    let error = explainer.explain(&[0; 64], Method::GradCam, Class::Number(2));
    assert!(error.unwrap_err().to_string().contains("class 2"));
}
