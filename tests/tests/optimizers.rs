//! Our optimisers go where PyTorch's go, step by step.
//!
//! `host/tests/fixtures/torch/optimizers.py` prints PyTorch's way, in a Python with torch that
//! `FER_PYTHON_TORCH` names (`none`: there is none).

use std::collections::BTreeMap;
use std::process::Command;

use fer_tests::skip;
use fer_tools::graph::build::GraphBuilder;
use fer_tools::graph::exec::Params;
use fer_tools::graph::{Op, init};
use fer_tools::train::{Betas, Optimizer, OptimizerOptions, Rule};

const RATE: f32 = 0.05;
const TOLERANCE: f64 = 1e-5;

/// Six numbers, the weights of one inner product.
fn six_numbers() -> Params {
    let (mut b, x) = GraphBuilder::new([6, 1, 1]);
    let x = b.push("flatten", Op::Flatten, &[x]);
    b.linear("linear", x, 6, 1);
    let graph = b.finish("six").unwrap();
    let mut params = Params::new(&init::fresh(graph, 1));
    for param in params.iter_mut().filter(|p| p.name == "linear.weight") {
        for (i, v) in param.value.iter_mut().enumerate() {
            *v = 0.5 * i as f32 - 1.0;
        }
    }
    params
}

/// The same start and gradients as in the script.
fn largest_distance(rule: Rule, theirs: &[Vec<f64>]) -> f64 {
    let options = OptimizerOptions {
        rule,
        weight_decay: 0.02,
        ..OptimizerOptions::default()
    };
    let mut params = six_numbers();
    let mut optimizer = Optimizer::new(options, &params);
    let mut largest = 0.0f64;
    for (step, theirs) in theirs.iter().enumerate() {
        for param in params.iter_mut().filter(|p| p.name == "linear.weight") {
            for (i, (g, v)) in param.grad.iter_mut().zip(&param.value).enumerate() {
                let wave = (1.7 * step as f64 + i as f64).sin();
                *g = (0.3 * i as f64 * f64::from(*v) + wave) as f32;
            }
        }
        optimizer.step(&mut params, RATE);
        let ours = params.iter().find(|p| p.name == "linear.weight").unwrap();
        for (ours, theirs) in ours.value.iter().zip(theirs) {
            largest = largest.max((f64::from(*ours) - theirs).abs());
        }
    }
    largest
}

#[test]
fn twenty_steps_end_where_pytorchs_end() {
    let Some(python) = std::env::var_os("FER_PYTHON_TORCH") else {
        skip::skip("no FER_PYTHON_TORCH: no PyTorch to compare optimisers with");
        return;
    };
    if python.as_os_str() == "none" {
        skip::note("SKIP: FER_PYTHON_TORCH=none: no PyTorch to compare optimisers with");
        return;
    }
    let script = skip::root().join("host/tests/fixtures/torch/optimizers.py");
    let output = Command::new(python).arg(script).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let theirs: BTreeMap<String, Vec<Vec<f64>>> = serde_json::from_slice(&output.stdout).unwrap();

    let betas = |first, second, eps| Betas { first, second, eps };
    let rules = [
        (
            "sgd",
            Rule::Sgd {
                momentum: 0.9,
                nesterov: true,
            },
        ),
        ("adam", Rule::Adam(betas(0.5, 0.999, 1e-6))),
        ("adamw", Rule::AdamW(betas(0.9, 0.99, 1e-8))),
        // the first five steps are un-adapted ones
        ("radam", Rule::RAdam(betas(0.9, 0.999, 1e-8))),
    ];
    assert_eq!(theirs.len(), rules.len());
    for (name, rule) in rules {
        assert_eq!(theirs[name].len(), 20);
        let largest = largest_distance(rule, &theirs[name]);
        skip::note(&format!("{name}: at most {largest:.1e} from PyTorch"));
        assert!(largest < TOLERANCE, "{name}: {largest}");
    }
}
