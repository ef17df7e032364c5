//! Every architecture of the builders.

use super::super::cut::cut_graph;
use super::super::testing::{logits, network, node, small};
use super::super::{Budget, Channels, Scope, SlimError, SlimOptions, Target, masked, slim};
use super::assert_cut_equals_masked;
use crate::graph::build::{Architecture, NAMES, build};
use crate::graph::count::Counts;
use crate::graph::{Graph, Network, Op};

fn options(target: Target, min_channels: usize) -> SlimOptions {
    SlimOptions {
        target,
        min_channels,
        ..SlimOptions::default()
    }
}

fn full_vgg19() -> Graph {
    build(&Architecture::published("vgg19"), 7).unwrap()
}

#[test]
fn a_cut_network_gives_what_the_masked_one_gives() {
    let normed = |graph: &Graph| {
        let mut nodes = graph.nodes().iter();
        nodes.any(|node| matches!(node.op, Op::BatchNorm { .. }))
    };
    for (seed, name) in NAMES.into_iter().enumerate() {
        let graph = build(&Architecture::small(name).unwrap(), 7).unwrap();
        if !normed(&graph) {
            continue;
        }
        let net = network(graph, seed as u64);
        for percent in [0.2, 0.5, 0.8] {
            let slimmed = slim(&net, &options(Target::Percent(percent), 2)).unwrap();
            let cut = slimmed.report.after.cost.parameters;
            assert!(cut < slimmed.report.before.cost.parameters, "{name}");
            assert_cut_equals_masked(&net, &slimmed.keep);
        }
    }
}

#[test]
fn the_comparison_sees_the_image_and_the_zeros() {
    let net = network(small("resnet18"), 1);
    let slimmed = slim(&net, &SlimOptions::default()).unwrap();
    let zeroed = logits(&masked(&net, &slimmed.keep).unwrap());
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-2);
    // two images, and before against after
    assert!(far(&zeroed[..7], &zeroed[7..]), "{zeroed:?}");
    assert!(far(&zeroed, &logits(&net)), "{zeroed:?}");
}

#[test]
fn a_network_without_batch_norm_is_refused_with_the_reason() {
    let net = network(small("vggnet"), 1);
    let error = slim(&net, &SlimOptions::default()).unwrap_err();
    assert!(matches!(error, SlimError::NothingPrunable { .. }));
    let text = error.to_string();
    assert!(
        text.contains("vggnet") && text.contains("BatchNorm"),
        "{text}"
    );
}

#[test]
fn the_classifiers_bias_is_carried_whole() {
    // the reference dropped it
    let net = network(small("vgg13"), 5);
    let slimmed = slim(&net, &SlimOptions::default()).unwrap().network;
    assert_eq!(
        slimmed.weights["classifier.bias"],
        net.weights["classifier.bias"]
    );
}

#[test]
fn prunable_classes_are_the_papers_channels() {
    let count = |graph: &Graph| {
        let channels = Channels::of(graph);
        (0..channels.count())
            .filter(|&class| channels.is_prunable(class))
            .count()
    };
    // seeds.md section 2: the 5,504 γ of VGG19
    assert_eq!(count(&full_vgg19()), 5504);
    // ResNet18: in each of four stages one trunk and the insides of two blocks
    let resnet = build(&Architecture::published("resnet18"), 7).unwrap();
    assert_eq!(count(&resnet), 3 * (64 + 128 + 256 + 512));
}

#[test]
fn vgg19_at_known_masks_has_the_parameters_of_the_formula() {
    let graph = full_vgg19();
    let channels = Channels::of(&graph);
    let convs: Vec<_> = graph
        .iter()
        .filter(|(_, node)| matches!(node.op, Op::Conv2d(_)))
        .map(|(id, _)| id)
        .collect();
    let irregular = [
        40, 64, 100, 128, 256, 255, 254, 200, 150, 60, 40, 30, 31, 50, 75, 332,
    ];
    let halves: Vec<usize> = convs.iter().map(|&id| graph.shape(id)[0] / 2).collect();
    for (widths, known) in [(irregular.to_vec(), None), (halves, Some(HALVED))] {
        let mut cut = vec![false; channels.count()];
        for (&conv, &width) in convs.iter().zip(&widths) {
            // every other channel first, so that no slice is a prefix
            let mut order: Vec<usize> = channels.classes(conv).to_vec();
            order.sort_by_key(|class| class % 2);
            for &class in &order[width..] {
                cut[class] = true;
            }
        }
        let slim = cut_graph(&graph, &channels.keep(&cut)).unwrap();
        let mut expected = 0;
        let mut inputs = 3;
        for width in widths {
            // weights and bias, γ and β
            expected += inputs * width * 9 + width + 2 * width;
            inputs = width;
        }
        expected += inputs * 7 + 7;
        let parameters = Counts::of(&slim).parameters;
        assert_eq!(parameters, expected as u64);
        assert!(known.is_none_or(|known| known == parameters));
    }
}

