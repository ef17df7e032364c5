//! The forward pass.

use rayon::prelude::*;

use super::super::{ExecError, Params, check_len, dropout_mask};
use super::transposed::Transposed;
use super::{Mode, NativeEngine, Saved, plan};
use crate::graph::{NodeId, Op};
use crate::ops::channel;
use crate::ops::conv::{self, Packed};
use crate::ops::element::Element;
use crate::ops::matmul::{Mat, matmul};
use crate::ops::norm::{self, BatchStats};
use crate::ops::pool;
use crate::ops::product::Product;
use crate::ops::scratch;
use crate::ops::wide::wide;

impl<E: Product> NativeEngine<E> {
    /// Computes every node; in evaluation outputs are given back as soon as nobody reads them.
    pub(super) fn run(
        &mut self,
        params: &Params,
        pixels: &[f32],
        batch: usize,
        mode: Mode,
    ) -> Result<(), ExecError> {
        let input: usize = self.graph.input_shape().iter().product();
        check_len("pixels", pixels.len(), batch * input)?;
        for index in 0..self.graph.nodes().len() {
            let id = NodeId(index);
            if !self.plan.is_alias(id) {
                let mut y = self.buffers.take(self.numbers(id, batch));
                let saved = std::mem::take(&mut self.saved[index]);
                let mut packed = std::mem::take(&mut self.packed[index]);
                let work = (saved, &mut packed);
                self.saved[index] = self.node(id, params, pixels, batch, mode, &mut y, work);
                self.packed[index] = packed;
                self.outputs[index] = y;
            }
            if mode == Mode::Eval {
                for i in 0..self.graph.node(id).inputs.len() {
                    let holder = self.plan.holder(self.graph.node(id).inputs[i]);
                    if self.plan.done_after(holder, id) && self.plan.holder(id) != holder {
                        let done = std::mem::take(&mut self.outputs[holder.0]);
                        self.buffers.give(done);
                    }
                }
            }
        }
        Ok(())
    }

