use std::collections::BTreeMap;

use super::super::count::Counts;
use super::super::{Node, Op};
use super::*;

fn full(name: &str) -> Graph {
    build(&Architecture::published(name), 7).unwrap()
}

fn parameters(name: &str) -> u64 {
    Counts::of(&full(name)).parameters
}

#[test]
fn parameter_counts_equal_the_references() {
    // seeds.md sections 1.2, 4.4 and 5
    assert_eq!(parameters("vgg19"), 20_038_983);
    assert_eq!(parameters("vgg16"), 14_726_727);
    assert_eq!(parameters("vgg13"), 9_414_471);
    assert_eq!(parameters("vgg11"), 9_229_575);
    assert_eq!(parameters("resnet18"), 11_172_423);
    assert_eq!(parameters("resnet18-gap"), 11_172_423);
    assert_eq!(parameters("vggnet"), 6_016_647);
    assert_eq!(parameters("resnet"), 11_176_839);
    assert_eq!(parameters("resmasking_dropout1"), 137_796_423);
}

#[test]
fn thousand_way_counts_equal_the_published_ones() {
    // torchvision's documentation, less the classifiers in the middle of GoogLeNet and Inception, and pytorchcv's
    // table in millions
    for (name, count) in [
        ("alexnet", 61_100_840),
        ("vgg16-imagenet", 138_357_544),
        ("vgg19_bn", 143_678_248),
        ("resnet18-imagenet", 11_689_512),
        ("resnet34-imagenet", 21_797_672),
        ("resnet50-imagenet", 25_557_032),
        ("resnet152-imagenet", 60_192_808),
        ("densenet121", 7_978_856),
        ("googlenet", 6_624_904),
    ] {
        let graph = build(&Architecture::published(name), 1000).unwrap();
        assert_eq!(Counts::of(&graph).parameters, count, "{name}");
    }
    for (name, millions) in [("cbam_resnet50", 28.09), ("bam_resnet50", 25.92)] {
        let graph = build(&Architecture::published(name), 1000).unwrap();
        let count = Counts::of(&graph).parameters as f64 / 1e6;
        assert!((count - millions).abs() < 0.01, "{name}: {count} M");
    }
}

#[test]
fn the_vggface_networks_have_the_counts_of_their_formula() {
    // ResNet50's count does not depend on where the stride is; an excitation adds two layers with biases a block
    let excitations: u64 = [(256, 3), (512, 4), (1024, 6), (2048, 3)]
        .into_iter()
        .map(|(c, blocks)| blocks * (2 * c * (c / 16) + c / 16 + c))
        .sum();
    let resnet = parameters("resnet50-vggface2");
    assert_eq!(resnet, parameters("resnet50-imagenet"));
    assert_eq!(parameters("senet50-vggface2"), resnet + excitations);
}

#[test]
fn the_ferplus_network_has_the_count_of_its_formula() {
    let convs = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256)]
        .into_iter()
        .chain([(256, 256); 5])
        .map(|(inputs, outputs)| inputs * outputs * 9 + outputs);
    let layers = [(256 * 4 * 4, 1024), (1024, 1024), (1024, 8)]
        .into_iter()
        .map(|(inputs, outputs)| inputs * outputs + outputs);
    let graph = build(&Architecture::published("ferplus-vgg13"), 8).unwrap();
    let expected: u64 = convs.chain(layers).sum();
    assert_eq!(Counts::of(&graph).parameters, expected);
}

/// A line a tensor: name and sizes, without sizes of 1 at the end.
fn tensor_lines(graph: &Graph) -> String {
    let mut lines: Vec<String> = Vec::new();
    for spec in graph.tensors() {
        let mut sizes = &spec.shape[..];
        while let [rest @ .., 1] = sizes {
            sizes = rest;
        }
        let sizes = sizes.iter().map(|size| format!(" {size}"));
        lines.push(format!("{}{}\n", spec.name, sizes.collect::<String>()));
    }
    lines.sort();
    lines.concat()
}

#[derive(serde::Deserialize)]
struct Reference {
    parameters: u64,
    sha256: String,
}

/// `tests/fixtures/zoo/names.py` asked torchvision, pytorchcv and the spelt-out networks.
#[test]
fn names_and_shapes_are_those_of_the_reference_implementations() {
    let text = include_str!("../../../tests/fixtures/zoo/names.json");
    let references: BTreeMap<String, Reference> = serde_json::from_str(text).unwrap();
    assert!(references.len() > 20, "{}", references.len());
    for (name, reference) in references {
        let graph = full(&name);
        assert_eq!(
            Counts::of(&graph).parameters,
            reference.parameters,
            "{name}"
        );
        let lines = tensor_lines(&graph);
        let digest = fer_models::sha256_hex(lines.as_bytes());
        assert_eq!(digest, reference.sha256, "{name} has the tensors\n{lines}");
    }
}

#[test]
fn published_inputs_are_the_references() {
    let shape = |name| full(name).input_shape();
    assert_eq!(shape("vgg19"), [3, 44, 44]);
    assert_eq!(shape("resnet"), [1, 48, 48]);
    assert_eq!(shape("ferplus-vgg13"), [1, 64, 64]);
    assert_eq!(shape("resnet50-imagenet"), [3, 224, 224]);
    assert_eq!(shape("inception_v3"), [3, 299, 299]);
}

/// Shape of the map that a node gives.
fn side_of(graph: &Graph, name: &str) -> Vec<usize> {
    let (id, _) = graph.iter().find(|(_, n)| n.name == name).unwrap();
    graph.shape(id).to_vec()
}

