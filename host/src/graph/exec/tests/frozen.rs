//! What is frozen: it computes as at inference, keeps its statistics, gets no gradient, and lets through the
//! gradients of what lies before it.

use super::*;

/// Freezes the nodes whose names `frozen` picks.
fn freeze(params: &mut Params, graph: &Graph, frozen: impl Fn(&str) -> bool) {
    let nodes: Vec<bool> = graph.nodes().iter().map(|n| frozen(&n.name)).collect();
    params.freeze(&nodes);
}

/// One training step in each engine, with random gradients of the logits.
fn stepped(graph: &Graph, frozen: impl Fn(&str) -> bool) -> [(Vec<f32>, Params); 2] {
    let network = lively(graph.clone(), 7);
    let pixels = batch_for(graph, 5, 3);
    let dlogits = uniform(
        &mut ChaCha8Rng::seed_from_u64(9),
        5 * graph.classes(),
        -1.0,
        1.0,
    );
    engines(graph).map(|mut engine| {
        let mut params = Params::new(&network);
        freeze(&mut params, graph, &frozen);
        let logits = engine.forward(&mut params, &pixels, 5, 1).unwrap();
        engine.backward(&mut params, &dlogits).unwrap();
        (logits, params)
    })
}

#[test]
fn both_engines_agree_whatever_is_frozen() {
    let every = every_operator();
    let resnet = small("resnet18");
    type Case<'a> = (&'a Graph, &'a dyn Fn(&str) -> bool);
    let cases: [Case; 5] = [
        (&every, &|name| name == "norm"),
        (&every, &|name| {
            ["conv", "norm", "depthwise"].contains(&name)
        }),
        (&every, &|name| name == "hidden"),
        (&resnet, &|name| name.contains("bn")),
        (&resnet, &|name| {
            !name.starts_with("layer4") && name != "linear"
        }),
    ];
    for (case, (graph, frozen)) in cases.into_iter().enumerate() {
        let [(logits, native), (other, candle)] = stepped(graph, frozen);
        assert!(distance(&logits, &widened(&other)) < 1e-4, "{case}");
        let before = Params::new(&lively(graph.clone(), 7));
        for ((native, candle), before) in native.iter().zip(candle.iter()).zip(before.iter()) {
            let layer = native.name.rsplit_once('.').unwrap().0;
            assert_eq!(native.frozen, frozen(layer), "{}", native.name);
            if native.frozen {
                assert_eq!(native.value, before.value, "{case}: {}", native.name);
                assert_eq!(candle.value, before.value, "{case}: {}", native.name);
                assert!(native.grad.is_empty() && candle.grad.is_empty());
            } else if native.trained() {
                let want = widened(&candle.grad);
                // before a batch normalisation a bias has gradient zero but for rounding
                if want.iter().any(|g| g.abs() > 1e-5) {
                    let far = distance(&native.grad, &want);
                    assert!(far < 1e-3, "{case}: {}: {far:e}", native.name);
                }
            }
        }
    }
}

#[test]
fn with_every_normalisation_frozen_training_computes_what_inference_does() {
    let graph = build(
        &Architecture {
            width: 0.125,
            channels: 1,
            dropout: 0.0,
            ..Architecture::published("resnet18")
        },
        7,
    )
    .unwrap();
    let network = lively(graph.clone(), 7);
    let pixels = batch_for(&graph, 3, 3);
    for mut engine in engines(&graph) {
        let mut params = Params::new(&network);
        freeze(&mut params, &graph, |name| {
            name.contains("bn") || name.contains("shortcut.1")
        });
        let trained = engine.forward(&mut params, &pixels, 3, 1).unwrap();
        let inferred = engine.infer(&params, &pixels, 3).unwrap();
        assert_eq!(trained, inferred);
    }
}
