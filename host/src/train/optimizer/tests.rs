use super::*;
use crate::graph::build::GraphBuilder;
use crate::graph::{Op, init};

/// One linear layer of one number each, value 1 and gradient 2; and a scale of 1.
fn params() -> Params {
    let (mut b, x) = GraphBuilder::new([1, 1, 1]);
    let x = b.norm("norm", x, 1);
    let x = b.push("flatten", Op::Flatten, &[x]);
    b.linear("linear", x, 1, 1);
    let graph = b.finish("one").unwrap();
    let mut params = Params::new(&init::fresh(graph, 1));
    for p in params.iter_mut() {
        p.value.fill(1.0);
        p.grad.fill(2.0);
    }
    params
}

fn after(options: OptimizerOptions, steps: usize) -> (f32, f32) {
    let mut p = params();
    let mut sgd = Optimizer::new(options, &p);
    (0..steps).for_each(|_| sgd.step(&mut p, 0.1));
    let value = |name: &str| p.iter().find(|p| p.name == name).unwrap().value[0];
    (value("linear.weight"), value("norm.weight"))
}

fn sgd(momentum: f32, nesterov: bool) -> OptimizerOptions {
    OptimizerOptions {
        rule: Rule::Sgd { momentum, nesterov },
        weight_decay: 0.0,
        ..OptimizerOptions::default()
    }
}

fn plain() -> OptimizerOptions {
    sgd(0.0, false)
}

fn close(a: f32, b: f32) {
    assert!((a - b).abs() < 1e-6, "{a} against {b}");
}

#[test]
fn updates_by_hand() {
    close(after(plain(), 1).0, 0.8);
    // v = 2, then 0.5·2 + 2 = 3
    close(after(sgd(0.5, false), 2).0, 1.0 - 0.2 - 0.3);
    close(after(sgd(0.5, true), 1).0, 1.0 - 0.1 * (2.0 + 0.5 * 2.0));
    let decay = OptimizerOptions {
        weight_decay: 0.5,
        ..plain()
    };
    close(after(decay, 1).0, 1.0 - 0.1 * 2.5);
}

#[test]
fn sparsity_is_added_to_scales_after_the_clamp() {
    let options = OptimizerOptions {
        clip: Clip::Value(0.1),
        sparsity: 0.05,
        ..plain()
    };
    let (weight, scale) = after(options, 1);
    close(weight, 1.0 - 0.1 * 0.1);
    close(scale, 1.0 - 0.1 * (0.1 + 0.05));
}

#[test]
fn norm_clipping_keeps_the_direction() {
    let options = OptimizerOptions {
        clip: Clip::Norm(1.0),
        ..plain()
    };
    // four numbers of gradient 2: length 4, so each becomes 0.5
    close(after(options, 1).0, 1.0 - 0.1 * 0.5);
}

#[test]
fn the_average_follows_and_is_what_is_evaluated() {
    let mut p = params();
    let options = OptimizerOptions {
        ema: 0.5,
        ..plain()
    };
    let mut sgd = Optimizer::new(options, &p);
    sgd.step(&mut p, 0.1);
    // young: decay is min(0.5, 2/11)
    let want = 1.0 + (1.0 - 2.0 / 11.0) * (0.8 - 1.0);
    let average = sgd.evaluated(&p);
    close(average.iter().last().unwrap().value[0], want);
    let own = Optimizer::new(plain(), &p);
    assert!(matches!(own.evaluated(&p), Cow::Borrowed(_)));
}

/// A slope penalty's gradient is that of its value; the update of one plain step of length 1 is the gradient.
#[test]
fn penalties_pull_by_the_slope_of_their_value() {
    let penalty = Penalty {
        l1: 0.3,
        l2: 0.2,
        layers: vec!["linear".into()],
        bias: true,
    };
    let mut start = params();
    for p in start.iter_mut() {
        p.value
            .fill(if p.name.ends_with("bias") { -0.7 } else { 0.9 });
        p.grad.fill(0.0);
    }
    let mut stepped = start.clone();
    Optimizer::new(plain(), &start)
        .with_penalty(penalty.clone())
        .step(&mut stepped, 1.0);
    for (i, after) in stepped.iter().enumerate() {
        let value_at = |delta: f32| {
            let mut moved = start.clone();
            moved.iter_mut().nth(i).unwrap().value[0] += delta;
            penalty.value(&moved)
        };
        let step = 1e-2;
        let slope = (value_at(step) - value_at(-step)) / f64::from(2.0 * step);
        let moved = f64::from(start.iter().nth(i).unwrap().value[0] - after.value[0]);
        assert!(
            (slope - moved).abs() < 1e-5,
            "{}: {moved} against {slope}",
            after.name
        );
        assert_eq!(
            moved != 0.0,
            after.name.starts_with("linear"),
            "{}",
            after.name
        );
    }
}

#[test]
fn frozen_tensors_keep_every_bit_and_have_no_state() {
    for rule in [
        RuleName::Sgd,
        RuleName::Adam,
        RuleName::AdamW,
        RuleName::RAdam,
    ] {
        let mut p = params();
        let norm: Vec<bool> = vec![false, true, false, false];
        p.freeze(&norm);
        let options = OptimizerOptions {
            weight_decay: 0.1,
            sparsity: 0.1,
            ema: 0.9,
            clip: Clip::Norm(1.0),
            ..rule.options()
        };
        let mut optimizer = Optimizer::new(options, &p);
        let before = p.clone();
        (0..8).for_each(|_| optimizer.step(&mut p, 0.1));
        let kept = optimizer.evaluated(&p);
        for (i, ((old, new), kept)) in before.iter().zip(p.iter()).zip(kept.iter()).enumerate() {
            let bits = |p: &Param| p.value.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(
                bits(old) == bits(new),
                old.name.starts_with("norm"),
                "{}",
                old.name
            );
            assert_eq!(
                bits(old) == bits(kept),
                old.name.starts_with("norm"),
                "{}",
                old.name
            );
            assert_eq!(optimizer.first[i].is_empty(), old.name.starts_with("norm"));
        }
    }
}

#[test]
fn tables_name_their_rule_and_refuse_another_rules_keys() {
    let read = |text: &str| toml::from_str::<OptimizerOptions>(text);
    // as recipes and checkpoints said it before there were other rules
    let old = read("momentum = 0.8\nnesterov = true\nweight_decay = 1e-4\nema = 0.9").unwrap();
    assert_eq!(
        old.rule,
        Rule::Sgd {
            momentum: 0.8,
            nesterov: true
        }
    );
    assert_eq!((old.weight_decay, old.ema), (1e-4, 0.9));
    assert_eq!(read("").unwrap(), OptimizerOptions::default());
    assert_eq!(read("kind = \"adamw\"").unwrap(), RuleName::AdamW.options());
    let radam = read("kind = \"radam\"\nbetas = [0.5, 0.99]\neps = 1e-6").unwrap();
    assert_eq!(
        radam.rule,
        Rule::RAdam(Betas {
            first: 0.5,
            second: 0.99,
            eps: 1e-6
        })
    );
    for wrong in [
        "kind = \"adam\"\nmomentum = 0.9",
        "betas = [0.9, 0.99]",
        "kind = \"lion\"",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    for options in [old, radam, RuleName::Adam.options()] {
        let text = toml::to_string(&options).unwrap();
        assert_eq!(read(&text).unwrap(), options, "{text}");
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(
            serde_json::from_str::<OptimizerOptions>(&json).unwrap(),
            options
        );
    }
}
