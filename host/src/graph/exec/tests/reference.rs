//! A plain reference: the operators' definitions, loop by loop in 64 bits, forward and backward.
//!
//! Slow and obvious on purpose. Its own gradients are checked against finite differences, which in 64
//! bits leave no doubt; the engines are then checked against it.

use super::super::{NORM_MOMENTUM, Params, draw_mask};
use crate::graph::{Conv2d, ConvTranspose2d, Graph, NodeId, Op, Pool};

/// A tensor `[batch, ...]` in `NCHW` order.
pub(super) type Values = Vec<f64>;

/// A graph with its numbers in 64 bits.
#[derive(Clone)]
pub(super) struct Reference {
    pub(super) graph: Graph,
    /// `[node][tensor]`.
    pub(super) tensors: Vec<Vec<Values>>,
}

/// What one training pass computed.
pub(super) struct Pass {
    batch: usize,
    seed: u64,
    values: Vec<Values>,
}

impl Pass {
    pub(super) fn logits(&self) -> &Values {
        self.values.last().unwrap()
    }
}

fn map(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [c, h, w] => [c, h, w],
        _ => [shape.iter().product(), 1, 1],
    }
}

/// Visits `(output, input, weight)` indices of every product of a convolution.
fn products(
    conv: &Conv2d,
    batch: usize,
    [h, w]: [usize; 2],
    [oh, ow]: [usize; 2],
    mut visit: impl FnMut(usize, usize, usize),
) {
    let (gi, go) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
    let [kh, kw] = conv.kernel;
    for n in 0..batch {
        for o in 0..conv.outputs {
            for i in 0..gi {
                let from = (n * conv.inputs + o / go * gi + i) * h * w;
                let to = (n * conv.outputs + o) * oh * ow;
                for tap in 0..kh * kw {
                    let weight = (o * gi + i) * kh * kw + tap;
                    for oy in 0..oh {
                        let y = (oy * conv.stride + tap / kw * conv.dilation)
                            .wrapping_sub(conv.padding.top);
                        if y >= h {
                            continue;
                        }
                        for ox in 0..ow {
                            let x = (ox * conv.stride + tap % kw * conv.dilation)
                                .wrapping_sub(conv.padding.left);
                            if x < w {
                                visit(to + oy * ow + ox, from + y * w + x, weight);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Visits `(output, input, weight)` indices of every product of a transposed convolution.
fn spread_products(
    conv: &ConvTranspose2d,
    batch: usize,
    [h, w]: [usize; 2],
    mut visit: impl FnMut(usize, usize, usize),
) {
    let (ci, co, k) = (conv.inputs, conv.outputs, conv.kernel);
    for (n, i, o) in (0..batch * ci * co).map(|at| (at / (ci * co), at / co % ci, at % co)) {
        for (y, x) in (0..h * w).map(|at| (at / w, at % w)) {
            for (ky, kx) in (0..k * k).map(|at| (at / k, at % k)) {
                let to = ((n * co + o) * h * k + y * k + ky) * w * k + x * k + kx;
                let from = ((n * ci + i) * h + y) * w + x;
                visit(to, from, ((i * co + o) * k + ky) * k + kx);
            }
        }
    }
}

/// Visits `(output, input)` indices of every window of a pooling.
fn windows(
    pool: &Pool,
    planes: usize,
    [h, w]: [usize; 2],
    [oh, ow]: [usize; 2],
    mut visit: impl FnMut(usize, usize),
) {
    for plane in 0..planes {
        for at in 0..oh * ow {
            for tap in 0..pool.kernel * pool.kernel {
                let y = (at / ow * pool.stride + tap / pool.kernel).wrapping_sub(pool.padding.top);
                let x = (at % ow * pool.stride + tap % pool.kernel).wrapping_sub(pool.padding.left);
                if y < h && x < w {
                    visit(plane * oh * ow + at, plane * h * w + y * w + x);
                }
            }
        }
    }
}

/// Mean and variance of every channel.
fn moments(x: &[f64], channels: usize, plane: usize) -> Vec<(f64, f64)> {
    let of = |c: usize| x.chunks(plane).skip(c).step_by(channels).flatten();
    (0..channels)
        .map(|c| {
            let count = of(c).count() as f64;
            let mean = of(c).sum::<f64>() / count;
            let variance = of(c).map(|v| (v - mean).powi(2)).sum::<f64>() / count;
            (mean, variance)
        })
        .collect()
}

/// Index of the number of a side with shape `side` that makes number `i` of a product with shape `whole`.
fn repeated(i: usize, whole: [usize; 3], side: [usize; 3]) -> usize {
    let [c, h, w] = whole;
    let at = [i / (c * h * w), i / (h * w) % c, i / w % h, i % w];
    let within = (0..3).fold(0, |index, axis| {
        let place = if side[axis] == 1 { 0 } else { at[axis + 1] };
        index * side[axis] + place
    });
    at[0] * side.iter().product::<usize>() + within
}

/// For each pixel of a map with shape `[c, h, w]`: the indices of its channels.
fn by_pixel(batch: usize, [c, h, w]: [usize; 3]) -> impl Iterator<Item = Vec<usize>> {
    let plane = h * w;
    (0..batch * plane).map(move |at| {
        (0..c)
            .map(|i| (at / plane * c + i) * plane + at % plane)
            .collect()
    })
}

impl Reference {
    pub(super) fn new(graph: &Graph, params: &Params) -> Self {
        let wide = |v: &Vec<f32>| v.iter().map(|&v| f64::from(v)).collect();
        let tensors = (0..graph.nodes().len())
            .map(|node| {
                params
                    .of(NodeId(node))
                    .iter()
                    .map(|p| wide(&p.value))
                    .collect()
            })
            .collect();
        Self {
            graph: graph.clone(),
            tensors,
        }
    }

    /// The training pass; running statistics are left as they are.
    pub(super) fn forward(&self, pixels: &[f64], batch: usize, seed: u64) -> Pass {
        let mut values: Vec<Values> = Vec::new();
        for (id, node) in self.graph.iter() {
            let x = |i: usize| &values[node.inputs[i].0];
            let shape = |i: usize| map(self.graph.shape(node.inputs[i]));
            let [oc, oh, ow] = map(self.graph.shape(id));
            let mut y = vec![0.0; batch * oc * oh * ow];
            let t = &self.tensors[id.0];
            match &node.op {
                Op::Input { .. } => y.copy_from_slice(pixels),
                Op::Conv2d(conv) => {
                    let [_, h, w] = shape(0);
                    if conv.bias {
                        for (i, y) in y.iter_mut().enumerate() {
                            *y = t[1][i / (oh * ow) % oc];
                        }
                    }
                    products(conv, batch, [h, w], [oh, ow], |to, from, k| {
                        y[to] += x(0)[from] * t[0][k]
                    });
                }
                Op::ConvTranspose2d(conv) => {
                    let [_, h, w] = shape(0);
                    if conv.bias {
                        for (i, y) in y.iter_mut().enumerate() {
                            *y = t[1][i / (oh * ow) % oc];
                        }
                    }
                    spread_products(conv, batch, [h, w], |to, from, k| {
                        y[to] += x(0)[from] * t[0][k]
                    });
                }
                Op::ChannelMean => {
                    for (y, at) in y.iter_mut().zip(by_pixel(batch, shape(0))) {
                        *y = at.iter().map(|&i| x(0)[i]).sum::<f64>() / at.len() as f64;
                    }
                }
                Op::ChannelMax => {
                    for (y, at) in y.iter_mut().zip(by_pixel(batch, shape(0))) {
                        *y = at.iter().map(|&i| x(0)[i]).fold(f64::MIN, f64::max);
                    }
                }
                Op::Softmax => {
                    for at in by_pixel(batch, shape(0)) {
                        let sum: f64 = at.iter().map(|&i| x(0)[i].exp()).sum();
                        at.iter().for_each(|&i| y[i] = x(0)[i].exp() / sum);
                    }
                }
                Op::Beside => {
                    y.clear();
                    for row in 0..batch * oc * oh {
                        for i in 0..node.inputs.len() {
                            let [_, _, w] = shape(i);
                            y.extend_from_slice(&x(i)[row * w..(row + 1) * w]);
                        }
                    }
                }
                Op::BatchNorm { channels, eps } => {
                    let stats = moments(x(0), *channels, oh * ow);
                    for (i, y) in y.iter_mut().enumerate() {
                        let c = i / (oh * ow) % channels;
                        let (mean, variance) = stats[c];
                        *y = (x(0)[i] - mean) / (variance + f64::from(*eps)).sqrt() * t[0][c]
                            + t[1][c];
                    }
                }
                Op::Relu => y.iter_mut().zip(x(0)).for_each(|(y, x)| *y = x.max(0.0)),
                Op::Sigmoid => y
                    .iter_mut()
                    .zip(x(0))
                    .for_each(|(y, x)| *y = 1.0 / (1.0 + (-x).exp())),
                Op::MaxPool(pool) => {
                    let [_, h, w] = shape(0);
                    y.fill(f64::NEG_INFINITY);
                    windows(pool, batch * oc, [h, w], [oh, ow], |to, from| {
                        y[to] = y[to].max(x(0)[from])
                    });
                }
                Op::AvgPool(pool) => {
                    let [_, h, w] = shape(0);
                    let share = (pool.kernel * pool.kernel) as f64;
                    windows(pool, batch * oc, [h, w], [oh, ow], |to, from| {
                        y[to] += x(0)[from] / share
                    });
                }
                Op::GlobalAvgPool => {
                    let [_, h, w] = shape(0);
                    for (y, plane) in y.iter_mut().zip(x(0).chunks(h * w)) {
                        *y = plane.iter().sum::<f64>() / (h * w) as f64;
                    }
                }
                Op::Add => y
                    .iter_mut()
                    .zip(x(0).iter().zip(x(1)))
                    .for_each(|(y, (a, b))| *y = a + b),
                Op::Mul => {
                    for (i, y) in y.iter_mut().enumerate() {
                        let [a, b] = [0, 1].map(|side| repeated(i, [oc, oh, ow], shape(side)));
                        *y = x(0)[a] * x(1)[b];
                    }
                }
                Op::Concat => {
                    y.clear();
                    for n in 0..batch {
                        for i in 0..node.inputs.len() {
                            let len = x(i).len() / batch;
                            y.extend_from_slice(&x(i)[n * len..(n + 1) * len]);
                        }
                    }
                }
                Op::Linear { inputs, .. } => {
                    for (i, y) in y.iter_mut().enumerate() {
                        let (n, o) = (i / oc, i % oc);
                        let row = &t[0][o * inputs..(o + 1) * inputs];
                        let x = &x(0)[n * inputs..(n + 1) * inputs];
                        *y = t[1][o] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                    }
                }
                Op::Dropout { p } => {
                    let mask = self.mask(*p, [batch, oc, oh, ow], seed, id);
                    y.iter_mut()
                        .zip(x(0).iter().zip(mask))
                        .for_each(|(y, (x, m))| *y = x * m);
                }
                Op::Flatten => y.copy_from_slice(x(0)),
            }
            values.push(y);
        }
        Pass {
            batch,
            seed,
            values,
        }
    }

    fn mask(&self, p: f32, [batch, c, h, w]: [usize; 4], seed: u64, id: NodeId) -> Values {
        let mut mask = vec![0.0; batch * c * h * w];
        draw_mask(p, seed, id, &mut mask);
        mask.into_iter().map(f64::from).collect()
    }

    /// `[node][tensor]` gradients of `Σ logits·dlogits`, statistics left out.
    pub(super) fn backward(&self, pass: &Pass, dlogits: &[f64]) -> Vec<Vec<Values>> {
        let batch = pass.batch;
        let mut dvalues: Vec<Values> = pass.values.iter().map(|v| vec![0.0; v.len()]).collect();
        *dvalues.last_mut().unwrap() = dlogits.to_vec();
        let mut gradients: Vec<Vec<Values>> = self
            .tensors
            .iter()
            .map(|node| node.iter().map(|t| vec![0.0; t.len()]).collect())
            .collect();
        for index in (1..self.graph.nodes().len()).rev() {
            let id = NodeId(index);
            let node = self.graph.node(id);
            let dy = std::mem::take(&mut dvalues[index]);
            let from = node.inputs[0].0;
            let x = &pass.values[from];
            let y = &pass.values[index];
            let [_, h, w] = map(self.graph.shape(node.inputs[0]));
            let [oc, oh, ow] = map(self.graph.shape(id));
            let t = &self.tensors[index];
            let dt = &mut gradients[index];
            match &node.op {
                Op::Input { .. } => unreachable!(),
                Op::Conv2d(conv) => {
                    if conv.bias {
                        dy.iter()
                            .enumerate()
                            .for_each(|(i, d)| dt[1][i / (oh * ow) % oc] += d);
                    }
                    products(conv, batch, [h, w], [oh, ow], |to, input, k| {
                        dt[0][k] += dy[to] * x[input];
                        dvalues[from][input] += dy[to] * t[0][k];
                    });
                }
                Op::BatchNorm { channels, eps } => {
                    let plane = oh * ow;
                    let count = (batch * plane) as f64;
                    let stats = moments(x, *channels, plane);
                    let inv = |c: usize| 1.0 / (stats[c].1 + f64::from(*eps)).sqrt();
                    let hat = |i: usize, c: usize| (x[i] - stats[c].0) * inv(c);
                    for (i, d) in dy.iter().enumerate() {
                        let c = i / plane % channels;
                        dt[0][c] += d * hat(i, c);
                        dt[1][c] += d;
                    }
                    for (i, d) in dy.iter().enumerate() {
                        let c = i / plane % channels;
                        let centred = d - dt[1][c] / count - hat(i, c) * dt[0][c] / count;
                        dvalues[from][i] += t[0][c] * inv(c) * centred;
                    }
                }
                Op::Relu => {
                    for (i, d) in dy.iter().enumerate() {
                        dvalues[from][i] += if x[i] > 0.0 { *d } else { 0.0 };
                    }
                }
                Op::Sigmoid => {
                    for (i, d) in dy.iter().enumerate() {
                        dvalues[from][i] += d * y[i] * (1.0 - y[i]);
                    }
                }
                Op::MaxPool(pool) => {
                    // the first of several equal maxima
                    let mut given = vec![false; y.len()];
                    windows(pool, batch * oc, [h, w], [oh, ow], |to, input| {
                        if x[input] == y[to] && !std::mem::replace(&mut given[to], true) {
                            dvalues[from][input] += dy[to];
                        }
                    });
                }
                Op::AvgPool(pool) => {
                    let share = (pool.kernel * pool.kernel) as f64;
                    windows(pool, batch * oc, [h, w], [oh, ow], |to, input| {
                        dvalues[from][input] += dy[to] / share;
                    });
                }
                Op::GlobalAvgPool => {
                    for (i, d) in dvalues[from].iter_mut().enumerate() {
                        *d += dy[i / (h * w)] / (h * w) as f64;
                    }
                }
                Op::Add => {
                    for input in &node.inputs {
                        dvalues[input.0]
                            .iter_mut()
                            .zip(&dy)
                            .for_each(|(a, d)| *a += d);
                    }
                }
                Op::Mul => {
                    let other = node.inputs[1].0;
                    let g = &pass.values[other];
                    let [own, gate] = [0, 1].map(|i| map(self.graph.shape(node.inputs[i])));
                    for (i, d) in dy.iter().enumerate() {
                        let [a, b] = [own, gate].map(|side| repeated(i, [oc, oh, ow], side));
                        dvalues[from][a] += d * g[b];
                        dvalues[other][b] += d * x[a];
                    }
                }
                Op::ConvTranspose2d(conv) => {
                    if conv.bias {
                        dy.iter()
                            .enumerate()
                            .for_each(|(i, d)| dt[1][i / (oh * ow) % oc] += d);
                    }
                    spread_products(conv, batch, [h, w], |to, input, k| {
                        dt[0][k] += dy[to] * x[input];
                        dvalues[from][input] += dy[to] * t[0][k];
                    });
                }
                Op::ChannelMean => {
                    let own = map(self.graph.shape(node.inputs[0]));
                    for (d, at) in dy.iter().zip(by_pixel(batch, own)) {
                        at.iter()
                            .for_each(|&i| dvalues[from][i] += d / at.len() as f64);
                    }
                }
                Op::ChannelMax => {
                    let own = map(self.graph.shape(node.inputs[0]));
                    for (i, at) in by_pixel(batch, own).enumerate() {
                        let winner = at.into_iter().find(|&at| x[at] == y[i]).unwrap();
                        dvalues[from][winner] += dy[i];
                    }
                }
                Op::Softmax => {
                    for at in by_pixel(batch, [oc, oh, ow]) {
                        let sum: f64 = at.iter().map(|&i| dy[i] * y[i]).sum();
                        at.iter()
                            .for_each(|&i| dvalues[from][i] += y[i] * (dy[i] - sum));
                    }
                }
                Op::Beside => {
                    let mut at = 0;
                    for row in 0..batch * oc * oh {
                        for input in &node.inputs {
                            let [_, _, w] = map(self.graph.shape(*input));
                            let target = &mut dvalues[input.0][row * w..(row + 1) * w];
                            target.iter_mut().zip(&dy[at..]).for_each(|(a, d)| *a += d);
                            at += w;
                        }
                    }
                }
                Op::Concat => {
                    let mut at = 0;
                    for n in 0..batch {
                        for input in &node.inputs {
                            let len = pass.values[input.0].len() / batch;
                            let target = &mut dvalues[input.0][n * len..(n + 1) * len];
                            target.iter_mut().zip(&dy[at..]).for_each(|(a, d)| *a += d);
                            at += len;
                        }
                    }
                }
                Op::Linear { inputs, .. } => {
                    for (i, d) in dy.iter().enumerate() {
                        let (n, o) = (i / oc, i % oc);
                        dt[1][o] += d;
                        for k in 0..*inputs {
                            dt[0][o * inputs + k] += d * x[n * inputs + k];
                            dvalues[from][n * inputs + k] += d * t[0][o * inputs + k];
                        }
                    }
                }
                Op::Dropout { p } => {
                    let mask = self.mask(*p, [batch, oc, oh, ow], pass.seed, id);
                    for (i, m) in mask.iter().enumerate() {
                        dvalues[from][i] += dy[i] * m;
                    }
                }
                Op::Flatten => dvalues[from].iter_mut().zip(&dy).for_each(|(a, d)| *a += d),
            }
        }
        gradients
    }

    /// What a training pass makes of a node's running statistics `[mean, variance]`.
    pub(super) fn moved(&self, pass: &Pass, id: NodeId) -> [Values; 2] {
        let node = self.graph.node(id);
        let [channels, h, w] = map(self.graph.shape(id));
        let stats = moments(&pass.values[node.inputs[0].0], channels, h * w);
        let count = (pass.batch * h * w) as f64;
        let momentum = f64::from(NORM_MOMENTUM);
        let blend = |old: f64, new: f64| old + momentum * (new - old);
        let t = &self.tensors[id.0];
        let channel = |c: usize| {
            let (mean, variance) = stats[c];
            (
                blend(t[2][c], mean),
                blend(t[3][c], variance * count / (count - 1.0)),
            )
        };
        let (means, variances) = (0..channels).map(channel).unzip();
        [means, variances]
    }
}