#[test]
fn maps_have_the_sizes_that_the_references_state() {
    let resmasking = full("resmasking_dropout1");
    for (mask, side) in [("mask1", 56), ("mask2", 28), ("mask3", 14), ("mask4", 7)] {
        let shape = side_of(&resmasking, &format!("{mask}.softmax"));
        assert_eq!(shape[1..], [side, side], "{mask}");
    }
    assert_eq!(side_of(&full("resnet"), "3"), [64, 12, 12]);
    assert_eq!(
        side_of(&full("resnet50-vggface2"), "pool1_3x3_s2"),
        [64, 56, 56]
    );
    assert_eq!(
        side_of(&full("googlenet"), "inception5b.concat"),
        [1024, 7, 7]
    );
    assert_eq!(
        side_of(&full("inception_v3"), "Mixed_7c.concat"),
        [2048, 8, 8]
    );
    // the first reference's ResNet18 averages the top left 4×4 of this
    assert_eq!(side_of(&full("resnet18"), "layer4.1.add"), [512, 6, 6]);
    assert_eq!(side_of(&full("resnet18"), "pool"), [512, 1, 1]);
}

#[test]
fn width_scales_channels_and_keeps_the_classes() {
    let arch = Architecture {
        width: 0.25,
        channels: 1,
        ..Architecture::published("vgg19")
    };
    let graph = build(&arch, 8).unwrap();
    assert_eq!(graph.classes(), 8);
    assert_eq!(graph.input_shape(), [1, 44, 44]);
    assert!(Counts::of(&graph).parameters < 20_038_983 / 15);
}

#[test]
fn widths_are_those_of_each_convolution() {
    let arch = |name, widths: &[usize]| Architecture {
        widths: widths.into(),
        ..Architecture::published(name)
    };
    let chosen = [8, 12, 16, 20, 24, 28, 32, 36];
    let graph = build(&arch("vgg11", &chosen), 7).unwrap();
    let outputs = |node: &Node| match node.op {
        Op::Conv2d(conv) => Some(conv.outputs),
        _ => None,
    };
    let built: Vec<usize> = graph.nodes().iter().filter_map(outputs).collect();
    assert_eq!(built, chosen);
    for (name, widths, says) in [
        ("vgg11", &chosen[1..], "expected 8 from 1"),
        ("vgg11", &[0; 8], "expected 8 from 1"),
        ("vgg19_bn", &chosen, "expected 16"),
        ("vggnet", &chosen, "VGG's"),
        ("resnet18", &chosen, "VGG's"),
    ] {
        let error = build(&arch(name, widths), 7).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn size_is_a_choice_and_a_size_too_small_names_the_node() {
    let arch = |name, size| Architecture {
        size: Some(size),
        ..Architecture::published(name)
    };
    let graph = build(&arch("resnet34-imagenet", 96), 7).unwrap();
    assert_eq!(graph.input_shape(), [3, 96, 96]);
    assert_eq!(
        Counts::of(&graph).parameters,
        parameters("resnet34-imagenet")
    );
    let error = build(&arch("vgg19", 31), 7).unwrap_err().to_string();
    assert!(error.contains("`features.52`"), "{error}");
    let error = build(&arch("resmasking", 100), 7).unwrap_err().to_string();
    assert!(error.contains("multiple of 32"), "{error}");
    for name in NAMES {
        assert!(build(&arch(name, 0), 7).is_err(), "{name}");
        let small = Architecture::small(name).unwrap();
        assert!(small.side() <= 128, "{name}");
        build(&small, 7).unwrap();
    }
}

#[test]
fn a_recipe_that_names_an_architecture_gets_what_is_published() {
    for name in NAMES {
        let text = format!(r#"{{"name":"{name}"}}"#);
        let read: Architecture = serde_json::from_str(&text).unwrap();
        assert_eq!(read, Architecture::published(name));
        let again = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Architecture>(&again).unwrap(), read);
    }
    let chosen: Architecture =
        serde_json::from_str(r#"{"name":"vgg19","dropout":0.1,"size":64}"#).unwrap();
    assert_eq!((chosen.dropout, chosen.side()), (0.1, 64));
    assert!(serde_json::from_str::<Architecture>(r#"{"name":"vgg19","depth":3}"#).is_err());
}

#[test]
fn dropout_stands_where_the_reference_has_it() {
    let dropouts = |name: &str| -> Vec<f32> {
        let of = |node: &Node| match node.op {
            Op::Dropout { p } => Some(p),
            _ => None,
        };
        full(name).nodes().iter().filter_map(of).collect()
    };
    assert_eq!(dropouts("resmasking_dropout1"), [0.4]);
    assert_eq!(dropouts("resmasking_dropout2"), [0.5]);
    assert!(dropouts("resnet34-imagenet").is_empty());
    assert_eq!(dropouts("vgg19_bn"), [0.5, 0.5]);
    let expected = [0.25, 0.25, 0.25, 0.25, 0.5, 0.5];
    assert_eq!(dropouts("ferplus-vgg13"), expected);
}

#[test]
fn dropout_can_be_changed_later() {
    let changed = full("vgg19_bn").with_dropout(0.1).unwrap();
    let built = Architecture {
        dropout: 0.1,
        ..Architecture::published("vgg19_bn")
    };
    assert_eq!(changed, build(&built, 7).unwrap());
    let error = full("resnet34-imagenet").with_dropout(0.1).unwrap_err();
    assert!(matches!(error, GraphError::NoDropout), "{error}");
    let error = full("vgg19").with_dropout(1.0).unwrap_err();
    assert!(error.to_string().contains("expected 0 up to 1"), "{error}");
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = build(&Architecture::published("vgg20"), 7).unwrap_err();
    assert!(error.to_string().contains("vgg19"), "{error}");
}

#[test]
fn a_graph_survives_json() {
    for name in NAMES {
        let graph = full(name);
        let text = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
    }
}
