//! The integer executor: what a quantized network computes, number by number.
//!
//! Layers with 8-bit weights are computed in integers, exactly, with the rounding of ONNX Runtime's
//! fused operators; so are addition and the mean of a map. Every other operator works on the numbers
//! that its codes stand for, as the `QuantizeLinear` and `DequantizeLinear` around it in the exported
//! file say; max pooling and flattening so give the codes that they were given.

use std::collections::BTreeMap;

use super::affine::Affine;
use super::demand::Place;
use super::layer::Layer;
use super::network::Quantized;
use super::rows;
use super::sums::Sums;
use crate::graph::exec::{ExecError, NodeEngine};
use crate::graph::{NodeId, Op};

/// A node's value, channels last.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Numbers.
    Float(Vec<f32>),
    /// Codes, with how they stand for numbers.
    Codes(Vec<u8>, Affine),
}

impl Value {
    /// The numbers.
    pub fn numbers(&self) -> std::borrow::Cow<'_, [f32]> {
        match self {
            Self::Float(numbers) => numbers.into(),
            Self::Codes(codes, affine) => rows::decode(codes, *affine).into(),
        }
    }
}

/// What a visitor of a run is shown.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The sums of an integer layer before they are rounded to codes, `[.., outputs]`.
    Sums(&'a [i32]),
    /// A node's value.
    Value(&'a Value),
}

/// Runs one quantized network.
pub struct IntegerEngine<'a> {
    model: &'a Quantized,
    float: NodeEngine,
    sums: BTreeMap<NodeId, Sums>,
    /// The last node that reads each value.
    last_reader: Vec<usize>,
}

impl<'a> IntegerEngine<'a> {
    /// Prepares a network.
    pub fn new(model: &'a Quantized) -> Self {
        let graph = &model.network().graph;
        let mut last_reader: Vec<usize> = (0..graph.nodes().len()).collect();
        for (id, node) in graph.iter() {
            for input in &node.inputs {
                last_reader[input.0] = id.0;
            }
        }
        let sums = |(id, layer): (&NodeId, &Layer)| (*id, Sums::new(layer));
        Self {
            model,
            float: NodeEngine::new(model.network()),
            sums: model.layers().iter().map(sums).collect(),
            last_reader,
        }
    }

