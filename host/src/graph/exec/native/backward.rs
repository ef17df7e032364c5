//! The backward pass: the graph in reverse, each node turning its output's gradient into its inputs'.

use rayon::prelude::*;

use super::super::{Param, Params};
use super::{NativeEngine, Saved, plan};
use crate::graph::{NodeId, Op};
use crate::ops::conv::{self, ConvGradients};
use crate::ops::matmul::{Mat, matmul};
use crate::ops::norm::{self, NormGeometry, NormSaved};
use crate::ops::pool;

impl NativeEngine {
    /// Fills the gradients of every parameter.
    pub(super) fn reverse(&mut self, params: &mut Params, dlogits: &[f32], batch: usize) {
        let nodes = self.graph.nodes().len();
        let mut grads: Vec<Option<Vec<f32>>> = (0..nodes).map(|_| None).collect();
        let mut last = self.buffers.take(dlogits.len());
        last.copy_from_slice(dlogits);
        grads[nodes - 1] = Some(last);
        for index in (1..nodes).rev() {
            // a node that nothing reads on the way to the logits has no gradient
            if let Some(dy) = grads[index].take() {
                self.node_backward(NodeId(index), params, dy, batch, &mut grads);
            }
        }
        for grad in grads.into_iter().flatten() {
            self.buffers.give(grad);
        }
    }

    /// Hands a gradient to a node: the first becomes its buffer, later ones are added.
    fn hand(&mut self, to: NodeId, grad: Vec<f32>, grads: &mut [Option<Vec<f32>>]) {
        match &mut grads[to.0] {
            None => grads[to.0] = Some(grad),
            Some(sum) => {
                sum.par_iter_mut()
                    .zip(&grad)
                    .with_min_len(4096)
                    .for_each(|(s, g)| *s += g);
                self.buffers.give(grad);
            }
        }
    }

