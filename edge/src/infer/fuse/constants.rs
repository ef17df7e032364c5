//! What the file holds besides nodes: weights, and the scales of integers.

use std::collections::HashMap;

use fer_kernels::Bytes;
use tract_onnx::data_resolver::MmapDataResolver;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::{DatumType, Tensor};
use tract_onnx::tensor::load_tensor;

use super::{Unfused, refuse};

/// Weights or a bias.
#[derive(Debug)]
pub(super) enum Numbers {
    Floats(Vec<f32>),
    /// 8- or 32-bit integers, each to be multiplied with the scale of its place on axis `axis`.
    Integers {
        values: Vec<i32>,
        scales: Vec<f32>,
        axis: usize,
    },
}

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers,
}

pub(super) struct Constants<'a> {
    tensors: HashMap<&'a str, &'a TensorProto>,
    /// `DequantizeLinear` and `Cast` nodes of constants, by output.
    nodes: HashMap<&'a str, &'a NodeProto>,
}

impl<'a> Constants<'a> {
    pub(super) fn new(graph: &'a GraphProto) -> Self {
        Self {
            tensors: graph
                .initializer
                .iter()
                .map(|t| (t.name.as_str(), t))
                .collect(),
            nodes: HashMap::new(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.nodes.contains_key(name)
    }

    /// Takes a node whose output is a constant; whether it was one. A name that is taken already makes none: constants that
    /// are made of themselves would be looked up for ever.
    pub(super) fn define(&mut self, node: &'a NodeProto) -> bool {
        let [output] = node.output.as_slice() else {
            return false;
        };
        if self.has(output) {
            return false;
        }
        if node.op_type == "Constant" {
            let value = node.attribute.iter().find(|a| a.name == "value");
            let tensor = value.and_then(|value| value.t.as_ref());
            return tensor.map(|t| self.tensors.insert(output, t)).is_some() || self.has(output);
        }
        let makes = ["DequantizeLinear", "Cast", "Identity"].contains(&node.op_type.as_str());
        let constant = makes && node.input.first().is_some_and(|name| self.has(name));
        if constant {
            self.nodes.insert(output, node);
        }
        constant
    }

    fn tensor(&self, name: &str) -> Result<Tensor, Unfused> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(load_tensor(&MmapDataResolver, tensor, None)?),
            None => refuse(format!("{name:?} is no constant of the file")),
        }
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>, Unfused> {
        let tensor = self.tensor(name)?;
        let floats = tensor.cast_to::<f32>()?;
        Ok(floats.view().as_slice::<f32>()?.to_vec())
    }

    fn integers(&self, name: &str) -> Result<(Vec<i32>, DatumType, Vec<usize>), Unfused> {
        let tensor = self.tensor(name)?;
        let kind = tensor.datum_type();
        if ![DatumType::I8, DatumType::U8, DatumType::I32].contains(&kind) {
            return refuse(format!("{name:?} holds {kind:?}"));
        }
        let wide = tensor.cast_to::<i32>()?;
        let values = wide.view().as_slice::<i32>()?.to_vec();
        Ok((values, kind, tensor.shape().to_vec()))
    }

    /// A weight or bias, with what the nodes between the file's tensor and its use say about it.
    pub(super) fn get(&self, name: &str) -> Result<Constant, Unfused> {
        let Some(node) = self.nodes.get(name) else {
            let tensor = self.tensor(name)?;
            if !tensor.datum_type().is_float() {
                return refuse(format!("{name:?} holds {:?}", tensor.datum_type()));
            }
            return Ok(Constant {
                shape: tensor.shape().to_vec(),
                numbers: Numbers::Floats(self.floats(name)?),
            });
        };
        let input = |i: usize| node.input.get(i).filter(|name| !name.is_empty());
        let Some(from) = input(0) else {
            return refuse("no input");
        };
        if node.op_type != "DequantizeLinear" {
            return self.get(from);
        }
        let (values, _, shape) = self.integers(from)?;
        let Some(scale) = input(1) else {
            return refuse("no scale");
        };
        if let Some(zero) = input(2)
            && self.integers(zero)?.0.iter().any(|&zero| zero != 0)
        {
            return refuse("weights with a zero point");
        }
        let axis: i64 = node.get_attr_opt("axis")?.unwrap_or(1);
        let axis = if axis < 0 {
            axis + shape.len() as i64
        } else {
            axis
        };
        Ok(Constant {
            shape,
            numbers: Numbers::Integers {
                values,
                scales: self.floats(scale)?,
                axis: usize::try_from(axis).map_err(|_| Unfused("a wrong axis".into()))?,
            },
        })
    }

    /// Scale and zero point of a `QuantizeLinear` or `DequantizeLinear` of a map.
    ///
    /// Signed integers become unsigned ones: both count from their lowest.
    pub(super) fn bytes(&self, node: &NodeProto) -> Result<Bytes, Unfused> {
        let Some(scale) = node.input.get(1) else {
            return refuse("no scale");
        };
        let zero = match node.input.get(2).filter(|name| !name.is_empty()) {
            None => 0,
            Some(name) => match self.integers(name)? {
                (values, DatumType::U8, _) if values.len() == 1 => values[0],
                (values, DatumType::I8, _) if values.len() == 1 => values[0] + 128,
                _ => return refuse("not one zero point of 8 bits"),
            },
        };
        match self.floats(scale)?.as_slice() {
            [scale] if scale.is_finite() && *scale > 0.0 => Ok(Bytes {
                scale: *scale,
                zero: zero as u8,
            }),
            _ => refuse("not one positive scale for the whole map"),
        }
    }
}

impl Constant {
    /// The numbers as floats.
    pub(super) fn to_floats(&self) -> Result<Vec<f32>, Unfused> {
        match &self.numbers {
            Numbers::Floats(values) => Ok(values.clone()),
            Numbers::Integers {
                values,
                scales,
                axis,
            } => {
                let (len, inner) = self.along(scales.len(), *axis)?;
                let scale = |i: usize| scales[i / inner % len];
                let floats = values.iter().enumerate();
                Ok(floats.map(|(i, &v)| v as f32 * scale(i)).collect())
            }
        }
    }

    /// The length of the axis of the scales, and how many numbers lie from one step on it to the next.
    fn along(&self, scales: usize, axis: usize) -> Result<(usize, usize), Unfused> {
        if scales == 1 {
            return Ok((1, 1));
        }
        match self.shape.get(axis) {
            Some(&len) if len == scales => {
                Ok((len, self.shape[axis + 1..].iter().product::<usize>().max(1)))
            }
            _ => refuse("scales that don't fit the weights"),
        }
    }
}
