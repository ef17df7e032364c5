use super::*;
use crate::graph::build::{Architecture, build};
use crate::graph::exec::{Engine, NativeEngine, Params};
use crate::graph::init;
use crate::train::{LossOptions, cross_entropy};

const FEATURES: [f32; 6] = [1.0, 2.0, -0.5, 0.3, 0.0, 4.0];
/// Two hard labels and a mix.
const TARGETS: [f32; 6] = [1.0, 0.0, 0.0, 1.0, 0.25, 0.75];

fn centers() -> Centers {
    let values = Array::new([2, 2], vec![0.5, 0.5, -1.0, 2.0]);
    Centers { values }
}

#[test]
fn the_gradient_equals_finite_differences() {
    let (_, gradient) = centers().loss(&FEATURES, &TARGETS);
    for i in 0..6 {
        let at = |delta: f32| {
            let mut moved = FEATURES;
            moved[i] += delta;
            centers().loss(&moved, &TARGETS).0
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        let got = f64::from(gradient[i]);
        assert!((slope - got).abs() < 1e-4, "{i}: {got} against {slope}");
    }
}

#[test]
fn a_center_goes_part_of_the_way_to_its_images() {
    let mut centers = Centers::new(2, 1);
    // class 0: two images at 3; class 1: none
    centers.follow(&[3.0, 3.0], &[1.0, 0.0, 1.0, 0.0], 0.5);
    assert_eq!(centers.values().data(), [0.5 * 6.0 / 3.0, 0.0]);
    let (before, _) = centers.loss(&[3.0], &[1.0, 0.0]);
    assert_eq!(before, 0.5 * 4.0);
    assert!(!centers.restore(Array::new([1, 2], vec![0.0; 2])));
}

/// The whole way: the loss as a function of one weight, through the engine and its wider graph.
#[test]
fn a_networks_gradient_equals_finite_differences() {
    let arch = Architecture {
        width: 0.05,
        channels: 1,
        dropout: 0.3,
        ..Architecture::published("vgg11")
    };
    let graph = build(&arch, 3).unwrap();
    let options = CenterOptions {
        weight: 0.5,
        rate: 0.0,
        after: 0,
    };
    let (mut head, wider) = CenterHead::new(options, &graph).unwrap();
    assert_eq!(wider.classes(), 3 + 24);
    head.centers.values.data_mut().fill(0.2);
    let mut params = Params::new(&init::fresh(wider.clone(), 5));
    let mut engine = NativeEngine::<f32>::new(wider);
    let pixels: Vec<f32> = (0..4 * 44 * 44)
        .map(|i| (i * 7919 % 251) as f32 / 251.0)
        .collect();
    let targets = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.5, 0.0];
    let mut loss_of = |params: &mut Params| {
        let rows = engine.forward(params, &pixels, 4, 1).unwrap();
        let (logits, features) = head.split(&rows);
        let mut loss = cross_entropy(&LossOptions::default(), &[], 3, &logits, &targets, None);
        head.add(0, &features, &targets, &mut loss);
        engine.backward(params, &loss.gradient).unwrap();
        loss.mean
    };
    loss_of(&mut params);
    let names = [
        "features.0.weight",
        "features.25.weight",
        "features.26.bias",
        "classifier.weight",
    ];
    let found: Vec<(usize, f32)> = params
        .iter()
        .enumerate()
        .filter(|(_, p)| names.contains(&p.name.as_str()))
        .map(|(i, p)| (i, p.grad[1]))
        .collect();
    assert_eq!(found.len(), names.len());
    for (i, got) in found {
        let mut at = |delta: f32| {
            let mut moved = params.clone();
            moved.iter_mut().nth(i).unwrap().value[1] += delta;
            loss_of(&mut moved)
        };
        let slope = (at(2e-4) - at(-2e-4)) / 4e-4;
        let gap = (slope - f64::from(got)).abs();
        assert!(
            gap < 2e-2 * slope.abs().max(0.05),
            "{i}: {got} against {slope}"
        );
    }
}