    /// Logits `[batch, classes]` of `pixels [batch, channels, height, width]`.
    ///
    /// # Errors
    /// When the length does not fit the batch.
    pub fn infer(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>, ExecError> {
        let last = self.model.network().graph.output();
        self.run(pixels, batch, last, &mut |_, _| ())
    }

    /// Runs up to and with node `last`, shows `visit` everything on the way, and returns the numbers
    /// that `last` gives.
    ///
    /// # Errors
    /// When the length does not fit the batch.
    pub fn run(
        &mut self,
        pixels: &[f32],
        batch: usize,
        last: NodeId,
        visit: &mut dyn FnMut(NodeId, Seen<'_>),
    ) -> Result<Vec<f32>, ExecError> {
        let mut values: Vec<Option<Value>> = Vec::new();
        for index in 0..=last.0 {
            let id = NodeId(index);
            let value = self.node(id, pixels, batch, &values, visit)?;
            visit(id, Seen::Value(&value));
            values.push(Some(value));
            for input in &self.model.network().graph.node(id).inputs {
                if self.last_reader[input.0] == index {
                    values[input.0] = None;
                }
            }
        }
        let last = values[last.0].take();
        Ok(last.map_or_else(Vec::new, |value| value.numbers().into_owned()))
    }

    fn node(
        &mut self,
        id: NodeId,
        pixels: &[f32],
        batch: usize,
        values: &[Option<Value>],
        visit: &mut dyn FnMut(NodeId, Seen<'_>),
    ) -> Result<Value, ExecError> {
        let model = self.model;
        let graph = &model.network().graph;
        let node = graph.node(id);
        let inputs: Vec<&Value> = node
            .inputs
            .iter()
            .map(|input| {
                values[input.0]
                    .as_ref()
                    .expect("kept until its last reader")
            })
            .collect();
        let channels = graph.shape(id)[0];
        // where this node's sums are rounded to: its own codes, or those of the ReLU behind it
        let target = match model.place(id) {
            Place::Rectified(relu) => model.codes(relu).map(|affine| (affine, true)),
            _ => model.codes(id).map(|affine| (affine, false)),
        };
        if let (Some(layer), [Value::Codes(codes, _)]) = (model.layers().get(&id), &inputs[..]) {
            let size = match *graph.shape(node.inputs[0]) {
                [_, h, w] => [h, w],
                _ => [1, 1],
            };
            let sums = self
                .sums
                .get_mut(&id)
                .expect("made for every layer")
                .of(&node.op, layer, codes, batch, size);
            visit(id, Seen::Sums(&sums));
            let steps = layer.steps();
            return Ok(match target {
                Some((to, rectified)) => {
                    let multipliers: Vec<f32> = steps.iter().map(|s| s / to.scale).collect();
                    Value::Codes(rows::requantize(&sums, &multipliers, to, rectified), to)
                }
                None => {
                    let numbers = sums.iter().zip(steps.iter().cycle());
                    Value::Float(numbers.map(|(&sum, step)| sum as f32 * step).collect())
                }
            });
        }
        match (&node.op, &inputs[..], target) {
            // computed on the way to the codes
            (Op::Relu, [Value::Codes(codes, from)], Some((to, _))) if *from == to => {
                return Ok(Value::Codes(codes.clone(), to));
            }
            (
                Op::Add,
                [Value::Codes(a, from_a), Value::Codes(b, from_b)],
                Some((to, rectified)),
            ) => {
                let sum = Sum::new([*from_a, *from_b], to, rectified);
                let codes = a.iter().zip(b).map(|(&a, &b)| sum.code(a, b)).collect();
                return Ok(Value::Codes(codes, to));
            }
            (Op::GlobalAvgPool, [Value::Codes(codes, from)], Some((to, _))) => {
                return Ok(Value::Codes(mean(codes, batch, channels, *from, to), to));
            }
            _ => {}
        }
        let numbers: Vec<_> = inputs.iter().map(|value| value.numbers()).collect();
        let mut slices: Vec<&[f32]> = numbers.iter().map(|n| &n[..]).collect();
        if inputs.is_empty() {
            slices.push(pixels);
        }
        let numbers = self.float.apply(id, &slices, batch)?;
        Ok(match model.codes(id) {
            Some(to) => Value::Codes(rows::code(&numbers, to), to),
            None => Value::Float(numbers),
        })
    }
}

/// Addition of codes: one multiplication a term, one rounding.
struct Sum {
    ratios: [f32; 2],
    zero_points: [i32; 2],
    to: Affine,
    lowest: f32,
}

impl Sum {
    fn new(from: [Affine; 2], to: Affine, rectified: bool) -> Self {
        let zero_point = f32::from(to.zero_point);
        Self {
            ratios: from.map(|f| f.scale / to.scale),
            zero_points: from.map(|f| i32::from(f.zero_point)),
            to,
            lowest: if rectified { 0.0 } else { -zero_point },
        }
    }

    fn code(&self, a: u8, b: u8) -> u8 {
        let [a, b] = [(a, 0), (b, 1)]
            .map(|(code, i)| (i32::from(code) - self.zero_points[i]) as f32 * self.ratios[i]);
        let zero_point = f32::from(self.to.zero_point);
        let steps = (a + b).clamp(self.lowest, 255.0 - zero_point);
        (steps.round_ties_even() + zero_point) as u8
    }
}

/// The mean of each channel of a map.
fn mean(codes: &[u8], batch: usize, channels: usize, from: Affine, to: Affine) -> Vec<u8> {
    let pixels = codes.len() / (batch * channels).max(1);
    let multiplier = from.scale / (to.scale * pixels as f32);
    let mut means = Vec::with_capacity(batch * channels);
    for map in codes.chunks_exact((pixels * channels).max(1)) {
        let mut sums = vec![0i32; channels];
        for pixel in map.chunks_exact(channels) {
            for (sum, &code) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(code) - i32::from(from.zero_point);
            }
        }
        means.extend(
            sums.iter()
                .map(|&sum| to.requantize(sum, multiplier, false)),
        );
    }
    means
}
