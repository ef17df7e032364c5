//! Bilinear samples without a filter, as SeetaFace was trained on: for the pyramid's levels and for windows.
//!
//! The sums are rustface's in its order and in `f64`, cut off to bytes: one step less exact, and pixels whose four
//! neighbours are equal would come out different by one. But each source row is sampled once, not once for each of the
//! output rows that it is above or below of.

use crate::gray::Gray;

/// Samples pictures at other sizes; keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Bilinear {
    across: Axis,
    down: Axis,
    upper: Vec<f64>,
    lower: Vec<f64>,
}

/// Where the samples of one dimension lie.
#[derive(Debug, Default)]
struct Axis {
    /// Length of source and samples that the rest is for.
    lengths: (usize, usize),
    samples: Vec<Sample>,
}

/// A sample between two neighbouring pixels.
#[derive(Debug, Clone, Copy)]
struct Sample {
    first: usize,
    /// Of the first and the second pixel.
    weights: [f64; 2],
}

impl Axis {
    fn fill(&mut self, from: usize, to: usize) {
        if self.lengths == (from, to) {
            return;
        }
        self.lengths = (from, to);
        let scale = from as f64 / to as f64;
        self.samples.clear();
        self.samples.extend((0..to).map(|out| {
            let place = scale * out as f64;
            let first = (place as usize).min(from - 2);
            let second = place - first as f64;
            Sample {
                first,
                weights: [1.0 - second, second],
            }
        }));
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
        self.upper.resize(width, 0.0);
        self.lower.resize(width, 0.0);
        let mut sampled = None;
        for (row, sample) in rows.zip(&self.down.samples) {
            let first = sample.first;
            if sampled != Some(first) {
                if first > 0 && sampled == Some(first - 1) {
                    std::mem::swap(&mut self.upper, &mut self.lower);
                } else {
                    sample_row(from.row(first), &self.across.samples, &mut self.upper);
                }
                sample_row(from.row(first + 1), &self.across.samples, &mut self.lower);
                sampled = Some(first);
            }
            let [a, b] = sample.weights;
            for ((out, upper), lower) in row.iter_mut().zip(&self.upper).zip(&self.lower) {
                *out = (a * upper + b * lower) as i32 as u8;
            }
        }
    }
}

fn sample_row(pixels: &[u8], samples: &[Sample], out: &mut [f64]) {
    for (out, sample) in out.iter_mut().zip(samples) {
        let pair = &pixels[sample.first..sample.first + 2];
        let [a, b] = sample.weights;
        *out = a * f64::from(pair[0]) + b * f64::from(pair[1]);
    }
}
