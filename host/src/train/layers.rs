//! Layers by name, as freezing and penalties choose them.

use super::TrainError;
use crate::graph::{Graph, Node};

/// Whether `layer` is `prefix` or lies under it: `layer1` stands for `layer1.0.conv1`, and `features.1`
/// not for `features.10`.
pub(super) fn under(layer: &str, prefix: &str) -> bool {
    layer
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The layer that a tensor belongs to: `features.0` of `features.0.weight`.
pub(super) fn of(tensor: &str) -> &str {
    tensor.rsplit_once('.').map_or(tensor, |(layer, _)| layer)
}

/// The nodes that have tensors, in graph order.
pub(super) fn with_tensors(graph: &Graph) -> impl Iterator<Item = &Node> {
    graph.nodes().iter().filter(|n| !n.tensors().is_empty())
}

/// Checks that every prefix stands for a layer with tensors.
pub(super) fn check(
    field: &'static str,
    graph: &Graph,
    prefixes: &[String],
) -> Result<(), TrainError> {
    for prefix in prefixes {
        if !with_tensors(graph).any(|node| under(&node.name, prefix)) {
            let names: Vec<&str> = with_tensors(graph).map(|n| n.name.as_str()).collect();
            return Err(TrainError::Option {
                field,
                problem: format!(
                    "no layer `{prefix}` in {}: {}",
                    graph.name(),
                    names.join(" ")
                ),
            });
        }
    }
    Ok(())
}