/// Parameters of VGG19 with half the channels in every layer, seven classes.
const HALVED: u64 = 5_015_207;

#[test]
fn percent_cuts_about_that_share_and_more_cuts_more() {
    for name in ["vgg16", "resnet18-gap"] {
        let net = network(small(name), 8);
        let channels = Channels::of(&net.graph);
        let prunable = (0..channels.count()).filter(|&c| channels.is_prunable(c));
        let prunable = prunable.count() as f64;
        let mut last = None;
        for percent in [0.0, 0.1, 0.3, 0.5, 0.7, 1.0] {
            let keep = slim(&net, &options(Target::Percent(percent), 1)).unwrap();
            let keep = keep.keep;
            let mut stay = vec![false; channels.count()];
            for (id, _) in net.graph.iter() {
                for (&class, &stays) in channels.classes(id).iter().zip(keep.mask(id)) {
                    stay[class] |= stays;
                }
            }
            let cut = stay.iter().filter(|&&stays| !stays).count() as f64;
            // the floor may hold some back at the far end
            let tolerance = if percent == 1.0 { 0.2 } else { 0.03 };
            let share = cut / prunable;
            assert!((share - percent).abs() <= tolerance, "{percent}: {share}");
            if let Some(last) = last.replace(stay.clone()) {
                let grown = stay.iter().zip(&last).any(|(&now, &before)| now && !before);
                assert!(
                    !grown,
                    "{name} keeps a channel at {percent} that it cut before"
                );
            }
        }
    }
}

#[test]
fn budgets_are_met_as_closely_as_channels_allow() {
    let net = network(small("resnet18"), 2);
    let before = Counts::of(&net.graph);
    for part in [0.9, 0.5, 0.2] {
        let target = Target::KeepParams(Budget::Fraction(part));
        let after = Counts::of(&slim(&net, &options(target, 2)).unwrap().network.graph);
        let left = after.parameters as f64 / before.parameters as f64;
        assert!(left <= part && left > part - 0.05, "{part}: {left}");

        let limit = (before.multiply_adds as f64 * part) as u64;
        let target = Target::KeepMacs(Budget::Absolute(limit));
        let after = Counts::of(&slim(&net, &options(target, 2)).unwrap().network.graph);
        assert!(after.multiply_adds <= limit);
        assert!(after.multiply_adds as f64 > limit as f64 * 0.85);
    }
}

#[test]
fn the_tighter_of_two_budgets_decides() {
    let net = network(small("vgg11"), 2);
    let slimmed = |target| slim(&net, &options(target, 2)).unwrap().network;
    for (p, m) in [(0.2, 0.9), (0.9, 0.2), (0.3, 0.3)] {
        let [params, macs] = [p, m].map(Budget::Fraction);
        let both = slimmed(Target::KeepBoth { params, macs });
        let one = [Target::KeepParams(params), Target::KeepMacs(macs)].map(slimmed);
        let size = |network: &Network| Counts::of(&network.graph).parameters;
        let smaller = one.iter().min_by_key(|network| size(network)).unwrap();
        assert_eq!(&both, smaller, "{p} {m}");
    }
}

#[test]
fn a_budget_that_is_met_already_cuts_nothing() {
    let net = network(small("vgg11"), 2);
    let target = Target::KeepMacs(Budget::Fraction(1.0));
    assert_eq!(slim(&net, &options(target, 4)).unwrap().network, net);
}

#[test]
fn a_budget_below_the_floor_names_the_smallest() {
    let net = network(small("vgg11"), 2);
    let target = Target::KeepParams(Budget::Absolute(10));
    let error = slim(&net, &options(target, 4)).unwrap_err();
    let SlimError::Unreachable { smallest, .. } = error else {
        panic!("{error}");
    };
    // the smallest is reached when asked for
    let target = Target::KeepParams(Budget::Absolute(smallest));
    let slimmed = slim(&net, &options(target, 4)).unwrap();
    assert_eq!(slimmed.report.after.cost.parameters, smallest);
    for (id, node) in slimmed.network.graph.iter() {
        if matches!(node.op, Op::Conv2d(_)) {
            assert_eq!(slimmed.network.graph.shape(id)[0], 4, "{}", node.name);
        }
    }
}

