//! Which values of a graph are held as codes.

use std::collections::BTreeSet;

use crate::graph::{Graph, NodeId, Op};

/// What becomes of each node's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A 32-bit float.
    Float,
    /// Codes with a range of their own.
    Coded,
    /// Codes with the range of the value that it moves around: max pooling, flattening.
    SharedWith(NodeId),
    /// Never stored: the ReLU that alone reads it is applied on the way to codes.
    Rectified(NodeId),
}

/// Whether the node's work is multiplying by weights.
pub(super) fn has_weights(op: &Op) -> bool {
    matches!(op, Op::Conv2d(_) | Op::Linear { .. })
}

/// Decides for every value. `integer` are the layers with 8-bit weights: their inputs are codes, and
/// so is everything before them up to the layer that it came from, so that runtimes stay in integers.
pub(super) fn places(graph: &Graph, integer: &BTreeSet<NodeId>) -> Vec<Place> {
    let consumers = graph.consumers();
    let mut places = vec![Place::Float; graph.nodes().len()];
    for index in (0..graph.nodes().len()).rev() {
        let id = NodeId(index);
        let wanted = consumers[index].iter().any(|&reader| {
            let node = graph.node(reader);
            integer.contains(&reader)
                || (!has_weights(&node.op) && places[reader.0] != Place::Float)
        });
        if !wanted || id == graph.output() {
            continue;
        }
        let node = graph.node(id);
        places[index] = match (&node.op, &consumers[index][..]) {
            (Op::Conv2d(_) | Op::Linear { .. } | Op::Add, &[reader])
                if matches!(graph.node(reader).op, Op::Relu) =>
            {
                Place::Rectified(reader)
            }
            (Op::MaxPool(_) | Op::Flatten, _) => Place::SharedWith(node.inputs[0]),
            _ => Place::Coded,
        };
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::GraphBuilder;
    use crate::graph::{Conv2d, Pool};

    fn conv(b: &mut GraphBuilder, name: &str, from: NodeId, inputs: usize) -> NodeId {
        let conv = Conv2d {
            bias: true,
            ..Conv2d::square(inputs, 4, 3)
        };
        b.conv(name, from, conv)
    }

    /// conv, ReLU, pool, conv, shortcut from the pool, ReLU, mean, linear.
    fn graph() -> Graph {
        let (mut b, x) = GraphBuilder::new([1, 8, 8]);
        let x = conv(&mut b, "first", x, 1);
        let x = b.relu("relu", x);
        let pool = Pool::new(2, 2);
        let pooled = b.push("max", Op::MaxPool(pool), &[x]);
        let x = conv(&mut b, "second", pooled, 4);
        let x = b.push("add", Op::Add, &[x, pooled]);
        let x = b.relu("last", x);
        let x = b.push("mean", Op::GlobalAvgPool, &[x]);
        b.linear("head", x, 4, 3);
        b.finish("toy").unwrap()
    }

    fn layers(ids: &[usize]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn everything_between_integer_layers_is_coded_and_the_logits_are_not() {
        use Place::{Coded, Float, Rectified, SharedWith};
        let all = places(&graph(), &layers(&[1, 4, 8]));
        let expected = [
            Coded,
            Rectified(NodeId(2)),
            Coded,
            SharedWith(NodeId(2)),
            Coded,
            Rectified(NodeId(6)),
            Coded,
            Coded,
            Float,
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_layer_alone_takes_only_its_own_input() {
        let alone = places(&graph(), &layers(&[1]));
        assert_eq!(alone[0], Place::Coded);
        assert!(alone[1..].iter().all(|&p| p == Place::Float), "{alone:?}");
        // the second convolution reads the pool, which shares the codes of the ReLU before it
        let second = places(&graph(), &layers(&[4]));
        assert_eq!(second[3], Place::SharedWith(NodeId(2)));
        assert_eq!(second[1], Place::Rectified(NodeId(2)));
        assert_eq!((second[0], second[4]), (Place::Float, Place::Float));
    }
}
