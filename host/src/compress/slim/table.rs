//! The table before and after: what every layer costs.

use serde::Serialize;

use crate::graph::count::{Counts, multiply_adds};
use crate::graph::{Graph, Node, Op};

/// What a layer, or all of them, cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LayerCounts {
    /// Output channels or features.
    pub channels: usize,
    /// Trained numbers, those of the BatchNorm right behind a layer included.
    pub parameters: u64,
    /// Multiply-adds for one image.
    pub multiply_adds: u64,
    /// Bytes of all tensors in 32-bit floats, BatchNorm's statistics included.
    pub bytes: u64,
}

/// What a whole network costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The sum of all layers; `channels` are those of convolutions, linear features are not counted.
    #[serde(flatten)]
    pub cost: LayerCounts,
    /// Bytes of the largest activation with what it is computed from, for one image.
    pub activation_bytes: u64,
}

/// One layer before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerRow {
    /// The node's name.
    pub layer: String,
    /// Before.
    pub before: LayerCounts,
    /// After.
    pub after: LayerCounts,
}

/// Every layer and the totals, before and after. `Display` is the table, `Serialize` the JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The graph's name.
    pub network: String,
    /// Convolutions and linear layers in graph order, and BatchNorms with neither right before.
    pub layers: Vec<LayerRow>,
    /// Totals before.
    pub before: Totals,
    /// Totals after.
    pub after: Totals,
}

impl Report {
    /// Compares two graphs of the same nodes; layers that one of them lacks are left out.
    pub fn between(before: &Graph, after: &Graph) -> Self {
        let mut later = layers(after).into_iter().peekable();
        let rows = layers(before).into_iter().filter_map(|(layer, before)| {
            let (_, after) = later.next_if(|(name, _)| *name == layer)?;
            Some(LayerRow {
                layer,
                before,
                after,
            })
        });
        Self {
            network: before.name().into(),
            layers: rows.collect(),
            before: totals(before),
            after: totals(after),
        }
    }
}

/// The layers of a graph with their costs.
fn layers(graph: &Graph) -> Vec<(String, LayerCounts)> {
    let mut rows: Vec<(String, LayerCounts)> = Vec::new();
    let mut row_of = vec![None; graph.nodes().len()];
    for (id, node) in graph.iter() {
        let (parameters, bytes) = sizes(node);
        if bytes == 0 {
            continue;
        }
        if matches!(node.op, Op::BatchNorm { .. })
            && let Some(row) = row_of[node.inputs[0].0]
        {
            let (_, cost): &mut (String, LayerCounts) = &mut rows[row];
            cost.parameters += parameters;
            cost.bytes += bytes;
            continue;
        }
        if node.op.has_weights() {
            row_of[id.0] = Some(rows.len());
        }
        let cost = LayerCounts {
            channels: graph.shape(id)[0],
            parameters,
            multiply_adds: multiply_adds(graph, id),
            bytes,
        };
        rows.push((node.name.clone(), cost));
    }
    rows
}

/// Trained numbers of a node and bytes of all its tensors.
fn sizes(node: &Node) -> (u64, u64) {
    let mut sizes = (0, 0);
    for spec in node.tensors() {
        let numbers: u64 = spec.shape.iter().map(|&d| d as u64).product();
        sizes.0 += if spec.role.trained() { numbers } else { 0 };
        sizes.1 += 4 * numbers;
    }
    sizes
}

fn totals(graph: &Graph) -> Totals {
    let counts = Counts::of(graph);
    let convolutions = graph
        .iter()
        .filter(|(_, node)| matches!(node.op, Op::Conv2d(_) | Op::ConvTranspose2d(_)));
    Totals {
        cost: LayerCounts {
            channels: convolutions.map(|(id, _)| graph.shape(id)[0]).sum(),
            parameters: counts.parameters,
            multiply_adds: counts.multiply_adds,
            bytes: graph.nodes().iter().map(|node| sizes(node).1).sum(),
        },
        activation_bytes: counts.activation_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::slim::testing::{network, small};
    use crate::compress::slim::{SlimOptions, slim};

    #[test]
    fn rows_add_up_to_the_totals_and_to_the_counts() {
        for name in ["vgg11", "resnet18"] {
            let net = network(small(name), 3);
            let report = slim(&net, &SlimOptions::default()).unwrap().report;
            let sum = |cost: fn(&LayerRow) -> u64| report.layers.iter().map(cost).sum::<u64>();
            assert_eq!(sum(|r| r.before.parameters), report.before.cost.parameters);
            assert_eq!(sum(|r| r.after.parameters), report.after.cost.parameters);
            assert_eq!(sum(|r| r.after.bytes), report.after.cost.bytes);
            let macs = sum(|r| r.after.multiply_adds);
            assert_eq!(macs, report.after.cost.multiply_adds);
            assert!(report.after.cost.bytes < report.before.cost.bytes);
            assert_eq!(
                report.before.cost.parameters,
                Counts::of(&net.graph).parameters
            );
        }
    }

    #[test]
    fn text_and_json_carry_every_layer_and_the_totals() {
        let net = network(small("vgg11"), 3);
        let report = slim(&net, &SlimOptions::default()).unwrap().report;
        let text = report.to_string();
        let json = serde_json::to_value(&report).unwrap();
        // 8 convolutions and the classifier
        assert_eq!(json["layers"].as_array().unwrap().len(), 9);
        assert_eq!(
            json["after"]["parameters"].as_u64(),
            Some(report.after.cost.parameters)
        );
        for row in &report.layers {
            assert!(text.contains(&row.layer), "{text}");
        }
        let widths: Vec<usize> = text.lines().map(|l| l.chars().count()).collect();
        // header, layers and totals line up; the summary stands below
        assert!(widths[..11].windows(2).all(|w| w[0] == w[1]), "{text}");
    }
}
