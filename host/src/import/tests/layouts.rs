//! Where tensors may lie in the saved object, and what is said when they do not fit.

use super::assemble::*;
use crate::graph::build::{Architecture, build};

fn refused(object: Vec<u8>) -> String {
    let bytes = floats(&[0.0, 1.0]);
    refusal(&zip(&pickle(object), &[("0", 2, bytes)]))
}

#[test]
fn an_object_without_tensors_says_what_it_holds() {
    let cases = [
        (list(&[]), "the saved object: is a list, expected a dict"),
        (dict(&[]), "found nothing"),
        (
            dict(&[("epoch", int(1)), ("w", vector("0", 2))]),
            "found `epoch` (an integer), `w` (a tensor)",
        ),
        (
            dict(&[("net", int(1))]),
            "`net`: is an integer, expected a dict",
        ),
        (
            dict(&[("net", dict(&[])), ("state_dict", dict(&[]))]),
            "both `net` and `state_dict`",
        ),
        (
            dict(&[("net", dict(&[("w", b"N".to_vec())]))]),
            "`net.w`: is None, expected a tensor",
        ),
        (
            dict(&[("net", dict(&[("w", vector("0", 2)), ("w", vector("0", 2))]))]),
            "`net.w`: stands in the state dict twice",
        ),
        (
            [
                b"}".to_vec(),
                text("net"),
                [b"}".to_vec(), int(1), int(2), b"ss".to_vec()].concat(),
            ]
            .concat(),
            "`net`: has an integer as a key",
        ),
    ];
    for (object, says) in cases {
        let error = refused(object);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_wrong_cfg_names_its_entry() {
    let with = |cfg: Vec<u8>| {
        let state = dict(&[("features.0.weight", vector("0", 2))]);
        refused(dict(&[("cfg", cfg), ("state_dict", state)]))
    };
    let cases = [
        (int(3), "`cfg`: is an integer, expected a list"),
        (list(&[int(3), int(0)]), "`cfg[1]`: is 0"),
        (list(&[int(-5)]), "`cfg[0]`: is -5"),
        (
            list(&[int(4), text("A")]),
            "`cfg[1]`: is A, expected channels or 'M'",
        ),
        (list(&[list(&[])]), "`cfg[0]`: is a list"),
        (
            list(&[int(4), text("M")]),
            "cfg      is [4, M], the tensors are [",
        ),
    ];
    for (cfg, says) in cases {
        let error = with(cfg);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn everything_that_does_not_fit_is_listed_at_once() {
    let state = dict(&[
        ("module.features.0.weight", vector("0", 2)),
        ("module.stem.weight", vector("0", 2)),
        ("module.features.1.num_batches_tracked", int(7)),
    ]);
    let file = zip(
        &pickle(dict(&[("net", state)])),
        &[("0", 2, floats(&[0.0, 1.0]))],
    );
    let error = crate::import::read(&file, Some("vgg11"))
        .unwrap_err()
        .to_string();
    for words in [
        "does not fit vgg11 with names of the reference systems",
        "shape    features.0.weight is [2], expected [2, 3, 3, 3]",
        "missing  features.1.running_var [2]",
        "missing  classifier.weight [7, 512]",
        "unknown  stem.weight [2]",
    ] {
        assert!(error.contains(words), "{words} in {error}");
    }
    assert!(
        !error.contains("module.") && !error.contains("tracked"),
        "{error}"
    );
}

#[test]
fn a_chosen_architecture_is_the_one_compared() {
    let state = dict(&[("w", vector("0", 2))]);
    let file = zip(&pickle(state), &[("0", 2, floats(&[0.0, 1.0]))]);
    let error = |arch| {
        crate::import::read(&file, Some(arch))
            .unwrap_err()
            .to_string()
    };
    assert!(error("resnet18").contains("does not fit resnet18 "));
    assert!(error("vgg20").contains("no architecture `vgg20`"));
}

#[test]
fn a_linear_layer_may_be_a_convolution_of_one_pixel() {
    use crate::graph::{Graph, Op};
    let small = Architecture {
        width: 0.0625,
        ..Architecture::published("cbam_resnet50")
    };
    let graph = build(&small, 7).unwrap();
    let is_shared = |name: &str| name.contains(".mlp.fc");
    let mut items = Vec::new();
    for spec in graph.tensors() {
        let mut shape: Vec<i64> = spec.shape.iter().map(|&n| n as i64).collect();
        if is_shared(&spec.name) {
            // as pytorchcv writes them
            shape.truncate(2);
        }
        let mut strides = vec![1; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i];
        }
        let store = storage("HalfStorage", "0", 1 << 21);
        items.push((spec.name, tensor(store, 0, &shape, &strides)));
    }
    let items: Vec<_> = items.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    let file = zip(&pickle(dict(&items)), &[("0", 1 << 21, vec![0; 2 << 21])]);
    let network = crate::import::read(&file, None).unwrap().network;
    assert_eq!(network.graph, graph);
    let shared = |graph: &Graph| {
        let nodes = graph.nodes().iter().filter(|n| is_shared(&n.name));
        nodes.filter(|n| matches!(n.op, Op::Conv2d(_))).count()
    };
    assert_eq!(shared(&network.graph), 2 * 16);
}

#[test]
fn what_only_training_reads_is_left_out() {
    use crate::import::names::is_spare;
    for name in [
        "aux1.conv.conv.weight",
        "AuxLogits.fc.bias",
        "mask1.downsample8.0.weight",
        "mask4.downsample1.1.running_mean",
    ] {
        assert!(is_spare(name), "{name}");
    }
    for name in [
        "mask1.conv1.downsample.0.weight",
        "layer1.0.downsample.0.weight",
        "auxiliary.weight",
        "mask.downsample.0.weight",
    ] {
        assert!(!is_spare(name), "{name}");
    }
}

/// A whole network of zeros whose tensors all look at one storage of `len` halves.
fn shared(arch: &str, len: i64) -> Vec<u8> {
    let graph = build(&Architecture::published(arch), 7).unwrap();
    let mut items = Vec::new();
    for spec in graph.tensors() {
        let shape: Vec<i64> = spec.shape.iter().map(|&n| n as i64).collect();
        let mut strides = vec![1; shape.len()];
        for i in (1..shape.len()).rev() {
            strides[i - 1] = strides[i] * shape[i];
        }
        let store = storage("HalfStorage", "0", len);
        items.push((spec.name, tensor(store, 0, &shape, &strides)));
    }
    let items: Vec<_> = items.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
    zip(
        &pickle(dict(&items)),
        &[("0", len, vec![0; len as usize * 2])],
    )
}

#[test]
fn many_tensors_on_one_storage_do_not_multiply_it() {
    // 6.0 million numbers out of 4.7: shared, as tied weights may be
    assert!(crate::import::read(&shared("vggnet", 4608 * 1024), None).is_ok());
    // 14.7 million out of 2.4
    let error = refusal(&shared("vgg16", 512 * 512 * 9));
    assert!(
        error.contains("have 14735175 numbers, more than its"),
        "{error}"
    );
}
