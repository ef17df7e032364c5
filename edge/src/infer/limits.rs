//! What a file may ask of tract: a folder from outside can hold any graph, with a checksum that fits, and must not make the
//! process ask for more memory than there is.

use tract_onnx::pb::GraphProto;
use tract_onnx::prelude::*;

/// No window, stride or padding of a network for faces is wider; those of the published networks stay below 225 pixels.
const WIDEST: i64 = 256;

/// Nor are there more numbers in a map of one crop.
const LARGEST: usize = 1 << 24;

/// The attributes that set a window.
const WINDOW: [&str; 4] = ["kernel_shape", "strides", "pads", "dilations"];

/// Refuses windows that tract would write down pixel by pixel.
pub(super) fn check_windows(graph: &GraphProto) -> Result<(), String> {
    for node in &graph.node {
        for attribute in &node.attribute {
            let sets_window = WINDOW.contains(&attribute.name.as_str());
            let within = |side: &i64| (0..=WIDEST).contains(side);
            if sets_window && !attribute.ints.iter().all(within) {
                return Err(format!(
                    "node {:?}: {} is {:?}, expected 0 to {WIDEST}",
                    node.name, attribute.name, attribute.ints
                ));
            }
        }
    }
    Ok(())
}

/// Refuses maps that are larger than any for faces, before memory is taken for them.
pub(super) fn check_maps(model: &TypedModel, crops: usize) -> Result<(), String> {
    for node in &model.nodes {
        for output in node.outputs.iter().filter(|o| o.fact.konst.is_none()) {
            let size = output.fact.shape.as_concrete().and_then(|dims| {
                dims.iter()
                    .try_fold(1usize, |size, &side| size.checked_mul(side))
            });
            if size.is_none_or(|size| size > LARGEST * crops) {
                return Err(format!(
                    "node {:?} gives {:?}, more than this program runs",
                    node.name, output.fact.shape
                ));
            }
        }
    }
    Ok(())
}
