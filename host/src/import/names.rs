//! Whose names the tensors have: one function a system, from our node to its module.
//!
//! Our own names are those of the reference systems, of torchvision and of pytorchcv (`graph/build`), so most
//! checkpoints fit as they are.

use crate::graph::build::NAMES;
use crate::graph::{Graph, Op};

/// A system's names for one family of networks.
pub(super) struct Naming {
    /// The system, for messages.
    pub name: &'static str,
    /// The architectures that it has a counterpart of. Where two differ only in what has no tensors,
    /// the one that the system computes comes first.
    pub architectures: &'static [&'static str],
    /// Its name for the node at an index.
    pub node: fn(&Graph, usize) -> String,
    /// The VGG of this system ends in a 2×2 average instead of the fifth maximum.
    pub ends_in_average: bool,
}

const VGG: &[&str] = &["vgg11", "vgg13", "vgg16", "vgg19"];
const GLOBAL_FIRST: &[&str] = &["resnet18-gap", "resnet18", "resnet34-gap", "resnet50-gap"];
const IMAGENET_RESNETS: &[&str] = &[
    "resnet18-imagenet",
    "resnet34-imagenet",
    "resnet50-imagenet",
    "resnet101-imagenet",
    "resnet152-imagenet",
];

/// Every naming, the likeliest first.
pub(super) const NAMINGS: [Naming; 9] = [
    Naming {
        name: "the reference systems",
        architectures: &NAMES,
        node: own,
        ends_in_average: false,
    },
    Naming {
        name: "network-slimming",
        architectures: VGG,
        node: slimming,
        ends_in_average: true,
    },
    // `classifier` as a `Sequential` of dropout and layer, in either order
    Naming {
        name: "torchvision",
        architectures: VGG,
        node: |graph, index| own(graph, index).replace("classifier", "classifier.0"),
        ends_in_average: false,
    },
    Naming {
        name: "torchvision",
        architectures: VGG,
        node: |graph, index| own(graph, index).replace("classifier", "classifier.1"),
        ends_in_average: false,
    },
    Naming {
        name: "torchvision",
        architectures: GLOBAL_FIRST,
        node: |graph, index| torchvision_resnet(graph, index, "fc"),
        ends_in_average: false,
    },
    // `fc` as a `Sequential` of dropout and layer
    Naming {
        name: "torchvision",
        architectures: GLOBAL_FIRST,
        node: |graph, index| torchvision_resnet(graph, index, "fc.1"),
        ends_in_average: false,
    },
    Naming {
        name: "torchvision",
        architectures: IMAGENET_RESNETS,
        node: |graph, index| match own(graph, index).as_str() {
            "fc" => "fc.1".to_owned(),
            name => name.to_owned(),
        },
        ends_in_average: false,
    },
    Naming {
        name: "pytorchcv",
        architectures: VGG,
        node: pytorchcv_vgg,
        ends_in_average: false,
    },
    Naming {
        name: "pytorchcv",
        architectures: GLOBAL_FIRST,
        node: pytorchcv_resnet,
        ends_in_average: false,
    },
];

fn own(graph: &Graph, index: usize) -> String {
    graph.nodes()[index].name.clone()
}

fn slimming(graph: &Graph, index: usize) -> String {
    own(graph, index).replace("features.", "feature.")
}

fn torchvision_resnet(graph: &Graph, index: usize, head: &str) -> String {
    match own(graph, index).as_str() {
        "linear" => head.to_owned(),
        name => name.replace("shortcut.", "downsample."),
    }
}

/// Whether a tensor is read in training only, or stands in the file a second time: the classifiers in the middle of
/// GoogLeNet and Inception, and the projections that Residual Masking's masks hold beside the blocks that use them.
pub(super) fn is_spare(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        ["aux1" | "aux2" | "AuxLogits", ..] => true,
        [mask, module, _, _] => {
            let numbered = |part: &str, stem: &str| {
                part.strip_prefix(stem)
                    .is_some_and(|n| n.parse::<u8>().is_ok())
            };
            numbered(mask, "mask") && numbered(module, "downsample")
        }
        _ => false,
    }
}

/// `features.stage<s>.unit<u>.conv`, a stage ending with its pooling.
fn pytorchcv_vgg(graph: &Graph, index: usize) -> String {
    let (mut stage, mut unit) = (1, 0);
    for node in &graph.nodes()[..=index] {
        match node.op {
            Op::Conv2d(_) => unit += 1,
            Op::MaxPool(_) => (stage, unit) = (stage + 1, 0),
            _ => {}
        }
    }
    let part = match graph.nodes()[index].op {
        Op::Conv2d(_) => "conv",
        Op::BatchNorm { .. } => "bn",
        _ => return "output".into(),
    };
    format!("features.stage{stage}.unit{unit}.{part}")
}

/// `features.stage<s>.unit<u>.body.conv<n>.conv`, the stem being `features.init_block`.
fn pytorchcv_resnet(graph: &Graph, index: usize) -> String {
    let name = own(graph, index);
    let parts: Vec<&str> = name.split('.').collect();
    let stage = |layer: &str| layer.trim_start_matches("layer").to_owned();
    let unit = |block: &str| block.parse::<usize>().map_or(0, |block| block + 1);
    match parts.as_slice() {
        ["conv1"] => "features.init_block.conv".into(),
        ["bn1"] => "features.init_block.bn".into(),
        [layer, block, "shortcut", part] => {
            let part = if *part == "0" { "conv" } else { "bn" };
            let (stage, unit) = (stage(layer), unit(block));
            format!("features.stage{stage}.unit{unit}.identity_conv.{part}")
        }
        [layer, block, part] => {
            let (stage, unit) = (stage(layer), unit(block));
            let kind = part.trim_end_matches(char::is_numeric);
            let number = part.trim_start_matches(char::is_alphabetic);
            format!("features.stage{stage}.unit{unit}.body.conv{number}.{kind}")
        }
        _ => "output".into(),
    }
}
