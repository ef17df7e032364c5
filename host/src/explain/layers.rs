//! Layers by name.

use super::ExplainError;
use super::heat::Grid;
use crate::graph::{Graph, NodeId, Op};

/// The smallest side of a map that [`default_layer`] takes: coarser ones cannot tell an eye from a
/// mouth.
const LEAST_SIDE: usize = 5;
/// Names that a message lists.
const LISTED: usize = 5;

/// Every layer behind the image that gives a map `[channels, rows, columns]` of more than one pixel.
pub fn maps(graph: &Graph) -> impl Iterator<Item = (NodeId, &str, [usize; 3])> {
    graph
        .iter()
        .skip(1)
        .filter_map(|(id, node)| match *graph.shape(id) {
            [c, h, w] if h * w > 1 => Some((id, node.name.as_str(), [c, h, w])),
            _ => None,
        })
}

/// The layer that class activation maps are best taken from: the last one whose map has at least 5
/// pixels a side, or, where all are coarser, the last of the finest.
///
/// # Errors
/// A graph without maps.
pub fn default_layer(graph: &Graph) -> Result<NodeId, ExplainError> {
    let side = |shape: [usize; 3]| shape[1].min(shape[2]);
    let finest = maps(graph).map(|(.., shape)| side(shape)).max();
    let least = finest.unwrap_or(0).min(LEAST_SIDE);
    maps(graph)
        .filter(|(.., shape)| side(*shape) >= least)
        .last()
        .map(|(id, ..)| id)
        .ok_or_else(|| ExplainError::NoLayer {
            graph: graph.name().into(),
        })
}

/// The node called `name`.
///
/// # Errors
/// There is none; the message lists names that begin alike.
pub fn find_layer(graph: &Graph, name: &str) -> Result<NodeId, ExplainError> {
    if let Some((id, _)) = graph.iter().find(|(_, node)| node.name == name) {
        return Ok(id);
    }
    // the longest beginning that any name shares with what was asked for
    let alike = |known: &str| {
        let pairs = known.chars().zip(name.chars());
        pairs.take_while(|(a, b)| a == b).count()
    };
    let names = || graph.nodes().iter().skip(1).map(|n| n.name.as_str());
    let most = names().map(alike).max().unwrap_or(0);
    let near: Vec<&str> = names()
        .filter(|known| alike(known) == most)
        .take(LISTED)
        .collect();
    Err(ExplainError::UnknownLayer {
        graph: graph.name().into(),
        name: name.into(),
        hint: format!("there are {}, …", near.join(", ")),
    })
}

/// Where the cells of a layer's map lie on the image: the centres of their receptive fields (Araujo et
/// al., "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019), followed back
/// through the first input of each node.
pub fn grid(graph: &Graph, layer: NodeId) -> Grid {
    let size = |id: NodeId| match *graph.shape(id) {
        [_, h, w] => [h, w].map(|n| n as f32),
        _ => [1.0; 2],
    };
    let node = graph.node(layer);
    let Some(&from) = node.inputs.first() else {
        let [h, w] = size(layer);
        return Grid::even(h as usize, w as usize);
    };
    let before = grid(graph, from);
    let window = match &node.op {
        Op::Conv2d(c) => {
            let reach = c.kernel.map(|side| (side - 1) * c.dilation + 1);
            Some((reach, c.stride, c.padding.before()))
        }
        Op::MaxPool(p) | Op::AvgPool(p) => Some(([p.kernel; 2], p.stride, p.padding.before())),
        _ => None,
    };
    let (here, there) = (size(layer), size(from));
    let mut found = before;
    for side in 0..2 {
        let step = before.step[side];
        if let Some((reach, stride, before)) = window {
            found.step[side] = step * stride as f32;
            found.start[side] += ((reach[side] as f32 - 1.0) / 2.0 - before[side] as f32) * step;
        } else if here[side] != there[side] {
            // whatever resizes: the same area in other cells
            found.step[side] = step * there[side] / here[side];
            found.start[side] += (found.step[side] - step) / 2.0;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{Architecture, build};

    #[test]
    fn the_default_layer_is_the_last_that_can_tell_places_apart() {
        for (arch, name, side) in [
            ("vgg19", "features.38", 5),
            ("resnet18", "layer4.1.relu2", 6),
        ] {
            let graph = build(&Architecture::published(arch), 7).unwrap();
            let id = default_layer(&graph).unwrap();
            assert_eq!(graph.node(id).name, name);
            assert_eq!(graph.shape(id)[1..], [side; 2]);
        }
    }

    #[test]
    fn cells_lie_where_they_look() {
        let at = |arch: &str, name: &str| {
            let graph = build(&Architecture::published(arch), 7).unwrap();
            let found = grid(&graph, find_layer(&graph, name).unwrap());
            // in pixels of 44
            [found.start[1] * 44.0, found.step[1] * 44.0]
        };
        let near = |found: [f32; 2], expected: [f32; 2]| {
            let close = |(f, e): (&f32, f32)| (f - e).abs() < 1e-3;
            assert!(found.iter().zip(expected).all(close), "{found:?}");
        };
        // five cells of eight pixels: the last four of 44 are in none
        near(at("vgg19", "features.39"), [8.0, 16.0]);
        near(at("vgg19", "features.38"), [4.0, 8.0]);
        near(at("vgg19", "features.2"), [0.5, 1.0]);
        // strided convolutions are centred on the first pixel
        near(at("resnet18", "layer3.1.relu2"), [0.5, 4.0]);
    }

    #[test]
    fn a_wrong_name_is_answered_with_near_ones() {
        let graph = build(&Architecture::published("vgg11"), 7).unwrap();
        let error = find_layer(&graph, "features.99").unwrap_err().to_string();
        assert!(error.contains("features.9,"), "{error}");
        assert!(find_layer(&graph, "classifier").is_ok());
    }
}