    fn node_backward(
        &mut self,
        id: NodeId,
        params: &mut Params,
        mut dy: Vec<f32>,
        batch: usize,
        grads: &mut [Option<Vec<f32>>],
    ) {
        let node = self.graph.node(id).clone();
        let from = node.inputs[0];
        // the image needs no gradient
        let wanted = from.0 != 0;
        if self.plan.relu(id) && !matches!(node.op, Op::BatchNorm { .. }) {
            mask_where_zero(&mut dy, self.output(id));
        }
        match &node.op {
            Op::Input { .. } => unreachable!("the reverse pass stops before the input"),
            Op::Conv2d(c) => {
                let [_, h, w] = plan::map(self.graph.shape(from));
                let geo = c.geometry(batch, [h, w]);
                let mut dx = wanted.then(|| self.buffers.take(batch * geo.image_len()));
                let mut partials = std::mem::take(&mut self.partials);
                let (weight, bias) = split_first(params.of_mut(id));
                let targets = ConvGradients {
                    input: dx.as_deref_mut(),
                    weight: &mut weight.grad,
                    bias: bias.map(|b| &mut b.grad[..]),
                };
                conv::backward(
                    &geo,
                    self.output(from),
                    &weight.value,
                    &dy,
                    targets,
                    &mut partials,
                );
                self.partials = partials;
                self.buffers.give(dy);
                if let Some(dx) = dx {
                    self.hand(from, dx, grads);
                }
            }
            Op::BatchNorm { channels, eps } => {
                let [_, h, w] = plan::map(self.graph.shape(from));
                let geo = NormGeometry {
                    batch,
                    channels: *channels,
                    plane: h * w,
                };
                let Saved::Stats(stats) = &self.saved[id.0] else {
                    unreachable!("the forward pass saved the statistics")
                };
                let (gamma, beta) = split_first(params.of_mut(id));
                let beta = beta.expect("a batch normalisation has a shift");
                let saved = NormSaved {
                    x: self.output(from),
                    y: self.output(id),
                    stats,
                    gamma: &gamma.value,
                    eps: *eps,
                    relu: self.plan.relu(id),
                };
                norm::backward(&geo, &saved, &mut dy, &mut gamma.grad, &mut beta.grad);
                self.hand(from, dy, grads);
            }
            Op::Relu => {
                if !self.plan.is_alias(id) {
                    mask_where_zero(&mut dy, self.output(id));
                }
                self.hand(from, dy, grads);
            }
            Op::Sigmoid => {
                for (g, &y) in dy.iter_mut().zip(self.output(id)) {
                    *g *= y * (1.0 - y);
                }
                self.hand(from, dy, grads);
            }
            Op::MaxPool(p) => {
                let [c, h, w] = plan::map(self.graph.shape(from));
                let mut dx = self.buffers.take(batch * c * h * w);
                let Saved::Winners(winners) = &self.saved[id.0] else {
                    unreachable!("the forward pass saved the winners")
                };
                pool::max_backward(&p.geometry(batch * c, [h, w]), winners, &dy, &mut dx);
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::AvgPool(p) => {
                let [c, h, w] = plan::map(self.graph.shape(from));
                if self.plan.is_alias(id) {
                    self.hand(from, dy, grads);
                    return;
                }
                let mut dx = self.buffers.take(batch * c * h * w);
                pool::average_backward(&p.geometry(batch * c, [h, w]), &dy, &mut dx);
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::GlobalAvgPool => {
                let [c, h, w] = plan::map(self.graph.shape(from));
                let mut dx = self.buffers.take(batch * c * h * w);
                for (plane, g) in dx.chunks_exact_mut(h * w).zip(&dy) {
                    plane.fill(g / (h * w) as f32);
                }
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::Add => {
                let mut copy = self.buffers.take(dy.len());
                copy.copy_from_slice(&dy);
                self.hand(from, copy, grads);
                self.hand(node.inputs[1], dy, grads);
            }
            Op::Mul => {
                let gate = self.output(node.inputs[1]);
                let mut dgate = vec![0.0; gate.len()];
                let x = self.output(from);
                let plane = x.len() / gate.len();
                let planes = dy.chunks_exact_mut(plane).zip(x.chunks_exact(plane));
                for ((dy, x), (g, dg)) in planes.zip(gate.iter().zip(&mut dgate)) {
                    *dg = dy.iter().zip(x).map(|(d, x)| d * x).sum();
                    dy.iter_mut().for_each(|d| *d *= g);
                }
                self.hand(from, dy, grads);
                self.hand(node.inputs[1], dgate, grads);
            }
            Op::Concat => {
                let image = dy.len() / batch;
                let mut at = 0;
                for &input in &node.inputs {
                    let len: usize = self.graph.shape(input).iter().product();
                    let mut part = self.buffers.take(batch * len);
                    for (part, dy) in part.chunks_exact_mut(len).zip(dy.chunks_exact(image)) {
                        part.copy_from_slice(&dy[at..at + len]);
                    }
                    at += len;
                    self.hand(input, part, grads);
                }
                self.buffers.give(dy);
            }
            Op::Linear { inputs, outputs } => {
                let mut dx = self.buffers.take(batch * inputs);
                let (weight, bias) = split_first(params.of_mut(id));
                let bias = bias.expect("a linear layer has a bias");
                let dym = Mat::new(&dy, batch, *outputs, *outputs);
                let x = Mat::new(self.output(from), batch, *inputs, *inputs);
                matmul(&mut weight.grad, *inputs, dym.t(), x, false);
                let w = Mat::new(&weight.value, *outputs, *inputs, *inputs);
                matmul(&mut dx, *inputs, dym, w, false);
                bias.grad.fill(0.0);
                for row in dy.chunks_exact(*outputs) {
                    bias.grad.iter_mut().zip(row).for_each(|(b, d)| *b += d);
                }
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::Dropout { .. } => {
                if let Saved::Mask(mask) = &self.saved[id.0] {
                    dy.iter_mut().zip(mask).for_each(|(d, m)| *d *= m);
                }
                self.hand(from, dy, grads);
            }
            Op::Flatten => self.hand(from, dy, grads),
        }
    }
}

/// The weight (or scale) of a node and, where it has one, its bias (or shift).
fn split_first(tensors: &mut [Param]) -> (&mut Param, Option<&mut Param>) {
    let (first, rest) = tensors
        .split_first_mut()
        .expect("a trained node has a first tensor");
    (first, rest.first_mut())
}

/// The gradient of a ReLU whose output was `y`.
fn mask_where_zero(dy: &mut [f32], y: &[f32]) {
    dy.par_iter_mut()
        .zip(y)
        .with_min_len(4096)
        .for_each(|(d, &y)| {
            if y <= 0.0 {
                *d = 0.0;
            }
        });
}
