//! The backward pass: the graph in reverse, each node turning its output's gradient into its inputs'.

use rayon::prelude::*;

use super::super::{Param, Params};
use super::forward::BLOCK;
use super::transposed::Transposed;
use super::{NativeEngine, Saved, plan};
use crate::graph::{NodeId, Op};
use crate::ops::channel;
use crate::ops::conv::{self, ConvGeometry};
use crate::ops::dropout;
use crate::ops::element::Element;
use crate::ops::layout;
use crate::ops::linear;
use crate::ops::norm::{self, NormSaved};
use crate::ops::pool;
use crate::ops::product::Product;
use crate::ops::weight;
use crate::ops::wide::wide;

impl<E: Product> NativeEngine<E> {
    /// Fills the gradients of every parameter.
    pub(super) fn reverse(&mut self, params: &mut Params, dlogits: &[f32], batch: usize) {
        self.reverse_to(NodeId(1), params, dlogits, batch, |_, _| {});
    }

    /// Goes back as far as the node `first`, and hands every output's gradient on the way to `seen`.
    pub(super) fn reverse_to(
        &mut self,
        first: NodeId,
        params: &mut Params,
        dlogits: &[f32],
        batch: usize,
        mut seen: impl FnMut(NodeId, &[E]),
    ) {
        let nodes = self.graph.nodes().len();
        self.find_wanted(params);
        self.grads.resize_with(nodes, || None);
        let mut last = self.buffers.take(dlogits.len());
        for (last, &d) in last.iter_mut().zip(dlogits) {
            *last = E::from_f32(d);
        }
        self.grads[nodes - 1] = Some(last);
        for index in (first.0.max(1)..nodes).rev() {
            // a node that nothing reads on the way to the logits has no gradient
            if let Some(dy) = self.grads[index].take() {
                seen(NodeId(index), &dy);
                self.node_backward(NodeId(index), params, dy, batch);
            }
        }
        for grad in self.grads.iter_mut().filter_map(Option::take) {
            self.buffers.give(grad);
        }
    }

    /// Marks the nodes whose gradients lead to something that is trained.
    fn find_wanted(&mut self, params: &Params) {
        self.wanted.clear();
        for (id, node) in self.graph.iter() {
            let trained = params.of(id).iter().any(Param::trained);
            let before = node.inputs.iter().any(|input| self.wanted[input.0]);
            self.wanted.push(trained || before);
        }
    }

    /// Hands a gradient to a node that wants one: the first becomes its buffer, later ones are added.
    fn hand(&mut self, to: NodeId, grad: Vec<E>) {
        if !self.wanted[to.0] {
            self.buffers.give(grad);
            return;
        }
        match &mut self.grads[to.0] {
            None => self.grads[to.0] = Some(grad),
            Some(sum) => {
                sum.par_chunks_mut(BLOCK)
                    .zip(grad.par_chunks(BLOCK))
                    .for_each(|(sum, grad)| add_to(sum, grad));
                self.buffers.give(grad);
            }
        }
    }