    /// Computes one node into `y` and returns what its backward pass needs; with it come what the last
    /// step saved and the packed weights' room, for reuse.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call site, all of it differs by node"
    )]
    pub(super) fn node(
        &self,
        id: NodeId,
        params: &Params,
        pixels: &[f32],
        batch: usize,
        mode: Mode,
        y: &mut [E],
        (saved, packed): (Saved, &mut Packed<E>),
    ) -> Saved {
        let node = self.graph.node(id);
        let input = |i: usize| self.output(node.inputs[i]);
        let shape = |i: usize| self.graph.shape(node.inputs[i]);
        let tensors = params.of(id);
        let mut kept = Saved::Nothing;
        match &node.op {
            Op::Input { shape: [c, h, w] } => channels_last(pixels, [*c, h * w], y),
            Op::Conv2d(c) => {
                let [_, h, w] = plan::map(shape(0));
                let bias = tensors.get(1).map(|b| &b.value[..]);
                let geo = c.geometry(batch, [h, w]);
                conv::forward(&geo, input(0), &tensors[0].value, bias, packed, y);
            }
            Op::ConvTranspose2d(c) => {
                let [_, h, w] = plan::map(shape(0));
                let bias = tensors.get(1).map(|b| &b.value[..]);
                let layer = Transposed::new(c, batch, [h, w]);
                layer.forward(input(0), &tensors[0].value, bias, packed, y);
            }
            Op::BatchNorm { channels, eps } => {
                let stats = match mode {
                    Mode::Train { .. } if !params.frozen(id) => {
                        norm::statistics(*channels, input(0))
                    }
                    Mode::Train { .. } | Mode::Eval | Mode::Observe => BatchStats {
                        mean: tensors[2].value.clone(),
                        variance: tensors[3].value.clone(),
                    },
                };
                let affine = [&tensors[0].value[..], &tensors[1].value];
                norm::forward(input(0), &stats, affine, *eps, self.plan.relu(id), y);
                return match mode {
                    Mode::Train { .. } if params.frozen(id) => Saved::Running(stats),
                    Mode::Observe => Saved::Running(stats),
                    Mode::Train { .. } | Mode::Eval => Saved::Stats(stats),
                };
            }
            Op::Relu => map1(input(0), y, |v| norm::at_least(v, 0.0)),
            Op::Sigmoid => map1(input(0), y, |v| 1.0 / (1.0 + (-v).exp())),
            Op::MaxPool(p) => {
                let mut winners = match saved {
                    Saved::Winners(winners) => winners,
                    _ => Vec::new(),
                };
                winners.resize(y.len(), 0);
                let geo = p.geometry(batch, plan::map(shape(0)));
                pool::max_forward(&geo, input(0), y, &mut winners);
                kept = Saved::Winners(winners);
            }
            Op::AvgPool(p) => {
                let geo = p.geometry(batch, plan::map(shape(0)));
                pool::average_forward(&geo, input(0), y);
            }
            Op::GlobalAvgPool => {
                let (channels, plane) = plan::layout(shape(0));
                let maps = input(0).chunks_exact(channels * plane);
                for (y, map) in y.chunks_exact_mut(channels).zip(maps) {
                    for (c, y) in y.iter_mut().enumerate() {
                        let sum: f32 = map
                            .iter()
                            .skip(c)
                            .step_by(channels)
                            .map(|v| v.to_f32())
                            .sum();
                        *y = E::from_f32(sum / plane as f32);
                    }
                }
            }
            Op::Add => {
                y.par_chunks_mut(BLOCK)
                    .zip(input(0).par_chunks(BLOCK).zip(input(1).par_chunks(BLOCK)))
                    .for_each(|(y, (a, b))| add(a, b, y));
            }
            Op::Mul => plan::product([shape(0), shape(1)]).forward(input(0), input(1), y),
            Op::ChannelMean => channel::mean_forward(plan::layout(shape(0)).0, input(0), y),
            Op::ChannelMax => {
                let mut winners = match saved {
                    Saved::Winners(winners) => winners,
                    _ => Vec::new(),
                };
                winners.resize(y.len(), 0);
                channel::max_forward(plan::layout(shape(0)).0, input(0), y, &mut winners);
                kept = Saved::Winners(winners);
            }
            Op::Softmax => channel::softmax_forward(plan::layout(shape(0)).0, input(0), y),
            Op::Concat | Op::Beside => {
                let whole = plan::run(&node.op, self.graph.shape(id));
                let mut at = 0;
                for i in 0..node.inputs.len() {
                    let part = plan::run(&node.op, shape(i));
                    let rows = input(i).chunks_exact(part);
                    for (y, x) in y.chunks_exact_mut(whole).zip(rows) {
                        y[at..at + part].copy_from_slice(x);
                    }
                    at += part;
                }
            }
            Op::Linear { inputs, outputs } => {
                let weight = Mat::new(&tensors[0].value, *outputs, *inputs, *inputs);
                let mut product = match saved {
                    Saved::Logits(product) => product,
                    _ => Vec::new(),
                };
                product.resize(y.len(), 0.0);
                scratch::with(batch * inputs, |x| {
                    unround(input(0), x);
                    let x = Mat::new(x, batch, *inputs, *inputs);
                    matmul(&mut product, *outputs, x, weight.t(), false);
                });
                for row in product.chunks_exact_mut(*outputs) {
                    row.iter_mut()
                        .zip(&tensors[1].value)
                        .for_each(|(y, b)| *y += b);
                }
                for (y, &v) in y.iter_mut().zip(&product) {
                    *y = E::from_f32(v);
                }
                kept = Saved::Logits(product);
            }
            Op::Dropout { p } => match mode {
                Mode::Eval | Mode::Observe => y.copy_from_slice(input(0)),
                Mode::Train { seed } => {
                    let mask = dropout_mask(*p, y.len(), seed, id.0);
                    for ((y, x), m) in y.iter_mut().zip(input(0)).zip(&mask) {
                        *y = E::from_f32(x.to_f32() * m);
                    }
                    kept = Saved::Mask(mask);
                }
            },
            Op::Flatten => {
                let (channels, plane) = plan::layout(shape(0));
                let maps = input(0).chunks_exact(channels * plane);
                for (y, map) in y.chunks_exact_mut(channels * plane).zip(maps) {
                    for (i, y) in y.iter_mut().enumerate() {
                        *y = map[i % plane * channels + i / plane];
                    }
                }
            }
        }
        if self.plan.relu(id) {
            y.par_chunks_mut(BLOCK).for_each(|y| rectify(y));
            if let Saved::Logits(logits) = &mut kept {
                logits.iter_mut().for_each(|v| *v = norm::at_least(*v, 0.0));
            }
        }
        kept
    }
}

/// Numbers that one task works on.
pub(super) const BLOCK: usize = 1 << 14;

fn map1<E: Product>(x: &[E], y: &mut [E], f: impl Fn(f32) -> f32 + Sync) {
    y.par_chunks_mut(BLOCK)
        .zip(x.par_chunks(BLOCK))
        .for_each(|(y, x)| {
            for (y, x) in y.iter_mut().zip(x) {
                *y = E::from_f32(f(x.to_f32()));
            }
        });
}

wide! {
    fn add<'a, E: Element>(a: &'a [E], b: &'a [E], y: &'a mut [E]) {
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
            *y = E::from_f32(a.to_f32() + b.to_f32());
        }
    }

    fn rectify<'a, E: Element>(y: &'a mut [E]) {
        for v in y {
            *v = E::from_f32(norm::at_least(v.to_f32(), 0.0));
        }
    }
}

/// Stored numbers as `f32`.
pub(super) fn unround<E: Product>(stored: &[E], out: &mut [f32]) {
    for (out, v) in out.iter_mut().zip(stored) {
        *out = v.to_f32();
    }
}

/// Images of channel planes to pixels of channels.
fn channels_last<E: Product>(images: &[f32], [channels, plane]: [usize; 2], out: &mut [E]) {
    let len = (channels * plane).max(1);
    out.par_chunks_mut(len)
        .zip(images.par_chunks(len))
        .for_each(|(out, image)| {
            for (i, out) in out.iter_mut().enumerate() {
                *out = E::from_f32(image[i % channels * plane + i / channels]);
            }
        });
}
