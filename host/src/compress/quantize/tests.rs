//! Whole networks: float against integers, integers against the exported file.

use std::collections::BTreeSet;

use fer_models::{Labels, Preprocess};

use super::network::{layers_of, prepared};
use super::*;
use crate::export::tests::{engine_logits, lively, odds_and_ends, pixels};
use crate::export::{OnnxModel, compare, to_onnx_int8};
use crate::graph::build::{Architecture, NAMES, build};
use crate::graph::{Network, NodeId};

const IMAGES: usize = 24;

fn preprocess(network: &Network) -> Preprocess {
    let [channels, crop, _] = network.graph.input_shape();
    Preprocess {
        crop,
        ..Preprocess::fer2013(channels)
    }
}

fn networks() -> Vec<Network> {
    let small = |name| {
        let arch = Architecture::small(name).unwrap();
        lively(build(&arch, 7).unwrap(), 3)
    };
    let mut networks: Vec<Network> = NAMES.into_iter().map(small).collect();
    networks.push(odds_and_ends());
    networks
}

/// Largest logit minus smallest, over all images.
fn span(logits: &[f32]) -> f32 {
    let [low, high] = [f32::min, f32::max].map(|f| logits.iter().copied().reduce(f).unwrap());
    high - low
}

fn integers(quantized: &Quantized, pixels: &[f32]) -> Vec<f32> {
    let mut engine = IntegerEngine::new(quantized);
    engine.infer(pixels, IMAGES).unwrap()
}

#[test]
fn integers_stay_near_the_floats_and_the_file_computes_the_integers() {
    for network in networks() {
        let name = network.graph.name().to_owned();
        let input = preprocess(&network);
        let pixels = pixels(&network, IMAGES);
        let float = engine_logits(&network, &pixels, IMAGES);
        let calibrator = Calibrator::new(&network, input, &pixels).unwrap();
        let quantized = calibrator.quantize(Method::Mse, &BTreeSet::new()).unwrap();
        let logits = integers(&quantized, &pixels);
        let rounded = compare(&logits, &float, 7).unwrap();
        assert!(
            rounded.difference < 0.1 * span(&float),
            "{name}: {rounded:?}"
        );
        assert!(rounded.difference > 0.0, "{name}: nothing was rounded");

        let onnx = to_onnx_int8(&quantized, "test", &Labels::fer2013(), &input).unwrap();
        let mut model = OnnxModel::load(&onnx).unwrap();
        let tract = model.logits(&pixels, IMAGES).unwrap();
        let exported = compare(&logits, &tract, 7).unwrap();
        // floats that fall on the border of two codes go either way, and deep networks carry that on
        assert!(
            exported.difference < 0.1 * span(&float),
            "{name}: {exported:?}"
        );
        assert!(exported.same_argmax + 1 >= IMAGES, "{name}: {exported:?}");
    }
}

#[test]
fn every_method_works_and_with_all_layers_kept_nothing_changes() {
    let network = networks().remove(4);
    let (input, pixels) = (preprocess(&network), pixels(&network, IMAGES));
    let calibrator = Calibrator::new(&network, input, &pixels).unwrap();
    let graph = &calibrator.network().graph;
    let all: BTreeSet<NodeId> = layers_of(graph).collect();
    for method in [
        Method::MinMax,
        Method::Percentile(99.9),
        Method::Entropy,
        Method::Mse,
    ] {
        let float = engine_logits(&network, &pixels, IMAGES);
        let kept = calibrator.quantize(method, &all).unwrap();
        assert!(kept.layers().is_empty() && kept.is_mixed());
        let unchanged = compare(&integers(&kept, &pixels), &float, 7).unwrap();
        assert!(unchanged.difference < 1e-4, "{method}: {unchanged:?}");

        let quantized = calibrator.quantize(method, &BTreeSet::new()).unwrap();
        assert!(quantized.layers().len() == all.len() && !quantized.is_mixed());
        let distance = calibrator.distance(&quantized).unwrap();
        let rms = distance.squared.sqrt() as f32;
        assert!(rms < 0.05 * span(&float), "{method}: {distance:?}");
    }
}

