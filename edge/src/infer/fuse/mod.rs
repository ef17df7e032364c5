//! Reads an ONNX graph into our kernels: convolutions with what follows them as one layer each, in floats, or in integers
//! where the file has them between `QuantizeLinear` and `DequantizeLinear`.
//!
//! A file with anything else in it is left to tract as a whole; the reason is logged.

mod constants;
mod layers;

use std::collections::{HashMap, HashSet};

use fer_kernels::{Builder, Bytes, Element, Isa, Map, Network, Shape};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::TractError;

use constants::Constants;

/// Why a file isn't run by our kernels.
#[derive(Debug)]
pub(super) struct Unfused(pub(super) String);

impl From<fer_kernels::Error> for Unfused {
    fn from(error: fer_kernels::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<TractError> for Unfused {
    fn from(error: TractError) -> Self {
        Self(format!("{error:#}"))
    }
}

/// A refusal.
fn refuse<T>(reason: impl Into<String>) -> Result<T, Unfused> {
    Err(Unfused(reason.into()))
}

/// The network of an ONNX file for pictures of size `input`.
pub(super) fn network(proto: &ModelProto, input: Shape, isa: Isa) -> Result<Network, Unfused> {
    let Some(graph) = &proto.graph else {
        return refuse("no graph");
    };
    Reader::new(graph, input, isa)?.read()
}

/// What a name of the graph stands for.
#[derive(Debug, Clone, Copy)]
struct Value {
    map: Map,
    /// The map is made of bytes, and the name stands for the numbers that these mean.
    dequantized: bool,
}

impl Value {
    /// What the map itself holds.
    fn plain(map: Map) -> Self {
        Self {
            map,
            dequantized: false,
        }
    }
}

struct Reader<'a> {
    graph: &'a GraphProto,
    constants: Constants<'a>,
    builder: Builder,
    values: HashMap<&'a str, Value>,
    /// Which nodes read a name.
    uses: HashMap<&'a str, Vec<usize>>,
    /// Nodes that became part of the layer before them.
    absorbed: HashSet<usize>,
}

impl<'a> Reader<'a> {
    fn new(graph: &'a GraphProto, input: Shape, isa: Isa) -> Result<Self, Unfused> {
        let constants = Constants::new(graph);
        let builder = Builder::new(isa, input)?;
        let mut uses: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in &node.input {
                uses.entry(name).or_default().push(index);
            }
        }
        // older files list their weights as inputs too
        let mut inputs = graph.input.iter().filter(|i| !constants.has(&i.name));
        let (Some(pixels), None) = (inputs.next(), inputs.next()) else {
            return refuse("not one input");
        };
        let value = Value::plain(builder.input());
        Ok(Self {
            graph,
            constants,
            values: HashMap::from([(pixels.name.as_str(), value)]),
            builder,
            uses,
            absorbed: HashSet::new(),
        })
    }

    fn read(mut self) -> Result<Network, Unfused> {
        for (index, node) in self.graph.node.iter().enumerate() {
            if self.absorbed.contains(&index) || self.constants.define(node) {
                continue;
            }
            self.node(node).map_err(|Unfused(why)| {
                Unfused(format!("{} {:?}: {why}", node.op_type, node.name))
            })?;
        }
        let [output] = self.graph.output.as_slice() else {
            return refuse("not one output");
        };
        let output = self.value(&output.name)?;
        let map = self.floats(output)?;
        let shape = self.builder.shape(map);
        if (shape.height, shape.width) != (1, 1) {
            return refuse("the output is a map");
        }
        Ok(self.builder.finish(map)?)
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), Unfused> {
        let value = match node.op_type.as_str() {
            "Conv" => return self.conv(node),
            "Gemm" => return self.gemm(node),
            "Add" => return self.add(node),
            "GlobalAveragePool" | "AveragePool" => return self.average_pool(node),
            "MaxPool" => self.max_pool(node)?,
            "QuantizeLinear" => self.quantize(node)?,
            "DequantizeLinear" => self.dequantize(node)?,
            // without training, all of these hand on what they get
            "Identity" | "Dropout" => self.input(node)?,
            "Flatten" if node.get_attr_opt("axis")?.unwrap_or(1i64) == 1 => self.input(node)?,
            _ => return refuse("unknown here"),
        };
        self.define(node, value)
    }