    /// Fills the gradients of a node's tensors and hands on those of its inputs.
    fn node_backward(&mut self, id: NodeId, params: &mut Params, mut dy: Vec<E>, batch: usize) {
        let node = self.graph.node(id);
        let from = node.inputs[0];
        let shape = self.graph.shape(from);
        let len = self.numbers(from, batch);
        // not by `output`: the buffers change while these are read
        let x = &self.outputs[self.plan.holder(from).0];
        let y = &self.outputs[self.plan.holder(id).0];
        if self.plan.relu(id) && !matches!(node.op, Op::BatchNorm { .. }) {
            mask_where_zero(&mut dy, y);
        }
        let dx = match &node.op {
            Op::Input { .. } => unreachable!("the reverse pass stops before the input"),
            Op::Conv2d(c) => {
                let [_, h, w] = plan::map(shape);
                let geo = c.geometry(batch, [h, w]);
                conv_gradients(&geo, [x, &dy], params.of_mut(id), &mut self.partials);
                // the image needs no gradient, and what is frozen up to here none either
                if !self.wanted[from.0] {
                    self.buffers.give(dy);
                    return;
                }
                let (weight, packed) = (&params.of(id)[0].value, &mut self.packed[id.0]);
                self.buffers.exchange(dy, len, |dy, dx| {
                    conv::input_gradient(&geo, dy, weight, packed, dx);
                })
            }
            Op::ConvTranspose2d(c) => {
                let [_, h, w] = plan::map(shape);
                let layer = Transposed::new(c, batch, [h, w]);
                let (weight, bias) = split_first(params.of_mut(id));
                if let Some(bias) = bias {
                    conv::bias_gradient(&dy, &mut bias.grad);
                }
                let work = (&mut self.packed[id.0], &mut self.partials);
                self.buffers.exchange(dy, len, |dy, dx| {
                    layer.backward(x, dy, weight, work, dx);
                })
            }
            Op::BatchNorm { eps, .. } => {
                let (saved, relu) = (&self.saved[id.0], self.plan.relu(id));
                through_norm(saved, x, params.of_mut(id), *eps, relu, &mut dy);
                dy
            }
            Op::Relu => {
                if !self.plan.is_alias(id) {
                    mask_where_zero(&mut dy, y);
                }
                dy
            }
            Op::Sigmoid => {
                dy.par_chunks_mut(BLOCK)
                    .zip(y.par_chunks(BLOCK))
                    .for_each(|(dy, y)| through_sigmoid(dy, y));
                dy
            }
            Op::MaxPool(p) => {
                let geo = p.geometry(batch, plan::map(shape));
                let winners = self.saved[id.0].winners();
                self.buffers.exchange(dy, len, |dy, dx| {
                    pool::max_backward(&geo, winners, dy, dx);
                })
            }
            Op::AvgPool(_) if self.plan.is_alias(id) => dy,
            Op::AvgPool(p) => {
                let geo = p.geometry(batch, plan::map(shape));
                self.buffers.exchange(dy, len, |dy, dx| {
                    pool::average_backward(&geo, dy, dx);
                })
            }
            Op::GlobalAvgPool => self.buffers.exchange(dy, len, |dy, dx| {
                pool::global_backward(plan::layout(shape), dy, dx);
            }),
            Op::Add => {
                let other = node.inputs[1];
                let mut copy = self.buffers.take(dy.len());
                copy.copy_from_slice(&dy);
                self.hand(from, copy);
                self.hand(other, dy);
                return;
            }
            Op::Mul => {
                let other = node.inputs[1];
                let product = plan::product([shape, self.graph.shape(other)]);
                let mut da = self.buffers.take(len);
                let mut db = self.buffers.take(self.numbers(other, batch));
                product.backward([x, self.output(other)], &dy, [&mut da, &mut db]);
                self.buffers.give(dy);
                self.hand(from, da);
                self.hand(other, db);
                return;
            }
            Op::ChannelMean => self.buffers.exchange(dy, len, |dy, dx| {
                channel::mean_backward(plan::layout(shape).0, dy, dx);
            }),
            Op::ChannelMax => {
                let winners = self.saved[id.0].winners();
                self.buffers.exchange(dy, len, |dy, dx| {
                    channel::max_backward(plan::layout(shape).0, winners, dy, dx);
                })
            }
            Op::Softmax => {
                channel::softmax_backward(plan::layout(shape).0, y, &mut dy);
                dy
            }
            Op::Concat | Op::Beside => {
                let row = plan::run(&node.op, self.graph.shape(id));
                let mut at = 0;
                for i in 0..node.inputs.len() {
                    let node = self.graph.node(id);
                    let input = node.inputs[i];
                    let width = plan::run(&node.op, self.graph.shape(input));
                    let mut part = self.buffers.take(self.numbers(input, batch));
                    layout::split(&dy, row, at..at + width, &mut part);
                    at += width;
                    self.hand(input, part);
                }
                self.buffers.give(dy);
                return;
            }
            Op::Linear { inputs, outputs } => {
                let size = [batch, *inputs, *outputs];
                let (weight, bias) = split_first(params.of_mut(id));
                let bias = bias.expect("a linear layer has a bias");
                let grads = [&mut weight.grad[..], &mut bias.grad[..]];
                let weight = &weight.value;
                self.buffers.exchange(dy, len, |dy, dx| {
                    linear::backward(size, [x, dy], weight, grads, dx);
                })
            }
            Op::Dropout { .. } => {
                if let Saved::Mask(mask) = &self.saved[id.0] {
                    dropout::backward(mask, &mut dy);
                }
                dy
            }
            Op::Flatten if self.plan.is_alias(id) => dy,
            Op::Flatten => self.buffers.exchange(dy, len, |dy, dx| {
                layout::unflatten(plan::layout(shape), dy, dx);
            }),
        };
        self.hand(from, dx);
    }
}

/// Fills the gradients of a convolution's tensors, where they are trained, from its input and its output's gradient.
fn conv_gradients<E: Product>(
    geo: &ConvGeometry,
    [x, dy]: [&[E]; 2],
    tensors: &mut [Param],
    partials: &mut Vec<Vec<f32>>,
) {
    let (weight, bias) = split_first(tensors);
    if weight.trained() {
        weight::gradient(geo, x, dy, &mut weight.grad, partials);
    }
    if let Some(bias) = bias.filter(|bias| bias.trained()) {
        conv::bias_gradient(dy, &mut bias.grad);
    }
}

/// Fills the gradients of a normalisation's tensors, where its statistics are the batch's, and turns `dy` into the
/// input's gradient.
fn through_norm<E: Product>(
    saved: &Saved,
    x: &[E],
    tensors: &mut [Param],
    eps: f32,
    relu: bool,
    dy: &mut [E],
) {
    let (gamma, beta) = split_first(tensors);
    let beta = beta.expect("a batch normalisation has a shift");
    let (Saved::Stats(stats) | Saved::Running(stats)) = saved else {
        unreachable!("the forward pass saved the statistics")
    };
    let passed = NormSaved {
        x,
        stats,
        tensors: [&gamma.value, &beta.value],
        eps,
        relu,
    };
    if let Saved::Running(_) = saved {
        norm::backward_running(&passed, dy);
    } else {
        norm::backward(&passed, dy, &mut gamma.grad, &mut beta.grad);
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
fn mask_where_zero<E: Product>(dy: &mut [E], y: &[E]) {
    dy.par_chunks_mut(BLOCK)
        .zip(y.par_chunks(BLOCK))
        .for_each(|(dy, y)| mask(dy, y));
}

wide! {
    fn add_to<'a, E: Element>(sum: &'a mut [E], more: &'a [E]) {
        for (s, m) in sum.iter_mut().zip(more) {
            *s = E::from_f32(s.to_f32() + m.to_f32());
        }
    }

    fn through_sigmoid<'a, E: Element>(dy: &'a mut [E], y: &'a [E]) {
        for (d, y) in dy.iter_mut().zip(y) {
            let y = y.to_f32();
            *d = E::from_f32(d.to_f32() * y * (1.0 - y));
        }
    }

    fn mask<'a, E: Element>(dy: &'a mut [E], y: &'a [E]) {
        for (d, y) in dy.iter_mut().zip(y) {
            *d = if y.to_f32() > 0.0 { *d } else { E::ZERO };
        }
    }
}
