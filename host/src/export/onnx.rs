//! A network as the bytes of an ONNX file (<https://onnx.ai/onnx/operators/>).
//!
//! | value | name | shape |
//! | --- | --- | --- |
//! | input | `pixels` | `[batch, channels, height, width]`, 32-bit floats, normalised |
//! | output | `logits` | `[batch, classes]`, 32-bit floats |
//!
//! The batch is free. The metadata holds `model` (the name), `labels` (JSON list in the order of the
//! logits) and `input` (JSON of the manifest's `[input]` table). The same network and facts give the
//! same bytes on every machine.

use std::collections::HashSet;

use fer_models::{Labels, Preprocess};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
};

use super::attribute::{axes, batch_of, entry, float, floats, int, ints};
use super::error::ExportError;
use super::qdq;
use crate::compress::quantize::Quantized;
use crate::graph::{Conv2d, Network, Node, NodeId, Op, Pool};

/// The version of the default operator set that exported files use.
pub(super) const OPSET: u32 = 17;

/// The file format version that came with opset 17 (ONNX 1.12).
const IR_VERSION: i64 = 8;

/// How the numbers of a file are stored.
pub(super) enum Storage<'a> {
    /// As 32-bit floats.
    F32,
    /// Tensors as 16-bit floats, cast to 32 bits where they are read.
    F16,
    /// Layers and values as 8-bit codes, with what turns them into numbers beside them.
    Int8(&'a Quantized),
}

/// Writes a network as ONNX. Fold it before
/// ([`fold`](crate::graph::fold::fold)): what is in the graph is written as it is, Dropout as the
/// identity.
///
/// # Errors
/// When tensors, labels or the image shape do not fit the graph, or its node names collide with those
/// of the file's values.
pub fn to_onnx(
    network: &Network,
    name: &str,
    labels: &Labels,
    input: &Preprocess,
) -> Result<Vec<u8>, ExportError> {
    encode(network, &Storage::F32, name, labels, input)
}

/// Writes a network in one of the forms.
pub(super) fn encode(
    network: &Network,
    storage: &Storage<'_>,
    name: &str,
    labels: &Labels,
    input: &Preprocess,
) -> Result<Vec<u8>, ExportError> {
    let graph = &network.graph;
    graph.check_weights(&network.weights)?;
    if graph.classes() != labels.len() {
        return Err(ExportError::Labels {
            classes: graph.classes(),
            labels: labels.len(),
        });
    }
    let given = [input.channels, input.crop, input.crop];
    if graph.input_shape() != given {
        return Err(ExportError::Input {
            network: graph.input_shape(),
            given,
        });
    }
    let mut writer = Writer::new(network, storage);
    for (id, _) in graph.iter() {
        writer.write(id)?;
    }
    let output = batch_of(&writer.value(graph.output()), &[graph.classes()]);
    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: i64::from(OPSET),
        }],
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(GraphProto {
            name: graph.name().into(),
            node: writer.nodes,
            initializer: writer.initializers,
            input: vec![batch_of("pixels", &graph.input_shape())],
            output: vec![output],
            ..Default::default()
        }),
        metadata_props: vec![
            entry("model", name.into()),
            entry("labels", serde_json::json!(labels).to_string()),
            entry("input", serde_json::json!(input).to_string()),
        ],
        ..Default::default()
    };
    Ok(model.encode_to_vec())
}

/// Collects the ONNX graph, one graph node after the other.
pub(super) struct Writer<'a> {
    network: &'a Network,
    storage: &'a Storage<'a>,
    nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
    /// Every value has one name: node outputs, tensors, helpers.
    taken: HashSet<String>,
}

impl<'a> Writer<'a> {
    fn new(network: &'a Network, storage: &'a Storage<'a>) -> Self {
        Self {
            network,
            storage,
            nodes: Vec::new(),
            initializers: Vec::new(),
            taken: HashSet::new(),
        }
    }

    /// The name of a node's output in the file.
    fn value(&self, id: NodeId) -> String {
        if id == self.network.graph.output() {
            return "logits".into();
        }
        match &self.network.graph.node(id) {
            Node {
                op: Op::Input { .. },
                ..
            } => "pixels".into(),
            node => node.name.clone(),
        }
    }

    /// The name under which others read a node's output.
    fn read(&self, id: NodeId) -> String {
        self.coded(id, &self.value(id))
    }