    /// The first input.
    fn input(&self, node: &NodeProto) -> Result<Value, Unfused> {
        match node.input.first() {
            Some(name) => self.value(name),
            None => refuse("no input"),
        }
    }

    fn value(&self, name: &str) -> Result<Value, Unfused> {
        match self.values.get(name) {
            Some(&value) => Ok(value),
            None => refuse(format!("{name:?} isn't made of the picture")),
        }
    }

    /// Says what the node's first output stands for; others must not be read.
    fn define(&mut self, node: &'a NodeProto, value: Value) -> Result<(), Unfused> {
        let Some(name) = node.output.first() else {
            return refuse("no output");
        };
        self.values.insert(name, value);
        Ok(())
    }

    /// The node that is the only one to read `node`'s output, if it is of this kind.
    fn follower(&self, node: &NodeProto, kind: &str) -> Option<(usize, &'a NodeProto)> {
        let name = node.output.first()?;
        let [index] = self.uses.get(name.as_str())?.as_slice() else {
            return None;
        };
        let follower = &self.graph.node[*index];
        let is_output = self.graph.output.iter().any(|output| &output.name == name);
        let fits = follower.op_type == kind && follower.input.first() == Some(name) && !is_output;
        fits.then_some((*index, follower))
    }

    /// Makes a `Relu` that follows part of the layer: the last node of the layer, and whether there is one.
    fn absorb_relu(&mut self, node: &'a NodeProto) -> (&'a NodeProto, bool) {
        match self.follower(node, "Relu") {
            Some((index, relu)) => {
                self.absorbed.insert(index);
                (relu, true)
            }
            None => (node, false),
        }
    }

    /// Makes a `QuantizeLinear` that follows part of the layer: the last node of the layer, and what it makes.
    fn absorb_quantize(
        &mut self,
        node: &'a NodeProto,
    ) -> Result<(&'a NodeProto, Element), Unfused> {
        match self.follower(node, "QuantizeLinear") {
            Some((index, quantize)) => {
                self.absorbed.insert(index);
                Ok((quantize, Element::Byte(self.constants.bytes(quantize)?)))
            }
            None => Ok((node, Element::Float)),
        }
    }

    /// The bytes that a value's numbers are known to be, if they are.
    fn bytes(&self, value: Value) -> Option<Bytes> {
        match self.builder.element(value.map) {
            Element::Byte(bytes) if value.dequantized => Some(bytes),
            _ => None,
        }
    }

    /// A value as a map of floats.
    fn floats(&mut self, value: Value) -> Result<Map, Unfused> {
        match (self.builder.element(value.map), value.dequantized) {
            (Element::Float, _) => Ok(value.map),
            (Element::Byte(_), true) => Ok(self.builder.dequantize(value.map)?),
            (Element::Byte(_), false) => refuse("integers where floats belong"),
        }
    }

    fn quantize(&mut self, node: &'a NodeProto) -> Result<Value, Unfused> {
        let (value, bytes) = (self.input(node)?, self.constants.bytes(node)?);
        let map = if self.bytes(value) == Some(bytes) {
            value.map
        } else {
            let floats = self.floats(value)?;
            self.builder.quantize(floats, bytes)?
        };
        Ok(Value::plain(map))
    }

    fn dequantize(&mut self, node: &'a NodeProto) -> Result<Value, Unfused> {
        let value = self.input(node)?;
        let element = Element::Byte(self.constants.bytes(node)?);
        if value.dequantized || self.builder.element(value.map) != element {
            return refuse("another scale than the integers have");
        }
        Ok(Value {
            map: value.map,
            dequantized: true,
        })
    }
}
