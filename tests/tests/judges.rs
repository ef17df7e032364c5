//! Exported files in runtimes that are not ours: ONNX Runtime, OpenVINO and tract must agree with the
//! engine that trained.
//!
//! The judges run in Python (`tests/judges/`, packages pinned in its `requirements.txt`), found by
//! `FER_PYTHON` or in `.venv/` in the repository root:
//!
//! ```sh
//! python3 -m venv .venv && .venv/bin/pip install -r tests/judges/requirements.txt
//! ```

use std::collections::BTreeMap;

use fer_models::{Crops, Labels, ModelPackage, Preprocess};
use fer_tests::judges::{Case, Judges, RUNTIMES};
use fer_tests::skip;
use fer_tools::checkpoint::Checkpoint;
use fer_tools::data::{LoadOptions, Split, load};
use fer_tools::export::{OnnxModel, compare, to_onnx};
use fer_tools::graph::build::{Architecture, GraphBuilder, NAMES, build};
use fer_tools::graph::exec::{Engine, NativeEngine, Params};
use fer_tools::graph::fold::fold;
use fer_tools::graph::{Border, Conv2d, Graph, Network, Op, Pool, Role, init};
use fer_tools::judge::Candidate;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Largest accepted difference between any two runtimes' logits.
const TOLERANCE: f32 = 1e-3;

/// Every case's logits by every runtime, tract included.
fn all(judges: &Judges, cases: &[Case]) -> BTreeMap<&'static str, Vec<Vec<f32>>> {
    let folder = tempfile::tempdir().unwrap();
    let mut all: BTreeMap<_, _> = RUNTIMES
        .map(|runtime| (runtime, judges.logits(runtime, folder.path(), cases)))
        .into();
    let tract = |case: &Case| {
        let mut model = OnnxModel::load(&case.onnx).unwrap();
        model.logits(&case.pixels, case.images()).unwrap()
    };
    all.insert("tract", cases.iter().map(tract).collect());
    all
}

/// Random weights with BatchNorm scales and statistics away from their starting values.
fn lively(graph: Graph, seed: u64) -> Network {
    let mut network = init::fresh(graph, seed);
    let mut rng = StdRng::seed_from_u64(seed);
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

/// The operators that the architectures do not use, and padded pools, where runtimes like to differ.
fn odds_and_ends() -> Graph {
    let (mut b, image) = GraphBuilder::new([3, 17, 17]);
    let conv = Conv2d {
        stride: 2,
        padding: Border::NONE,
        groups: 3,
        ..Conv2d::square(3, 6, 3)
    };
    let x = b.norm("first", image, 3);
    let x = b.conv("grouped", x, conv);
    let side = b.push("sigmoid", Op::Sigmoid, &[x]);
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
    let gate = b.push("gate", Op::Sigmoid, &[gate]);
    let x = b.push("gated", Op::Mul, &[x, gate]);
    let x = b.push("flat", Op::Flatten, &[x]);
    b.linear("head", x, 12 * 4 * 4, 7);
    b.finish("odds").unwrap()
}

#[test]
fn three_runtimes_agree_with_the_engine_on_every_architecture() {
    let Some(judges) = Judges::find() else { return };
    const IMAGES: usize = 5;
    let small = |name| {
        let arch = Architecture::small(name).unwrap();
        build(&arch, 7).unwrap()
    };
    let mut graphs: Vec<Graph> = NAMES.into_iter().map(small).collect();
    graphs.push(odds_and_ends());

    let mut rng = StdRng::seed_from_u64(1);
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for graph in graphs {
        let network = lively(graph, 2);
        let shape @ [channels, crop, _] = network.graph.input_shape();
        let input = Preprocess {
            crop,
            ..Preprocess::fer2013(channels)
        };
        let pixels: Vec<f32> = (0..IMAGES * shape.iter().product::<usize>())
            .map(|_| rng.random_range(0.0..1.0))
            .collect();
        let mut engine = NativeEngine::<f32>::new(network.graph.clone());
        let logits = engine.infer(&Params::new(&network), &pixels, IMAGES);
        expected.push(logits.unwrap());
        let onnx = to_onnx(&fold(&network), "test", &Labels::fer2013(), &input);
        cases.push(Case {
            name: network.graph.name().to_owned(),
            onnx: onnx.unwrap(),
            shape,
            pixels,
        });
    }
    for (runtime, logits) in all(&judges, &cases) {
        for ((case, logits), expected) in cases.iter().zip(&logits).zip(&expected) {
            let agreement = compare(logits, expected, 7).unwrap();
            let name = &case.name;
            assert!(
                agreement.difference < TOLERANCE,
                "{runtime} on {name}: {agreement:?}"
            );
            assert_eq!(agreement.same_argmax, IMAGES, "{runtime} on {name}");
        }
    }
}

#[test]
fn three_runtimes_agree_with_the_engine_on_a_thousand_real_faces() {
    let Some(judges) = Judges::find() else { return };
    let Some(data) = skip::data() else {
        skip::skip("no ../shared/data and no FER_DATA: the shipped model was not judged");
        return;
    };
    const IMAGES: usize = 1000;
    let package = ModelPackage::open(&skip::root().join("models/zoo/vgg19-lite")).unwrap();
    let input = package.manifest.input;
    let options = LoadOptions {
        tile: input.tile,
        ..LoadOptions::default()
    };
    let faces = load(&data.join("fer2013.csv.xz"), &options)
        .unwrap()
        .dataset;
    let public = &faces.indices(Split::PublicTest)[..IMAGES];
    let mut pixels = vec![0.0; IMAGES * input.input_len()];
    for (&face, out) in public.iter().zip(pixels.chunks_mut(input.input_len())) {
        input.write_input(faces.image(face), Crops::Center, out);
    }
    let case = Case {
        name: package.manifest.name.clone(),
        onnx: package.onnx().to_vec(),
        shape: [input.channels, input.crop, input.crop],
        pixels,
    };
    // the network as it was trained, batch normalisation and all
    let folder = skip::root().join("models/zoo/vgg19-lite");
    let trained = Checkpoint::load(&folder.join("checkpoint.safetensors")).unwrap();
    let mut candidate = Candidate::from_checkpoint(trained);
    let expected = candidate.predict(&case.pixels, IMAGES).unwrap();
    for (runtime, logits) in all(&judges, &[case]) {
        let agreement = compare(&logits[0], &expected, package.manifest.labels.len()).unwrap();
        skip::note(&format!(
            "{runtime} against the engine on {IMAGES} faces: {:.1e}, same decision on {}",
            agreement.difference, agreement.same_argmax
        ));
        assert!(agreement.difference < TOLERANCE, "{runtime}: {agreement:?}");
        assert!(
            agreement.same_argmax >= IMAGES * 999 / 1000,
            "{runtime}: {agreement:?}"
        );
    }
}