    /// The name of `value` after the codes that node `id`'s output has, if it has any.
    fn coded(&self, id: NodeId, value: &str) -> String {
        match self.storage {
            Storage::Int8(quantized) if quantized.codes(id).is_some() => qdq::decoded(value),
            _ => value.into(),
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Result<String, ExportError> {
        if !self.taken.insert(name.into()) {
            return Err(ExportError::Name(name.into()));
        }
        Ok(name.into())
    }

    fn write(&mut self, id: NodeId) -> Result<(), ExportError> {
        let graph = &self.network.graph;
        let node = graph.node(id);
        let output = self.take(&self.value(id))?;
        let mut inputs: Vec<String> = node.inputs.iter().map(|&i| self.read(i)).collect();
        for spec in node.tensors() {
            let name = self.take(&spec.name)?;
            let array = &self.network.weights[&name];
            match self.storage {
                Storage::Int8(quantized) if quantized.layers().contains_key(&id) => {
                    self.layer_tensor(&name, array.shape(), spec.role, &quantized.layers()[&id])?;
                }
                Storage::F16 => self.half(&name, array)?,
                _ => self.initializers.push(floats(&name, array)),
            }
            inputs.push(name);
        }
        let (op, attributes) = match &node.op {
            Op::Input { .. } => return self.code(id, &output),
            Op::Conv2d(conv) => ("Conv", conv_attributes(conv)),
            Op::ConvTranspose2d(conv) => {
                let side = [conv.kernel; 2];
                let attributes = vec![ints("kernel_shape", &side), ints("strides", &side)];
                ("ConvTranspose", attributes)
            }
            Op::BatchNorm { eps, .. } => ("BatchNormalization", vec![float("epsilon", *eps)]),
            Op::Relu => ("Relu", vec![]),
            Op::Sigmoid => ("Sigmoid", vec![]),
            Op::Dropout { .. } => ("Identity", vec![]),
            Op::MaxPool(pool) => ("MaxPool", pool_attributes(pool)),
            Op::AvgPool(pool) => {
                let mut attributes = pool_attributes(pool);
                attributes.push(int("count_include_pad", 1));
                ("AveragePool", attributes)
            }
            Op::GlobalAvgPool => {
                let pooled = self.take(&format!("{}/pooled", node.name))?;
                self.node("GlobalAveragePool", inputs, pooled.clone(), vec![]);
                // codes on both sides of the flattening, so that a runtime pools in integers
                self.code(id, &pooled)?;
                inputs = vec![self.coded(id, &pooled)];
                ("Flatten", vec![int("axis", 1)])
            }
            Op::Add => ("Add", vec![]),
            Op::Mul => {
                let ranks = [0, 1].map(|i| graph.shape(node.inputs[i]).len());
                if let Some(features) = (0..2).find(|&i| ranks[i] < ranks[1 - i]) {
                    inputs[features] = self.spread(&node.name, inputs[features].clone())?;
                }
                ("Mul", vec![])
            }
            Op::ChannelMean => ("ReduceMean", vec![ints("axes", &[1]), int("keepdims", 1)]),
            Op::ChannelMax => ("ReduceMax", vec![ints("axes", &[1]), int("keepdims", 1)]),
            Op::Softmax => ("Softmax", vec![int("axis", 1)]),
            Op::Concat => ("Concat", vec![int("axis", 1)]),
            Op::Beside => ("Concat", vec![int("axis", 3)]),
            Op::Linear { .. } => ("Gemm", vec![int("transB", 1)]),
            Op::Flatten => ("Flatten", vec![int("axis", 1)]),
        };
        self.node(op, inputs, output.clone(), attributes);
        self.code(id, &output)
    }

    /// Puts a node's output through its codes, where it has some.
    fn code(&mut self, id: NodeId, output: &str) -> Result<(), ExportError> {
        match self.storage {
            Storage::Int8(quantized) => match quantized.codes(id) {
                Some(affine) => self.through_codes(output, affine),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A gate `[batch, c]` as a map `[batch, c, 1, 1]`, which broadcasts over rows and columns.
    fn spread(&mut self, node: &str, gate: String) -> Result<String, ExportError> {
        let where_to = self.take(&format!("{node}/axes"))?;
        self.initializers.push(axes(&where_to, &[2, 3]));
        let spread = self.take(&format!("{node}/gate"))?;
        self.node("Unsqueeze", vec![gate, where_to], spread.clone(), vec![]);
        Ok(spread)
    }

    pub(super) fn node(
        &mut self,
        op: &str,
        input: Vec<String>,
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            name: output.clone(),
            op_type: op.into(),
            input,
            output: vec![output],
            attribute,
            ..Default::default()
        });
    }
}

fn conv_attributes(conv: &Conv2d) -> Vec<AttributeProto> {
    vec![
        ints("dilations", &[conv.dilation; 2]),
        int("group", conv.groups),
        ints("kernel_shape", &conv.kernel),
        ints("pads", &conv.padding.list()),
        ints("strides", &[conv.stride; 2]),
    ]
}

fn pool_attributes(pool: &Pool) -> Vec<AttributeProto> {
    vec![
        ints("kernel_shape", &[pool.kernel; 2]),
        ints("pads", &pool.padding.list()),
        ints("strides", &[pool.stride; 2]),
    ]
}
