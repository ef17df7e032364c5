//! From the frame to the picture in which the smallest face is as large as the cascade's window.
//!
//! A triangle filter, antialiased when shrinking: `fer_models::resize` and PIL's `BILINEAR`, with the same sums in the
//! same order, so that faces don't depend on who shrank the frame. Weights are worked out once a size, not once a pixel.

use crate::cut_off;
use crate::gray::{Gray, Picture};

/// Filters frames of one size to another; keeps the weights until a size changes.
#[derive(Debug, Default)]
pub(crate) struct Shrink {
    sizes: Option<[usize; 4]>,
    across: Axis,
    down: Axis,
    /// Source columns, filtered over the rows of one output row, and zeros for taps that carry no weight.
    columns: Vec<f32>,
    sums: Vec<f32>,
}

/// The weights of one dimension.
#[derive(Debug, Default)]
struct Axis {
    /// Taps of each output pixel, as many as the one with most has; weights beyond its own are 0.
    taps: usize,
    weights: Vec<f32>,
    /// First source pixel of each output pixel.
    first: Vec<usize>,
    /// Sum of each output pixel's weights.
    totals: Vec<f32>,
}

impl Axis {
    fn fill(&mut self, from: usize, to: usize) {
        let scale = from as f64 / to as f64;
        let radius = scale.max(1.0);
        let step = radius.recip() as f32;
        // Two radii reach over at most this many pixels.
        self.taps = (2.0 * radius).ceil() as usize + 1;
        self.weights.clear();
        self.first.clear();
        self.totals.clear();
        for out in 0..to {
            let centre = (out as f64 + 0.5) * scale;
            let first = ((centre - radius).floor().max(0.0) as usize).min(from - 1);
            let end = ((centre + radius).ceil() as usize).clamp(first + 1, from);
            let offset = ((first as f64 + 0.5 - centre) / radius) as f32;
            let mut total = 0.0;
            for tap in 0..self.taps {
                let distance = offset + tap as f32 * step;
                let weight = if first + tap < end {
                    (1.0 - distance.abs()).max(0.0)
                } else {
                    0.0
                };
                total += weight;
                self.weights.push(weight);
            }
            self.first.push(first);
            self.totals.push(total);
        }
    }
}

impl Shrink {
    /// `frame` at the size of `to`, which has pixels.
    pub(crate) fn run(&mut self, frame: Gray<'_>, to: &mut Picture) {
        let size = to.view();
        let sizes = [frame.width(), frame.height(), size.width(), size.height()];
        if self.sizes != Some(sizes) {
            self.across.fill(frame.width(), size.width());
            self.down.fill(frame.height(), size.height());
            self.sizes = Some(sizes);
        }
        self.columns.clear();
        self.columns.resize(frame.width() + self.across.taps, 0.0);
        self.sums.resize(size.width(), 0.0);
        for (y, out) in to.rows_mut().enumerate() {
            self.filter_rows(frame, y);
            self.filter_columns(out);
        }
    }

    fn filter_rows(&mut self, frame: Gray<'_>, y: usize) {
        let Axis {
            taps,
            weights,
            first,
            totals,
        } = &self.down;
        let columns = &mut self.columns[..frame.width()];
        columns.fill(0.0);
        for (tap, &weight) in weights[y * taps..][..*taps].iter().enumerate() {
            if weight > 0.0 {
                let weight = weight / totals[y];
                for (sum, &pixel) in columns.iter_mut().zip(frame.row(first[y] + tap)) {
                    *sum += weight * f32::from(pixel);
                }
            }
        }
    }

    fn filter_columns(&mut self, out: &mut [u8]) {
        let across = &self.across;
        let weights = across.weights.chunks_exact(across.taps);
        for ((sum, &first), weights) in self.sums.iter_mut().zip(&across.first).zip(weights) {
            let columns = &self.columns[first..][..across.taps];
            let products = weights.iter().zip(columns);
            *sum = products.fold(0.0, |sum, (weight, column)| sum + weight * column);
        }
        for ((out, sum), total) in out.iter_mut().zip(&self.sums).zip(&across.totals) {
            *out = cut_off::single(sum / total + 0.5);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_enlarging_interpolates() {
        let frame = Gray::new(2, 1, 2, &[0, 100]).unwrap();
        let (mut shrink, mut to) = (Shrink::default(), Picture::default());
        for (width, expected) in [(1, &[50][..]), (4, &[0, 25, 75, 100]), (2, &[0, 100])] {
            to.reshape(width, 1);
            shrink.run(frame, &mut to);
            assert_eq!(to.view().row(0), expected);
        }
    }
}
