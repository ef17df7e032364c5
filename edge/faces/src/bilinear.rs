//! Bilinear samples without a filter, as SeetaFace was trained on: for the pyramid's levels and for windows.
//!
//! The sums are rustface's in its order and in `f64`, cut off to bytes: one step less exact, and pixels whose four
//! neighbours are equal would come out different by one. But each source row is sampled once, not once for each of the
//! output rows that it is above or below of.

use crate::cut_off;
use crate::gray::Gray;

/// Samples pictures at other sizes; keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Bilinear {
    across: Axis,
    down: Axis,
    /// Pixels that samples of a row lie between, the second in the upper byte.
    pairs: Vec<u16>,
    upper: Vec<f64>,
    lower: Vec<f64>,
}

/// Where the samples of one dimension lie, each between two neighbouring pixels.
#[derive(Debug, Default)]
struct Axis {
    /// Length of source and samples that the rest is for.
    lengths: (usize, usize),
    /// The first of each sample's two pixels.
    first: Vec<usize>,
    /// Of the first and of the second pixels.
    weights: [Vec<f64>; 2],
}

impl Axis {
    fn fill(&mut self, from: usize, to: usize) {
        if self.lengths == (from, to) {
            return;
        }
        self.lengths = (from, to);
        let scale = from as f64 / to as f64;
        let place = move |out: usize| {
            let place = scale * out as f64;
            let first = (place as usize).min(from - 2);
            (first, place - first as f64)
        };
        self.first.clear();
        self.first.extend((0..to).map(|out| place(out).0));
        let [first, second] = &mut self.weights;
        second.clear();
        second.extend((0..to).map(|out| place(out).1));
        first.clear();
        first.extend(second.iter().map(|second| 1.0 - second));
    }
}

impl Bilinear {
    /// `from`, at least 2 pixels a side, as `width` by pixels in `out`, row by row.
    pub(crate) fn resize(&mut self, from: Gray<'_>, width: usize, out: &mut [u8]) {
        let height = out.len() / width;
        let rows = out.chunks_exact_mut(width);
        if (from.width(), from.height()) == (width, height) {
            for (y, row) in rows.enumerate() {
                row.copy_from_slice(from.row(y));
            }
            return;
        }
        self.across.fill(from.width(), width);
        self.down.fill(from.height(), height);
        self.pairs.resize(width, 0);
        self.upper.resize(width, 0.0);
        self.lower.resize(width, 0.0);
        let mut sampled = None;
        for (y, row) in rows.enumerate() {
            let first = self.down.first[y];
            if sampled != Some(first) {
                if first > 0 && sampled == Some(first - 1) {
                    std::mem::swap(&mut self.upper, &mut self.lower);
                } else {
                    sample_row(
                        from.row(first),
                        &self.across,
                        &mut self.pairs,
                        &mut self.upper,
                    );
                }
                sample_row(
                    from.row(first + 1),
                    &self.across,
                    &mut self.pairs,
                    &mut self.lower,
                );
                sampled = Some(first);
            }
            let [a, b] = [0, 1].map(|of| self.down.weights[of][y]);
            for ((out, upper), lower) in row.iter_mut().zip(&self.upper).zip(&self.lower) {
                *out = cut_off::double(a * upper + b * lower);
            }
        }
    }
}

/// Gathers pixels first, one at a time, so that the rest is vectors.
fn sample_row(pixels: &[u8], axis: &Axis, pairs: &mut [u16], out: &mut [f64]) {
    for (pair, &first) in pairs.iter_mut().zip(&axis.first) {
        let pixels = &pixels[first..first + 2];
        *pair = u16::from_le_bytes([pixels[0], pixels[1]]);
    }
    let weights = axis.weights[0].iter().zip(&axis.weights[1]);
    for ((out, &pair), (a, b)) in out.iter_mut().zip(&*pairs).zip(weights) {
        *out = a * f64::from(pair & 0xff) + b * f64::from(pair >> 8);
    }
}
