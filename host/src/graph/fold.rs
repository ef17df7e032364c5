//! The graph as it runs after training: batch normalisation inside the convolution before it, and
//! without the nodes that only training needs.

use super::{Array, Graph, Network, Node, NodeId, Op, Pool, Weights};

/// The same function of the image in eval mode, with fewer nodes.
///
/// - A BatchNorm behind a convolution or linear layer that feeds nothing else goes into that layer, which gets
///   a bias: `w · γ/√(σ² + ε)` and `(b − μ) · γ/√(σ² + ε) + β`, computed in 64 bits. Other BatchNorms stay.
/// - Dropout and average pooling of single pixels do nothing and go.
/// - Nodes that the logits do not depend on go.
///
/// The nodes that stay keep their names; ids are counted anew.
///
/// # Panics
/// When the tensors are not those of the graph, which [`Network::new`] rules out.
pub fn fold(network: &Network) -> Network {
    let graph = &network.graph;
    let fates = fates(graph);
    let mut nodes: Vec<Node> = Vec::new();
    let mut weights = Weights::new();
    // where each old node's output is found in the new graph
    let mut place: Vec<Option<NodeId>> = Vec::with_capacity(fates.len());
    for ((_, node), fate) in graph.iter().zip(&fates) {
        let inputs = || node.inputs.iter().map(|input| place[input.0]);
        let here = match fate {
            Fate::Dead => None,
            Fate::PassThrough => inputs().next().flatten(),
            Fate::Stays => {
                copy_tensors(node, &network.weights, &mut weights);
                nodes.push(Node {
                    inputs: inputs().flatten().collect(),
                    ..node.clone()
                });
                Some(NodeId(nodes.len() - 1))
            }
            Fate::GoesInto(conv) => {
                let at = place[conv.0].expect("a live node's input is live");
                absorb(&mut nodes[at.0], node, &network.weights, &mut weights);
                Some(at)
            }
        };
        place.push(here);
    }
    let graph = Graph::new(graph.name(), nodes)
        .expect("leaving out nodes that keep the shape leaves a valid graph");
    Network { graph, weights }
}

/// What becomes of a node.
enum Fate {
    Stays,
    PassThrough,
    GoesInto(NodeId),
    Dead,
}

fn fates(graph: &Graph) -> Vec<Fate> {
    let consumers = graph.consumers();
    let mut live = vec![false; graph.nodes().len()];
    live[graph.output().0] = true;
    // the image stays even where nothing reads it: a graph starts with its input
    live[0] = true;
    for (id, node) in graph.iter().collect::<Vec<_>>().into_iter().rev() {
        if live[id.0] {
            node.inputs.iter().for_each(|input| live[input.0] = true);
        }
    }
    graph
        .iter()
        .map(|(id, node)| match (&node.op, &node.inputs[..]) {
            _ if !live[id.0] => Fate::Dead,
            (Op::Dropout { .. }, _) => Fate::PassThrough,
            (Op::AvgPool(p), _) if *p == Pool::new(1, 1) => Fate::PassThrough,
            (Op::BatchNorm { .. }, &[from])
                if consumers[from.0].len() == 1 && graph.node(from).op.has_weights() =>
            {
                Fate::GoesInto(from)
            }
            _ => Fate::Stays,
        })
        .collect()
}

fn copy_tensors(node: &Node, from: &Weights, to: &mut Weights) {
    for spec in node.tensors() {
        to.insert(spec.name.clone(), from[&spec.name].clone());
    }
}

