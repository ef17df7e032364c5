//! The portable engine: the operators spelt in candle's, differentiated by candle, on any device.
//!
//! This is what runs on CUDA, and the second opinion that tests compare the CPU engine with. Pooling
//! is spelt with index selections: candle 0.11.1's own `max_pool2d` has a wrong gradient.

use candle_core::{D, Device, Tensor, Var};

use super::{Engine, ExecError, Params, check_len, draw_mask, move_running_stats};
use crate::graph::{Border, Conv2d, ConvTranspose2d, Graph, NodeId, Op, Pool};

/// Runs one graph through candle.
pub struct CandleEngine {
    graph: Graph,
    device: Device,
    /// The last training pass: its variables by node and its logits.
    tape: Option<(Vec<Vec<Var>>, Tensor)>,
}

/// A batch normalisation's statistics, to be moved into the running ones.
struct Observed {
    node: NodeId,
    mean: Vec<f32>,
    variance: Vec<f32>,
    count: usize,
}

impl CandleEngine {
    /// Runs `graph` on `device`.
    pub fn new(graph: Graph, device: Device) -> Self {
        Self {
            graph,
            device,
            tape: None,
        }
    }

    fn variables(&self, params: &Params) -> Result<Vec<Vec<Var>>, ExecError> {
        let upload = |node: usize| {
            params
                .of(NodeId(node))
                .iter()
                .map(|p| Ok(Var::from_slice(&p.value, p.shape.as_slice(), &self.device)?))
                .collect()
        };
        (0..self.graph.nodes().len()).map(upload).collect()
    }

    /// Logits; `seed` is given in training and then the statistics are collected.
    fn run(
        &self,
        params: &Params,
        vars: &[Vec<Var>],
        pixels: &[f32],
        batch: usize,
        seed: Option<u64>,
        observed: &mut Vec<Observed>,
    ) -> Result<Tensor, ExecError> {
        let [c, h, w] = self.graph.input_shape();
        check_len("pixels", pixels.len(), batch * c * h * w)?;
        let mut values: Vec<Tensor> = Vec::with_capacity(self.graph.nodes().len());
        for (id, node) in self.graph.iter() {
            let x = |i: usize| &values[node.inputs[i].0];
            let t = |i: usize| vars[id.0][i].as_tensor();
            let value = match &node.op {
                Op::Input { .. } => Tensor::from_slice(pixels, (batch, c, h, w), &self.device)?,
                Op::Conv2d(c) => {
                    let y = convolve(x(0), t(0), c)?;
                    if c.bias {
                        y.broadcast_add(&t(1).reshape((1, c.outputs, 1, 1))?)?
                    } else {
                        y
                    }
                }
                Op::ConvTranspose2d(c) => {
                    let y = spread(x(0), t(0), c)?;
                    if c.bias {
                        y.broadcast_add(&t(1).reshape((1, c.outputs, 1, 1))?)?
                    } else {
                        y
                    }
                }
                Op::BatchNorm { channels, eps } => {
                    let wide = |t: &Tensor| t.reshape((1, *channels, 1, 1));
                    // features are maps of one pixel
                    let map = as_map(x(0))?;
                    let (mean, variance) = if seed.is_some() && !params.frozen(id) {
                        let mean = map.mean_keepdim((0, 2, 3))?;
                        let variance = map.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2, 3))?;
                        observed.push(Observed {
                            node: id,
                            mean: mean.flatten_all()?.to_vec1()?,
                            variance: variance.flatten_all()?.to_vec1()?,
                            count: x(0).elem_count() / channels,
                        });
                        (mean, variance)
                    } else {
                        (wide(t(2))?, wide(t(3))?)
                    };
                    map.broadcast_sub(&mean)?
                        .broadcast_div(&(variance + f64::from(*eps))?.sqrt()?)?
                        .broadcast_mul(&wide(t(0))?)?
                        .broadcast_add(&wide(t(1))?)?
                        .reshape(x(0).shape())?
                }
                Op::Relu => x(0).relu()?,
                Op::Sigmoid => ((x(0).neg()?.exp()? + 1.0)?).recip()?,
                Op::MaxPool(p) => max_pool(x(0), p)?,
                Op::AvgPool(p) => average_pool(x(0), p)?,
                Op::GlobalAvgPool => x(0).mean((2, 3))?,
                Op::Add => (x(0) + x(1))?,
                Op::Mul if x(0).dims() == x(1).dims() => (x(0) * x(1))?,
                Op::Mul => as_map(x(0))?.broadcast_mul(&as_map(x(1))?)?,
                Op::ChannelMean => x(0).mean_keepdim(1)?,
                Op::ChannelMax => x(0).max_keepdim(1)?,
                Op::Softmax => {
                    // the largest is taken off so that no power overflows; it needs no gradient
                    let largest = x(0).max_keepdim(1)?.detach();
                    let powers = x(0).broadcast_sub(&largest)?.exp()?;
                    powers.broadcast_div(&powers.sum_keepdim(1)?)?
                }
                Op::Concat | Op::Beside => {
                    let parts: Vec<&Tensor> = (0..node.inputs.len()).map(x).collect();
                    let axis = if node.op == Op::Concat { 1 } else { 3 };
                    Tensor::cat(&parts, axis)?
                }
                Op::Linear { .. } => x(0).matmul(&t(0).t()?)?.broadcast_add(t(1))?,
                Op::Dropout { p } => match seed {
                    None => x(0).clone(),
                    Some(seed) => {
                        let mut mask = vec![0.0; x(0).elem_count()];
                        draw_mask(*p, seed, id, &mut mask);
                        (x(0) * Tensor::from_vec(mask, x(0).shape(), &self.device)?)?
                    }
                },
                Op::Flatten => x(0).flatten_from(1)?,
            };
            values.push(value);
        }
        values.pop().ok_or(ExecError::NoForward)
    }
}

