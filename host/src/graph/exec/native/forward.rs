//! The forward pass.

use rayon::prelude::*;

use super::super::{ExecError, Params, check_len, draw_mask};
use super::transposed::Transposed;
use super::{Mode, NativeEngine, Saved, plan};
use crate::graph::{NodeId, Op};
use crate::ops::channel;
use crate::ops::conv::{self, Packed};
use crate::ops::dropout;
use crate::ops::element::Element;
use crate::ops::layout;
use crate::ops::linear;
use crate::ops::norm::{self, BatchStats};
use crate::ops::pool;
use crate::ops::product::Product;
use crate::ops::wide::wide;

/// What every node of a forward pass is told.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) params: &'a Params,
    pub(super) pixels: &'a [f32],
    pub(super) batch: usize,
    pub(super) mode: Mode,
}

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
        let pass = Pass {
            params,
            pixels,
            batch,
            mode,
        };
        for index in 0..self.graph.nodes().len() {
            let id = NodeId(index);
            if !self.plan.is_alias(id) {
                let mut y = self.buffers.take(self.numbers(id, batch));
                let saved = std::mem::take(&mut self.saved[index]);
                let mut packed = std::mem::take(&mut self.packed[index]);
                self.saved[index] = self.node(id, &pass, &mut y, saved, &mut packed);
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
    pub(super) fn node(
        &self,
        id: NodeId,
        pass: &Pass<'_>,
        y: &mut [E],
        saved: Saved,
        packed: &mut Packed<E>,
    ) -> Saved {
        let Pass {
            params,
            pixels,
            batch,
            mode,
        } = *pass;
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
                let trains = matches!(mode, Mode::Train { .. }) && !params.frozen(id);
                let stats = if trains {
                    norm::statistics(*channels, input(0))
                } else {
                    BatchStats {
                        mean: tensors[2].value.clone(),
                        variance: tensors[3].value.clone(),
                    }
                };
                let affine = [&tensors[0].value[..], &tensors[1].value];
                norm::forward(input(0), &stats, affine, *eps, self.plan.relu(id), y);
                return if trains {
                    Saved::Stats(stats)
                } else {
                    Saved::Running(stats)
                };
            }
            Op::Relu => map1(input(0), y, |v| norm::at_least(v, 0.0)),
            Op::Sigmoid => map1(input(0), y, |v| 1.0 / (1.0 + (-v).exp())),
            Op::MaxPool(p) => {
                let mut winners = saved.into_winners(y.len());
                let geo = p.geometry(batch, plan::map(shape(0)));
                pool::max_forward(&geo, input(0), y, &mut winners);
                kept = Saved::Winners(winners);
            }
            Op::AvgPool(p) => {
                let geo = p.geometry(batch, plan::map(shape(0)));
                pool::average_forward(&geo, input(0), y);
            }
            Op::GlobalAvgPool => pool::global_forward(plan::layout(shape(0)), input(0), y),
            Op::Add => {
                y.par_chunks_mut(BLOCK)
                    .zip(input(0).par_chunks(BLOCK).zip(input(1).par_chunks(BLOCK)))
                    .for_each(|(y, (a, b))| add(a, b, y));
            }
            Op::Mul => plan::product([shape(0), shape(1)]).forward(input(0), input(1), y),
            Op::ChannelMean => channel::mean_forward(plan::layout(shape(0)).0, input(0), y),
            Op::ChannelMax => {
                let mut winners = saved.into_winners(y.len());
                channel::max_forward(plan::layout(shape(0)).0, input(0), y, &mut winners);
                kept = Saved::Winners(winners);
            }
            Op::Softmax => channel::softmax_forward(plan::layout(shape(0)).0, input(0), y),
            Op::Concat | Op::Beside => {
                let row = plan::run(&node.op, self.graph.shape(id));
                let mut at = 0;
                for i in 0..node.inputs.len() {
                    let width = plan::run(&node.op, shape(i));
                    layout::join(input(i), at..at + width, y, row);
                    at += width;
                }
            }
            Op::Linear { inputs, outputs } => {
                let size = [batch, *inputs, *outputs];
                let affine = [&tensors[0].value[..], &tensors[1].value];
                let mut exact = saved.into_numbers(y.len());
                linear::forward(size, input(0), affine, &mut exact, y);
                kept = Saved::Logits(exact);
            }
            Op::Dropout { p } => match mode {
                Mode::Eval | Mode::Observe => y.copy_from_slice(input(0)),
                Mode::Train { seed } => {
                    let mut mask = saved.into_numbers(y.len());
                    draw_mask(*p, seed, id, &mut mask);
                    dropout::forward(input(0), &mask, y);
                    kept = Saved::Mask(mask);
                }
            },
            Op::Flatten => layout::flatten(plan::layout(shape(0)), input(0), y),
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
