//! The backward pass: the graph in reverse, each node turning its output's gradient into its inputs'.

use rayon::prelude::*;

use super::super::{Param, Params};
use super::forward::{BLOCK, unround};
use super::transposed::Transposed;
use super::{NativeEngine, Saved, plan};
use crate::graph::{NodeId, Op};
use crate::ops::channel;
use crate::ops::conv;
use crate::ops::element::Element;
use crate::ops::matmul::{Mat, matmul};
use crate::ops::norm::{self, NormSaved};
use crate::ops::pool;
use crate::ops::product::Product;
use crate::ops::scratch;
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
        let mut grads: Vec<Option<Vec<E>>> = (0..nodes).map(|_| None).collect();
        let mut last = self.buffers.take(dlogits.len());
        for (last, &d) in last.iter_mut().zip(dlogits) {
            *last = E::from_f32(d);
        }
        grads[nodes - 1] = Some(last);
        for index in (first.0.max(1)..nodes).rev() {
            // a node that nothing reads on the way to the logits has no gradient
            if let Some(dy) = grads[index].take() {
                seen(NodeId(index), &dy);
                self.node_backward(NodeId(index), params, dy, batch, &mut grads);
            }
        }
        for grad in grads.into_iter().flatten() {
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
    fn hand(&mut self, to: NodeId, grad: Vec<E>, grads: &mut [Option<Vec<E>>]) {
        if !self.wanted[to.0] {
            self.buffers.give(grad);
            return;
        }
        match &mut grads[to.0] {
            None => grads[to.0] = Some(grad),
            Some(sum) => {
                sum.par_chunks_mut(BLOCK)
                    .zip(grad.par_chunks(BLOCK))
                    .for_each(|(sum, grad)| add_to(sum, grad));
                self.buffers.give(grad);
            }
        }
    }

    fn node_backward(
        &mut self,
        id: NodeId,
        params: &mut Params,
        mut dy: Vec<E>,
        batch: usize,
        grads: &mut [Option<Vec<E>>],
    ) {
        let node = self.graph.node(id).clone();
        let from = node.inputs[0];
        // the image needs no gradient, and what is frozen up to here none either
        let wanted = self.wanted[from.0];
        if self.plan.relu(id) && !matches!(node.op, Op::BatchNorm { .. }) {
            mask_where_zero(&mut dy, self.output(id));
        }
        match &node.op {
            Op::Input { .. } => unreachable!("the reverse pass stops before the input"),
            Op::Conv2d(c) => {
                let [_, h, w] = plan::map(self.graph.shape(from));
                let geo = c.geometry(batch, [h, w]);
                let mut partials = std::mem::take(&mut self.partials);
                let (weight, bias) = split_first(params.of_mut(id));
                let x = self.output(from);
                if weight.trained() {
                    weight::gradient(&geo, x, &dy, &mut weight.grad, &mut partials);
                }
                self.partials = partials;
                if let Some(bias) = bias.filter(|bias| bias.trained()) {
                    conv::bias_gradient(&dy, &mut bias.grad);
                }
                if wanted {
                    let mut dx = self.buffers.take(batch * geo.image_len());
                    let packed = &mut self.packed[id.0];
                    conv::input_gradient(&geo, &dy, &weight.value, packed, &mut dx);
                    self.hand(from, dx, grads);
                }
                self.buffers.give(dy);
            }
            Op::ConvTranspose2d(c) => {
                let [_, h, w] = plan::map(self.graph.shape(from));
                let layer = Transposed::new(c, batch, [h, w]);
                let mut partials = std::mem::take(&mut self.partials);
                let mut packed = std::mem::take(&mut self.packed[id.0]);
                let mut dx = self.buffers.take(self.numbers(from, batch));
                let (weight, bias) = split_first(params.of_mut(id));
                if let Some(bias) = bias {
                    conv::bias_gradient(&dy, &mut bias.grad);
                }
                let work = (&mut packed, &mut partials);
                layer.backward(self.output(from), &dy, weight, work, &mut dx);
                self.partials = partials;
                self.packed[id.0] = packed;
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::BatchNorm { eps, .. } => {
                let (stats, running) = match &self.saved[id.0] {
                    Saved::Stats(stats) => (stats, false),
                    Saved::Running(stats) => (stats, true),
                    _ => unreachable!("the forward pass saved the statistics"),
                };
                let (gamma, beta) = split_first(params.of_mut(id));
                let beta = beta.expect("a batch normalisation has a shift");
                let saved = NormSaved {
                    x: self.output(from),
                    stats,
                    tensors: [&gamma.value, &beta.value],
                    eps: *eps,
                    relu: self.plan.relu(id),
                };
                if running {
                    norm::backward_running(&saved, &mut dy);
                } else {
                    norm::backward(&saved, &mut dy, &mut gamma.grad, &mut beta.grad);
                }
                self.hand(from, dy, grads);
            }
            Op::Relu => {
                if !self.plan.is_alias(id) {
                    mask_where_zero(&mut dy, self.output(id));
                }
                self.hand(from, dy, grads);
            }
            Op::Sigmoid => {
                dy.par_chunks_mut(BLOCK)
                    .zip(self.output(id).par_chunks(BLOCK))
                    .for_each(|(dy, y)| through_sigmoid(dy, y));
                self.hand(from, dy, grads);
            }
            Op::MaxPool(p) => {
                let geo = p.geometry(batch, plan::map(self.graph.shape(from)));
                let mut dx = self.buffers.take(self.numbers(from, batch));
                let Saved::Winners(winners) = &self.saved[id.0] else {
                    unreachable!("the forward pass saved the winners")
                };
                pool::max_backward(&geo, winners, &dy, &mut dx);
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::AvgPool(p) => {
                if self.plan.is_alias(id) {
                    self.hand(from, dy, grads);
                    return;
                }
                let geo = p.geometry(batch, plan::map(self.graph.shape(from)));
                let mut dx = self.buffers.take(self.numbers(from, batch));
                pool::average_backward(&geo, &dy, &mut dx);
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::GlobalAvgPool => {
                let (channels, plane) = plan::layout(self.graph.shape(from));
                let mut dx = self.buffers.take(self.numbers(from, batch));
                let maps = dx.chunks_exact_mut(channels * plane);
                for (map, dy) in maps.zip(dy.chunks_exact(channels)) {
                    for (dx, dy) in map.iter_mut().zip(dy.iter().cycle()) {
                        *dx = E::from_f32(dy.to_f32() / plane as f32);
                    }
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
                let other = node.inputs[1];
                let mut da = self.buffers.take(self.numbers(from, batch));
                let mut db = self.buffers.take(self.numbers(other, batch));
                let factors = [self.output(from), self.output(other)];
                plan::product([self.graph.shape(from), self.graph.shape(other)]).backward(
                    factors,
                    &dy,
                    [&mut da, &mut db],
                );
                self.buffers.give(dy);
                self.hand(from, da, grads);
                self.hand(other, db, grads);
            }
            Op::ChannelMean | Op::ChannelMax => {
                let (channels, _) = plan::layout(self.graph.shape(from));
                let mut dx = self.buffers.take(self.numbers(from, batch));
                match &self.saved[id.0] {
                    Saved::Winners(winners) => {
                        channel::max_backward(channels, winners, &dy, &mut dx);
                    }
                    _ => channel::mean_backward(channels, &dy, &mut dx),
                }
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::Softmax => {
                let (channels, _) = plan::layout(self.graph.shape(id));
                channel::softmax_backward(channels, self.output(id), &mut dy);
                self.hand(from, dy, grads);
            }
            Op::Concat | Op::Beside => {
                let whole = plan::run(&node.op, self.graph.shape(id));
                let mut at = 0;
                for &input in &node.inputs {
                    let width = plan::run(&node.op, self.graph.shape(input));
                    let mut part = self.buffers.take(self.numbers(input, batch));
                    let rows = dy.chunks_exact(whole);
                    for (part, dy) in part.chunks_exact_mut(width).zip(rows) {
                        part.copy_from_slice(&dy[at..at + width]);
                    }
                    at += width;
                    self.hand(input, part, grads);
                }
                self.buffers.give(dy);
            }
            Op::Linear { inputs, outputs } => {
                let mut dx = self.buffers.take(batch * inputs);
                let (weight, bias) = split_first(params.of_mut(id));
                let bias = bias.expect("a linear layer has a bias");
                scratch::with(batch * outputs, |dy32| {
                    unround(&dy, dy32);
                    let dym = Mat::new(dy32, batch, *outputs, *outputs);
                    scratch::with(batch * inputs, |x| {
                        unround(self.output(from), x);
                        let xm = Mat::new(x, batch, *inputs, *inputs);
                        if weight.trained() {
                            matmul(&mut weight.grad, *inputs, dym.t(), xm, false);
                        }
                        let w = Mat::new(&weight.value, *outputs, *inputs, *inputs);
                        matmul(x, *inputs, dym, w, false);
                        for (dx, &v) in dx.iter_mut().zip(&*x) {
                            *dx = E::from_f32(v);
                        }
                    });
                    bias.grad.fill(0.0);
                    for row in dy32.chunks_exact(*outputs) {
                        bias.grad.iter_mut().zip(row).for_each(|(b, d)| *b += d);
                    }
                });
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
            Op::Dropout { .. } => {
                if let Saved::Mask(mask) = &self.saved[id.0] {
                    for (d, m) in dy.iter_mut().zip(mask) {
                        *d = E::from_f32(d.to_f32() * m);
                    }
                }
                self.hand(from, dy, grads);
            }
            Op::Flatten if self.plan.is_alias(id) => self.hand(from, dy, grads),
            Op::Flatten => {
                let (channels, plane) = plan::layout(self.graph.shape(from));
                let mut dx = self.buffers.take(dy.len());
                let maps = dx.chunks_exact_mut(channels * plane);
                for (map, dy) in maps.zip(dy.chunks_exact(channels * plane)) {
                    for (i, &dy) in dy.iter().enumerate() {
                        map[i % plane * channels + i / plane] = dy;
                    }
                }
                self.buffers.give(dy);
                self.hand(from, dx, grads);
            }
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
