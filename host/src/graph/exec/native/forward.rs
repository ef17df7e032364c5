//! The forward pass.

use rayon::prelude::*;

use super::super::{ExecError, Params, check_len, dropout_mask};
use super::{Mode, NativeEngine, Saved, plan};
use crate::graph::{NodeId, Op};
use crate::ops::matmul::{Mat, matmul};
use crate::ops::norm::{self, BatchStats, NormGeometry};
use crate::ops::{conv, pool};

impl NativeEngine {
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
                let mut y = self.buffers.take(self.floats(id, batch));
                let saved = std::mem::take(&mut self.saved[index]);
                self.saved[index] = self.node(id, params, pixels, batch, mode, &mut y, saved);
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

    /// Computes one node into `y` and returns what its backward pass needs; `saved` is what the last
    /// step left, for reuse.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call site, all of it differs by node"
    )]
    fn node(
        &self,
        id: NodeId,
        params: &Params,
        pixels: &[f32],
        batch: usize,
        mode: Mode,
        y: &mut [f32],
        saved: Saved,
    ) -> Saved {
        let node = self.graph.node(id);
        let input = |i: usize| self.output(node.inputs[i]);
        let shape = |i: usize| self.graph.shape(node.inputs[i]);
        let tensors = params.of(id);
        let mut kept = Saved::Nothing;
        match &node.op {
            Op::Input { .. } => y.copy_from_slice(pixels),
            Op::Conv2d(c) => {
                let [_, h, w] = plan::map(shape(0));
                let bias = tensors.get(1).map(|b| &b.value[..]);
                let geo = c.geometry(batch, [h, w]);
                conv::forward(&geo, input(0), &tensors[0].value, bias, y);
            }
            Op::BatchNorm { channels, eps } => {
                let [_, h, w] = plan::map(shape(0));
                let geo = NormGeometry {
                    batch,
                    channels: *channels,
                    plane: h * w,
                };
                let stats = match mode {
                    Mode::Train { .. } => norm::statistics(&geo, input(0)),
                    Mode::Eval => BatchStats {
                        mean: tensors[2].value.clone(),
                        variance: tensors[3].value.clone(),
                    },
                };
                let affine = [&tensors[0].value[..], &tensors[1].value];
                norm::forward(&geo, input(0), &stats, affine, *eps, self.plan.relu(id), y);
                return Saved::Stats(stats);
            }
            Op::Relu => map1(input(0), y, |v| v.max(0.0)),
            Op::Sigmoid => map1(input(0), y, |v| 1.0 / (1.0 + (-v).exp())),
            Op::MaxPool(p) => {
                let [c, h, w] = plan::map(shape(0));
                let mut winners = match saved {
                    Saved::Winners(winners) => winners,
                    _ => Vec::new(),
                };
                winners.resize(y.len(), 0);
                let geo = p.geometry(batch * c, [h, w]);
                pool::max_forward(&geo, input(0), y, &mut winners);
                kept = Saved::Winners(winners);
            }
            Op::AvgPool(p) => {
                let [c, h, w] = plan::map(shape(0));
                pool::average_forward(&p.geometry(batch * c, [h, w]), input(0), y);
            }
            Op::GlobalAvgPool => {
                let [_, h, w] = plan::map(shape(0));
                for (y, plane) in y.iter_mut().zip(input(0).chunks_exact(h * w)) {
                    *y = plane.iter().sum::<f32>() / (h * w) as f32;
                }
            }
            Op::Add => {
                y.par_iter_mut()
                    .zip(input(0).par_iter().zip(input(1)))
                    .with_min_len(4096)
                    .for_each(|(y, (a, b))| *y = a + b);
            }
            Op::Mul => {
                let (a, gate) = (input(0), input(1));
                // a gate of one number a channel covers its plane
                let plane = a.len() / gate.len();
                for ((y, a), &g) in y
                    .chunks_exact_mut(plane)
                    .zip(a.chunks_exact(plane))
                    .zip(gate)
                {
                    y.iter_mut().zip(a).for_each(|(y, a)| *y = a * g);
                }
            }
            Op::Concat => {
                let image: usize = self.graph.shape(id).iter().product();
                for (n, y) in y.chunks_exact_mut(image).enumerate() {
                    let mut at = 0;
                    for i in 0..node.inputs.len() {
                        let len: usize = shape(i).iter().product();
                        y[at..at + len].copy_from_slice(&input(i)[n * len..(n + 1) * len]);
                        at += len;
                    }
                }
            }
            Op::Linear { inputs, outputs } => {
                let weight = Mat::new(&tensors[0].value, *outputs, *inputs, *inputs);
                let x = Mat::new(input(0), batch, *inputs, *inputs);
                matmul(y, *outputs, x, weight.t(), false);
                for row in y.chunks_exact_mut(*outputs) {
                    row.iter_mut()
                        .zip(&tensors[1].value)
                        .for_each(|(y, b)| *y += b);
                }
            }
            Op::Dropout { p } => match mode {
                Mode::Eval => y.copy_from_slice(input(0)),
                Mode::Train { seed } => {
                    let mask = dropout_mask(*p, y.len(), seed, id.0);
                    for ((y, x), m) in y.iter_mut().zip(input(0)).zip(&mask) {
                        *y = x * m;
                    }
                    kept = Saved::Mask(mask);
                }
            },
            Op::Flatten => unreachable!("flatten shares its input's buffer"),
        }
        if self.plan.relu(id) {
            y.par_iter_mut()
                .with_min_len(4096)
                .for_each(|v| *v = v.max(0.0));
        }
        kept
    }
}

fn map1(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    y.par_iter_mut()
        .zip(x)
        .with_min_len(4096)
        .for_each(|(y, &x)| *y = f(x));
}
