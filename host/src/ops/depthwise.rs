//! Depthwise convolution: every channel has a kernel of its own, so there is no product of matrices to make.
//!
//! Channels lie last, so a tap is one multiplication and addition over a row of channels.

use rayon::prelude::*;

use super::conv::ConvGeometry;
use super::element::Element;
use super::gather::Gather;
use super::scratch;
use super::wide::wide;

/// Whether every output sees the input of its own number alone.
pub(super) fn fits(geo: &ConvGeometry) -> bool {
    geo.groups > 1 && geo.groups == geo.inputs && geo.groups == geo.outputs
}

/// Weights `[channel][tap]` as `[tap][channel]`.
fn by_tap(weight: &[f32], taps: usize, out: &mut [f32]) {
    let channels = weight.len() / taps;
    for (tap, row) in out.chunks_exact_mut(channels).enumerate() {
        for (w, kernel) in row.iter_mut().zip(weight.chunks_exact(taps)) {
            *w = kernel[tap];
        }
    }
}

/// Forward with the forward walk, input gradients with the backward one; `target` is overwritten.
pub(super) fn walk<E: Element>(
    gather: &Gather,
    source: &[E],
    weight: &[f32],
    bias: Option<&[f32]>,
    target: &mut [E],
) {
    let taps = gather.taps();
    let channels = weight.len() / taps.max(1);
    let [height, width] = gather.target();
    let image = gather.source_pixels() * channels;
    if image == 0 || target.is_empty() {
        return;
    }
    scratch::with::<f32, _>(weight.len(), |weights| {
        by_tap(weight, taps, weights);
        let weights = &*weights;
        target
            .par_chunks_mut(width * channels)
            .enumerate()
            .for_each(|(index, target)| {
                let source = &source[index / height * image..][..image];
                scratch::with::<f32, _>(channels, |sums| {
                    let row = index % height;
                    fill_row(gather, source, weights, bias, row, sums, target);
                });
            });
    });
}

/// The gradient with respect to the weights, `dw [channels, 1, kh, kw]`, which is overwritten. A given thread
/// count always gives the same bits.
pub(super) fn weight_gradient<E: Element>(gather: &Gather, x: &[E], dy: &[E], dw: &mut [f32]) {
    let taps = gather.taps();
    let channels = dw.len() / taps.max(1);
    let [height, width] = gather.target();
    let [image, output] = [gather.source_pixels(), height * width].map(|pixels| pixels * channels);
    if image == 0 || output == 0 {
        dw.fill(0.0);
        return;
    }
    let share = (x.len() / image).div_ceil(rayon::current_num_threads());
    let parts: Vec<Vec<f32>> = x
        .par_chunks(share * image)
        .zip(dy.par_chunks(share * output))
        .map(|(x, dy)| {
            let mut sums = vec![0.0; taps * channels];
            for (x, dy) in x.chunks_exact(image).zip(dy.chunks_exact(output)) {
                add_products(gather, x, dy, &mut sums);
            }
            sums
        })
        .collect();
    for (channel, dw) in dw.chunks_exact_mut(taps).enumerate() {
        for (tap, dw) in dw.iter_mut().enumerate() {
            *dw = parts
                .iter()
                .map(|sums| sums[tap * channels + channel])
                .sum();
        }
    }
}

wide! {
    fn fill_row<'a, E: Element>(
        gather: &'a Gather,
        source: &'a [E],
        weights: &'a [f32],
        bias: Option<&'a [f32]>,
        row: usize,
        sums: &'a mut [f32],
        target: &'a mut [E],
    ) {
        let channels = sums.len();
        for (col, target) in target.chunks_exact_mut(channels).enumerate() {
            match bias {
                Some(bias) => sums.copy_from_slice(bias),
                None => sums.fill(0.0),
            }
            for (tap, weights) in weights.chunks_exact(channels).enumerate() {
                let Some(pixel) = gather.source(tap, [row, col]) else {
                    continue;
                };
                let source = &source[pixel * channels..][..channels];
                for ((sum, x), w) in sums.iter_mut().zip(source).zip(weights) {
                    *sum += x.to_f32() * w;
                }
            }
            for (t, sum) in target.iter_mut().zip(&*sums) {
                *t = E::from_f32(*sum);
            }
        }
    }

    /// Adds one image's products to `sums [tap][channel]`.
    fn add_products<'a, E: Element>(
        gather: &'a Gather,
        x: &'a [E],
        dy: &'a [E],
        sums: &'a mut [f32],
    ) {
        let channels = sums.len() / gather.taps();
        let width = gather.target()[1];
        for (pixel, dy) in dy.chunks_exact(channels).enumerate() {
            for (tap, sums) in sums.chunks_exact_mut(channels).enumerate() {
                let Some(from) = gather.source(tap, [pixel / width, pixel % width]) else {
                    continue;
                };
                let x = &x[from * channels..][..channels];
                for ((sum, x), d) in sums.iter_mut().zip(x).zip(dy) {
                    *sum += x.to_f32() * d.to_f32();
                }
            }
        }
    }
}
