//! One node at a time: for whoever has to see, or to exchange, what flows between the nodes.

use super::super::{ExecError, Params, check_len};
use super::forward::Pass;
use super::plan::Plan;
use super::{Mode, NativeEngine};
use crate::graph::{Graph, Network, NodeId, Op};

/// Runs single nodes of a network in evaluation mode, in 32 bits and with nothing fused: what a node
/// gives here is what its operator says.
///
/// Values are channels last, `[batch, h, w, channels]`; the image alone comes as
/// `[batch, channels, h, w]`.
#[derive(Debug)]
pub struct NodeEngine {
    engine: NativeEngine<f32>,
    params: Params,
}

impl NodeEngine {
    /// Takes a network.
    pub fn new(network: &Network) -> Self {
        let mut engine = NativeEngine::new(network.graph.clone());
        engine.plan = Plan::separate(&engine.graph);
        Self {
            params: Params::new(network),
            engine,
        }
    }

    /// The graph whose nodes it runs.
    pub fn graph(&self) -> &Graph {
        &self.engine.graph
    }

    /// What node `id` gives for `batch` images when the nodes it reads gave `inputs`; the input node
    /// reads the pixels.
    ///
    /// # Errors
    /// When a slice has another length than its node gives.
    pub fn apply(
        &mut self,
        id: NodeId,
        inputs: &[&[f32]],
        batch: usize,
    ) -> Result<Vec<f32>, ExecError> {
        let engine = &mut self.engine;
        engine.clear();
        let node = engine.graph.node(id);
        let is_input = matches!(node.op, Op::Input { .. });
        let sources = if is_input {
            vec![id]
        } else {
            node.inputs.clone()
        };
        check_len("inputs of the node", inputs.len(), sources.len())?;
        for (&source, values) in sources.iter().zip(inputs) {
            check_len("input", values.len(), engine.numbers(source, batch))?;
            if !is_input {
                let mut buffer = engine.buffers.take(values.len());
                buffer.copy_from_slice(values);
                engine.outputs[source.0] = buffer;
            }
        }
        let pixels = if is_input { inputs[0] } else { &[] };
        let mut y = engine.buffers.take(engine.numbers(id, batch));
        let saved = std::mem::take(&mut engine.saved[id.0]);
        let mut packed = std::mem::take(&mut engine.packed[id.0]);
        let pass = Pass {
            params: &self.params,
            pixels,
            batch,
            mode: Mode::Eval,
        };
        engine.saved[id.0] = engine.node(id, &pass, &mut y, saved, &mut packed);
        engine.packed[id.0] = packed;
        Ok(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::build::{Architecture, NAMES, build};
    use crate::graph::exec::Engine;
    use crate::graph::init;

    #[test]
    fn node_by_node_is_the_whole_network() {
        for name in NAMES {
            let arch = Architecture::small(name).unwrap();
            let network = init::fresh(build(&arch, 7).unwrap(), 5);
            let len = 2 * network.graph.input_shape().iter().product::<usize>();
            let pixels: Vec<f32> = (0..len).map(|i| (i % 251) as f32 / 251.0).collect();
            let mut whole = NativeEngine::<f32>::new(network.graph.clone());
            let expected = whole.infer(&Params::new(&network), &pixels, 2).unwrap();

            let mut engine = NodeEngine::new(&network);
            let mut values: Vec<Vec<f32>> = Vec::new();
            for (id, node) in network.graph.iter() {
                let inputs: Vec<&[f32]> = match node.op {
                    Op::Input { .. } => vec![&pixels],
                    _ => node.inputs.iter().map(|i| &values[i.0][..]).collect(),
                };
                let value = engine.apply(id, &inputs, 2).unwrap();
                values.push(value);
            }
            assert_eq!(values.last(), Some(&expected), "{name}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_length_is_refused() {
        let arch = Architecture::published("vggnet");
        let network = init::fresh(build(&arch, 7).unwrap(), 5);
        let mut engine = NodeEngine::new(&network);
        let error = engine.apply(NodeId(1), &[&[0.0; 3]], 1).unwrap_err();
        assert!(
            matches!(error, ExecError::Length { found: 3, .. }),
            "{error}"
        );
        assert!(engine.apply(NodeId(1), &[], 1).is_err());
    }
}
