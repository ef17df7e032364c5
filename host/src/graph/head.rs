//! Another classifier on top of a trained network.

use fer_models::Labels;

use super::{Array, Graph, GraphError, Network, Op, init};

/// `network`, trained for the classes `old`, with a head for the classes `new`: its last layer, which
/// must be linear, gets one output a class. Classes that both know, also by a synonym (`angry` and
/// `anger`), keep their weights; the others' are drawn fresh by `seed`. All other layers stay as they are.
///
/// # Errors
/// When the network does not end in a linear layer.
pub fn replace_head(
    network: &Network,
    old: &Labels,
    new: &Labels,
    seed: u64,
) -> Result<Network, GraphError> {
    let graph = &network.graph;
    let mut nodes = graph.nodes().to_vec();
    let last = nodes.len() - 1;
    let head = &mut nodes[last];
    let Op::Linear { inputs, outputs } = &mut head.op else {
        return Err(GraphError::Node {
            node: head.name.clone(),
            problem: "a new head replaces a linear layer, and this one is another".into(),
        });
    };
    *outputs = new.len();
    let inputs = *inputs;
    let name = head.name.clone();
    let fresh = init::fresh(Graph::new(graph.name(), nodes)?, seed);
    let mut weights = network.weights.clone();
    for (tensor, width) in [("weight", inputs), ("bias", 1)] {
        let tensor = format!("{name}.{tensor}");
        let missing = || GraphError::MissingTensor(tensor.clone());
        let before = network.weights.get(&tensor).ok_or_else(missing)?;
        let drawn = fresh.weights.get(&tensor).ok_or_else(missing)?;
        let mut values = drawn.data().to_vec();
        for (row, class) in values.chunks_exact_mut(width).zip(new.names()) {
            if let Some(known) = old.index_of(class) {
                row.copy_from_slice(&before.data()[known * width..(known + 1) * width]);
            }
        }
        weights.insert(tensor, Array::new(drawn.shape(), values));
    }
    Network::new(fresh.graph, weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{Architecture, build};

    fn small() -> Network {
        let arch = Architecture {
            width: 0.05,
            channels: 1,
            ..Architecture::published("vgg11")
        };
        init::fresh(build(&arch, 7).unwrap(), 1)
    }

    #[test]
    fn classes_that_both_know_keep_their_weights() {
        let (network, old, new) = (small(), Labels::fer2013(), Labels::ferplus());
        let changed = replace_head(&network, &old, &new, 2).unwrap();
        assert_eq!(changed.graph.classes(), 8);
        let row = |network: &Network, class: usize| {
            let weight = &network.weights["classifier.weight"];
            let width = weight.shape()[1];
            let bias = network.weights["classifier.bias"].data()[class];
            (
                weight.data()[class * width..(class + 1) * width].to_vec(),
                bias,
            )
        };
        // "happiness" is FER+'s second class and FER2013's fourth
        assert_eq!(row(&changed, 1), row(&network, 3));
        let contempt = row(&changed, 7);
        assert!((0..7).all(|class| row(&network, class) != contempt));
        for (name, tensor) in &network.weights {
            if !name.starts_with("classifier.") {
                assert_eq!(tensor, &changed.weights[name], "{name}");
            }
        }
    }

    #[test]
    fn a_network_that_ends_otherwise_is_refused() {
        let network = small();
        let mut nodes = network.graph.nodes().to_vec();
        nodes.pop();
        let graph = Graph::new("headless", nodes).unwrap();
        let mut weights = network.weights;
        weights.retain(|name, _| !name.starts_with("classifier."));
        let headless = Network { graph, weights };
        let labels = Labels::fer2013();
        let error = replace_head(&headless, &labels, &labels, 1).unwrap_err();
        assert!(error.to_string().contains("linear layer"), "{error}");
    }
}