#[test]
fn sensitivity_counts_each_layer_and_a_mixed_file_runs() {
    let network = odds_and_ends();
    let (input, pixels) = (preprocess(&network), pixels(&network, IMAGES));
    let calibrator = Calibrator::new(&network, input, &pixels).unwrap();
    let costs = calibrator.sensitivity(Method::MinMax).unwrap();
    let layers = layers_of(&calibrator.network().graph).count();
    assert_eq!(costs.len(), layers);
    assert!(costs.iter().all(|c| c.distance.squared > 0.0));
    assert!(costs.is_sorted_by(|a, b| a.distance.squared >= b.distance.squared));

    let keep = keep_worst(&costs, costs[0].multiply_adds);
    assert!(keep.contains(&costs[0].id));
    let mixed = calibrator.quantize(Method::MinMax, &keep).unwrap();
    assert!(mixed.is_mixed());
    let onnx = to_onnx_int8(&mixed, "test", &Labels::fer2013(), &input).unwrap();
    let tract = OnnxModel::load(&onnx).unwrap().logits(&pixels, IMAGES);
    let agreement = compare(&integers(&mixed, &pixels), &tract.unwrap(), 7).unwrap();
    assert!(agreement.same_argmax + 1 >= IMAGES, "{agreement:?}");
}

/// Distance of two tables of logits' means, class by class, at most.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    let mean = |l: &[f32], class| l.iter().skip(class).step_by(7).sum::<f32>() / IMAGES as f32;
    let each = (0..7).map(|class| (mean(a, class) - mean(b, class)).abs());
    each.fold(0.0, f32::max)
}

#[test]
fn corrected_biases_bring_the_means_back() {
    let network = networks().remove(0);
    let (input, pixels) = (preprocess(&network), pixels(&network, IMAGES));
    let float = engine_logits(&network, &pixels, IMAGES);
    let calibrator = Calibrator::new(&network, input, &pixels).unwrap();
    let method = Method::Percentile(90.0);
    let mut quantized = calibrator.quantize(method, &BTreeSet::new()).unwrap();
    let before = apart(&integers(&quantized, &pixels), &float);
    calibrator.correct_bias(&mut quantized).unwrap();
    let after = apart(&integers(&quantized, &pixels), &float);
    // all that is left is the rounding of the last bias
    assert!(after < before / 20.0 && after < 1e-3, "{before} {after}");
}

#[test]
fn the_search_takes_the_most_accurate_and_then_the_nearest() {
    let network = networks().remove(6);
    let (input, pixels) = (preprocess(&network), pixels(&network, IMAGES));
    let recipe = |method, equalize, correct_bias| Recipe {
        method,
        equalize,
        correct_bias,
    };
    let recipes = [
        recipe(Method::Percentile(60.0), false, false),
        recipe(Method::MinMax, true, true),
        recipe(Method::MinMax, false, true),
    ];
    let keep = BTreeSet::new();
    let run = |accuracies: [f64; 3]| {
        let mut accuracies = accuracies.into_iter();
        let judge = |_: &Quantized| Ok::<_, QuantizeError>(accuracies.next().unwrap());
        search(&network, input, &pixels, &recipes, &keep, judge).unwrap()
    };
    let found = run([0.5, 0.4, 0.4]);
    let names: Vec<&str> = found.trials.iter().map(|t| &t.recipe[..]).collect();
    assert_eq!(
        names,
        [
            "percentile 60",
            "minmax, bias corrected",
            "minmax, equalised, bias corrected"
        ]
    );
    assert_eq!(found.best, 0);
    assert_eq!(run([0.4, 0.4, 0.5]).best, 2);
    let tied = run([0.4, 0.4, 0.4]);
    assert_ne!(tied.best, 0, "cut off at 60 % is not the nearest");
}

#[test]
fn what_cannot_be_calibrated_is_refused() {
    let mut network = networks().remove(6);
    let (input, mut pixels) = (preprocess(&network), pixels(&network, 1));
    let refused = |network: &Network, pixels: &[f32]| {
        Calibrator::new(network, input, pixels)
            .err()
            .map(|e| e.to_string())
    };
    assert!(
        refused(&network, &[])
            .unwrap()
            .contains("at least one image")
    );
    let calibrator = Calibrator::new(&network, input, &pixels).unwrap();
    for percent in [50.0, 100.1, f64::NAN] {
        let error = calibrator.quantize(Method::Percentile(percent), &BTreeSet::new());
        assert!(
            matches!(error, Err(QuantizeError::Percentile(_))),
            "{percent}"
        );
    }
    let last = prepared(&network)
        .graph
        .nodes()
        .last()
        .unwrap()
        .name
        .clone();
    network
        .weights
        .get_mut(&format!("{last}.bias"))
        .unwrap()
        .data_mut()[0] = f32::NAN;
    assert!(refused(&network, &pixels).unwrap().contains(&last));
    pixels[0] = f32::INFINITY;
    assert!(refused(&network, &pixels).unwrap().contains("not finite"));
}