#[test]
fn per_layer_every_layer_loses_the_same_share_its_weakest() {
    let mut net = network(small("vgg11"), 6);
    let scales = net.weights.get_mut("features.1.weight").unwrap();
    let weak = [1e-6, -9e-6, 2e-6, 8e-6, 3e-6, 7e-6, 0.0, -4e-6];
    scales.data_mut().copy_from_slice(&weak);
    let options = SlimOptions {
        scope: Scope::Layer,
        ..options(Target::Percent(0.5), 1)
    };
    let slimmed = slim(&net, &options).unwrap();
    for (id, node) in net.graph.iter() {
        if matches!(node.op, Op::Conv2d(_)) {
            let [before, after] = [&net, &slimmed.network].map(|n| n.graph.shape(id)[0]);
            assert_eq!(2 * after, before, "{}", node.name);
        }
    }
    let first = node(&net.graph, "features.0");
    assert_eq!(super::kept(&slimmed.keep, first), [1, 3, 5, 7]);
}

#[test]
fn layers_keep_a_multiple_of_channels_where_they_have_them() {
    let mut widths = Vec::new();
    let net = network(small("vgg11"), 6);
    for percent in [0.2, 0.5, 0.8] {
        let options = SlimOptions {
            round_to: 4,
            ..options(Target::Percent(percent), 1)
        };
        let slimmed = slim(&net, &options).unwrap().network;
        for (id, node) in net.graph.iter() {
            if matches!(node.op, Op::Conv2d(_)) {
                let [before, after] = [&net, &slimmed].map(|n| n.graph.shape(id)[0]);
                assert!(after % 4 == 0 || after == before, "{}: {after}", node.name);
                widths.push(after);
            }
        }
    }
    widths.sort_unstable();
    widths.dedup();
    assert!(widths.len() > 2, "{widths:?}");
}

#[test]
fn the_strongest_channels_of_a_layer_stay() {
    let mut net = network(small("vgg11"), 6);
    // the whole first layer is weaker than everything else
    let scales = net.weights.get_mut("features.1.weight").unwrap();
    let weak = [1e-6, -9e-6, 2e-6, 8e-6, 3e-6, 7e-6, 0.0, -4e-6];
    scales.data_mut().copy_from_slice(&weak);
    let keep = slim(&net, &options(Target::Percent(0.5), 3)).unwrap().keep;
    let first = node(&net.graph, "features.0");
    assert_eq!(super::kept(&keep, first), [1, 3, 5]);
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let mut net = network(small("vgg11"), 2);
    for percent in [-0.1, 1.1, 50.0, f64::NAN] {
        let error = slim(&net, &options(Target::Percent(percent), 4)).unwrap_err();
        assert!(matches!(error, SlimError::Percent(_)), "{error}");
    }
    for part in [0.0, -1.0, 1.5, f64::NAN] {
        let target = Target::KeepParams(Budget::Fraction(part));
        let error = slim(&net, &options(target, 4)).unwrap_err();
        assert!(matches!(error, SlimError::Fraction { .. }), "{error}");
    }
    let error = slim(&net, &options(Target::Percent(0.5), 0)).unwrap_err();
    assert!(matches!(error, SlimError::NoFloor), "{error}");
    let no_multiple = SlimOptions {
        round_to: 0,
        ..SlimOptions::default()
    };
    let error = slim(&net, &no_multiple).unwrap_err();
    assert!(matches!(error, SlimError::NoMultiple), "{error}");
    net.weights.get_mut("features.1.weight").unwrap().data_mut()[2] = f32::NAN;
    let error = slim(&net, &SlimOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("features.1.weight`[2]"),
        "{error}"
    );
    net.weights.remove("features.1.weight");
    let error = slim(&net, &SlimOptions::default()).unwrap_err();
    assert!(matches!(error, SlimError::Graph(_)), "{error}");
}

#[test]
fn a_mask_of_another_graph_is_refused() {
    let net = network(small("vgg11"), 2);
    let other = Channels::of(&small("vgg13"));
    let keep = other.keep(&vec![false; other.count()]);
    assert!(masked(&net, &keep).is_err());
    assert!(cut_graph(&net.graph, &keep).is_err());
}

#[test]
fn a_slim_network_can_be_slimmed_again() {
    let net = network(small("resnet18"), 3);
    let once = slim(&net, &options(Target::Percent(0.3), 2)).unwrap();
    let twice = slim(&once.network, &options(Target::Percent(0.3), 2)).unwrap();
    assert!(twice.report.after.cost.parameters < once.report.after.cost.parameters);
    assert_cut_equals_masked(&once.network, &twice.keep);
}