impl Engine for CandleEngine {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn infer(
        &mut self,
        params: &Params,
        pixels: &[f32],
        batch: usize,
    ) -> Result<Vec<f32>, ExecError> {
        let vars = self.variables(params)?;
        let logits = self.run(params, &vars, pixels, batch, None, &mut Vec::new())?;
        Ok(logits.flatten_all()?.to_vec1()?)
    }

    fn forward(
        &mut self,
        params: &mut Params,
        pixels: &[f32],
        batch: usize,
        seed: u64,
    ) -> Result<Vec<f32>, ExecError> {
        let vars = self.variables(params)?;
        let mut observed = Vec::new();
        let logits = self.run(params, &vars, pixels, batch, Some(seed), &mut observed)?;
        for seen in observed {
            if let [_, _, mean, variance] = params.of_mut(seen.node) {
                let running = [&mut mean.value[..], &mut variance.value];
                move_running_stats(running, &seen.mean, &seen.variance, seen.count);
            }
        }
        let values = logits.flatten_all()?.to_vec1()?;
        self.tape = Some((vars, logits));
        Ok(values)
    }

    fn backward(&mut self, params: &mut Params, dlogits: &[f32]) -> Result<(), ExecError> {
        let (vars, logits) = self.tape.take().ok_or(ExecError::NoForward)?;
        check_len("logit gradient", dlogits.len(), logits.elem_count())?;
        // the gradient of Σ logits·d is d: hands our loss gradient to candle's tape
        let seed = Tensor::from_slice(dlogits, logits.shape(), &self.device)?;
        let grads = (logits * seed)?.sum_all()?.backward()?;
        for (node, vars) in vars.iter().enumerate() {
            for (param, var) in params.of_mut(NodeId(node)).iter_mut().zip(vars) {
                if !param.trained() {
                    continue;
                }
                match grads.get(var.as_tensor()) {
                    Some(grad) => param.grad = grad.flatten_all()?.to_vec1()?,
                    None => param.grad.fill(0.0),
                }
            }
        }
        Ok(())
    }
}

/// Features `[batch, c]` as maps `[batch, c, 1, 1]`; maps as they are.
fn as_map(x: &Tensor) -> candle_core::Result<Tensor> {
    match x.rank() {
        2 => x.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1),
        _ => Ok(x.clone()),
    }
}