/// Multiplies the BatchNorm `norm` into the layer it reads, whose tensors lie in `to`.
fn absorb(layer: &mut Node, norm: &Node, from: &Weights, to: &mut Weights) {
    let Op::BatchNorm { channels, eps } = &norm.op else {
        unreachable!("`fates` pairs a BatchNorm with the layer it reads");
    };
    let tensor = |suffix: &str| from[&format!("{}.{suffix}", norm.name)].data();
    let (gamma, beta) = (tensor("weight"), tensor("bias"));
    let (mean, variance) = (tensor("running_mean"), tensor("running_var"));
    let scale: Vec<f64> = gamma
        .iter()
        .zip(variance)
        .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(*eps)).sqrt())
        .collect();

    let weight = to
        .get_mut(&format!("{}.weight", layer.name))
        .expect("the layer's tensors were copied before");
    // numbers from one output channel to the next
    let run = match &mut layer.op {
        Op::ConvTranspose2d(shape) => {
            shape.bias = true;
            shape.kernel * shape.kernel
        }
        op => {
            if let Op::Conv2d(shape) = op {
                shape.bias = true;
            }
            weight.data().len() / channels
        }
    };
    for (filter, scale) in weight.data_mut().chunks_mut(run).zip(scale.iter().cycle()) {
        for w in filter {
            *w = (f64::from(*w) * scale) as f32;
        }
    }
    let bias = to
        .entry(format!("{}.bias", layer.name))
        .or_insert_with(|| Array::new([*channels], vec![0.0; *channels]));
    for (c, b) in bias.data_mut().iter_mut().enumerate() {
        let centred = f64::from(*b) - f64::from(mean[c]);
        *b = (centred * scale[c] + f64::from(beta[c])) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Architecture, GraphBuilder, NAMES, build};
    use super::super::{Conv2d, ConvTranspose2d, init};
    use super::*;

    fn norms(graph: &Graph) -> usize {
        let is_norm = |n: &&Node| matches!(n.op, Op::BatchNorm { .. });
        graph.nodes().iter().filter(is_norm).count()
    }

    fn conv(inputs: usize, outputs: usize) -> Conv2d {
        Conv2d::square(inputs, outputs, 1)
    }

    #[test]
    fn every_architecture_loses_its_norms_and_dropouts_and_keeps_its_names() {
        for name in NAMES {
            let arch = Architecture::small(name).unwrap();
            let network = init::fresh(build(&arch, 7).unwrap(), 1);
            let folded = fold(&network);
            folded.graph.check_weights(&folded.weights).unwrap();
            // DenseNet normalises what several layers gave together, before a ReLU
            let left = if name == "densenet121" { 4 + 58 } else { 0 };
            assert_eq!(norms(&folded.graph), left, "{name}");
            assert_eq!(folded.graph.name(), name);
            assert_eq!(folded.graph.input_shape(), network.graph.input_shape());
            let kept = |node: &Node| network.graph.nodes().iter().any(|n| n.name == node.name);
            assert!(folded.graph.nodes().iter().all(kept), "{name}");
            assert_eq!(fold(&folded), folded, "folding twice changes nothing");
        }
    }

    #[test]
    fn the_folded_bias_is_the_hand_calculation() {
        let (mut b, x) = GraphBuilder::new([1, 1, 1]);
        let x = b.conv("conv", x, conv(1, 1));
        let op = Op::BatchNorm {
            channels: 1,
            eps: 1.0,
        };
        let x = b.push("norm", op, &[x]);
        b.push("pool", Op::GlobalAvgPool, &[x]);
        let mut network = init::fresh(b.finish("hand").unwrap(), 1);
        for (name, value) in [
            ("conv.weight", 3.0),
            ("norm.weight", 4.0),
            ("norm.bias", 5.0),
            ("norm.running_mean", 7.0),
            ("norm.running_var", 3.0),
        ] {
            network.weights.get_mut(name).unwrap().data_mut()[0] = value;
        }
        // scale = 4 / √(3 + 1) = 2
        let folded = fold(&network);
        assert_eq!(folded.weights["conv.weight"].data(), [6.0]);
        assert_eq!(folded.weights["conv.bias"].data(), [-9.0]);
        assert_eq!(folded.weights.len(), 2);
    }

    #[test]
    fn a_transposed_convolution_takes_in_the_norm_of_its_outputs() {
        let (mut b, x) = GraphBuilder::new([2, 1, 1]);
        let up = ConvTranspose2d {
            inputs: 2,
            outputs: 2,
            kernel: 2,
            bias: false,
        };
        let x = b.push("up", Op::ConvTranspose2d(up), &[x]);
        let x = b.norm("norm", x, 2);
        b.push("pool", Op::GlobalAvgPool, &[x]);
        let mut network = init::fresh(b.finish("up").unwrap(), 1);
        let mut set = |name: &str, values: &[f32]| {
            let tensor = network.weights.get_mut(name).unwrap();
            tensor.data_mut().copy_from_slice(values);
        };
        set("up.weight", &[1.0; 16]);
        set("norm.weight", &[2.0, 3.0]);
        set("norm.bias", &[0.5, 0.25]);
        set("norm.running_var", &[1.0 - 1e-5; 2]);
        let folded = fold(&network);
        let scaled = [[2.0; 4], [3.0; 4], [2.0; 4], [3.0; 4]].concat();
        assert_eq!(folded.weights["up.weight"].data(), scaled);
        assert_eq!(folded.weights["up.bias"].data(), [0.5, 0.25]);
    }

    #[test]
    fn a_norm_stays_where_its_convolution_is_read_twice_or_is_none() {
        let (mut b, x) = GraphBuilder::new([2, 4, 4]);
        let first = b.norm("first", x, 2);
        let c = b.conv("conv", first, conv(2, 2));
        let n = b.norm("norm", c, 2);
        let sum = b.push("sum", Op::Add, &[c, n]);
        b.push("pool", Op::GlobalAvgPool, &[sum]);
        let network = init::fresh(b.finish("shared").unwrap(), 1);
        let folded = fold(&network);
        assert_eq!(folded, network);
    }

    #[test]
    fn the_logits_stay_last_when_a_dropout_was_last() {
        let (mut b, image) = GraphBuilder::new([2, 4, 4]);
        let pooled = b.push("pool", Op::GlobalAvgPool, &[image]);
        let unused = b.push("unused", Op::AvgPool(Pool::new(1, 1)), &[image]);
        b.relu("unused too", unused);
        b.push("dropout", Op::Dropout { p: 0.5 }, &[pooled]);
        let folded = fold(&init::fresh(b.finish("tail").unwrap(), 1));
        let names: Vec<&str> = folded
            .graph
            .nodes()
            .iter()
            .map(|n| n.name.as_str())
            .collect();
        assert_eq!(names, ["pixels", "pool"]);
    }
}