/// A map with zeros around it.
fn padded(x: &Tensor, border: Border) -> candle_core::Result<Tensor> {
    x.pad_with_zeros(2, border.top, border.bottom)?
        .pad_with_zeros(3, border.left, border.right)
}

fn convolve(x: &Tensor, weight: &Tensor, conv: &Conv2d) -> candle_core::Result<Tensor> {
    // candle pads all sides alike
    let (x, padding) = if conv.padding == Border::all(conv.padding.top) {
        (x.clone(), conv.padding.top)
    } else {
        (padded(x, conv.padding)?, 0)
    };
    x.conv2d(weight, padding, conv.stride, conv.dilation, conv.groups)
}

/// Every pixel times the weights of its block, and the blocks laid out as a map.
fn spread(x: &Tensor, weight: &Tensor, conv: &ConvTranspose2d) -> candle_core::Result<Tensor> {
    let (batch, inputs, h, w) = x.dims4()?;
    let (outputs, side) = (conv.outputs, conv.kernel);
    let pixels = x.permute((0, 2, 3, 1))?.reshape((batch * h * w, inputs))?;
    pixels
        .matmul(&weight.reshape((inputs, outputs * side * side))?)?
        .reshape(&[batch, h, w, outputs, side, side])?
        .permute([0, 3, 1, 4, 2, 5])?
        .reshape((batch, outputs, h * side, w * side))
}

/// For each tap of a pooling window: the input rows (or columns) it reads, one for each output.
fn taps(pool: &Pool, before: usize, size: usize, outputs: usize) -> Vec<Vec<usize>> {
    (0..pool.kernel)
        .map(|tap| {
            (0..outputs)
                .map(|at| {
                    // in the border the nearest pixel stands in, which lies in the same window
                    (at * pool.stride + tap)
                        .saturating_sub(before)
                        .min(size - 1)
                })
                .collect()
        })
        .collect()
}

fn select(x: &Tensor, rows: &[usize], columns: &[usize]) -> candle_core::Result<Tensor> {
    let index = |at: &[usize]| {
        let at: Vec<u32> = at.iter().map(|&i| i as u32).collect();
        Tensor::new(at, x.device())
    };
    x.contiguous()?
        .index_select(&index(rows)?, 2)?
        .index_select(&index(columns)?, 3)
}

/// Whether the first window covers the whole map and is the only one.
fn covers(pool: &Pool, [h, w]: [usize; 2]) -> bool {
    *pool == Pool::new(h, h) && h == w
}

fn max_pool(x: &Tensor, pool: &Pool) -> candle_core::Result<Tensor> {
    let (_, c, h, w) = x.dims4()?;
    if covers(pool, [h, w]) {
        return x.max_keepdim(3)?.max_keepdim(2);
    }
    let [oh, ow] = pool.geometry(1, [c, h, w]).output_size();
    let mut best: Option<Tensor> = None;
    for rows in &taps(pool, pool.padding.top, h, oh) {
        for columns in &taps(pool, pool.padding.left, w, ow) {
            let seen = select(x, rows, columns)?;
            best = Some(match best {
                Some(best) => best.maximum(&seen)?,
                None => seen,
            });
        }
    }
    best.ok_or_else(|| candle_core::Error::Msg("a pooling window without pixels".into()))
}

fn average_pool(x: &Tensor, pool: &Pool) -> candle_core::Result<Tensor> {
    let (_, c, h, w) = x.dims4()?;
    if covers(pool, [h, w]) {
        return x.mean_keepdim((2, 3));
    }
    let [oh, ow] = pool.geometry(1, [c, h, w]).output_size();
    // the border counts as zeros here, so it is really there
    let padded = padded(x, pool.padding)?;
    let (_, _, h, w) = padded.dims4()?;
    let mut sum: Option<Tensor> = None;
    for rows in &taps(pool, 0, h, oh) {
        for columns in &taps(pool, 0, w, ow) {
            let seen = select(&padded, rows, columns)?;
            sum = Some(match sum {
                Some(sum) => (sum + seen)?,
                None => seen,
            });
        }
    }
    let sum =
        sum.ok_or_else(|| candle_core::Error::Msg("a pooling window without pixels".into()))?;
    sum / (pool.kernel * pool.kernel) as f64
}
