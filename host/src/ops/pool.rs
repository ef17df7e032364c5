//! Max and average pooling, forward and backward, on `NCHW` planes.
//!
//! candle 0.11.1 scales the max-pool gradient by 1/4 on even sizes and loses most of it on odd ones,
//! so training does not use candle's pooling.

use rayon::prelude::*;

/// The sizes of one pooling; a window must fit, left-over rows and columns are dropped (floor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolGeometry {
    /// Channel planes in the batch: images × channels.
    pub planes: usize,
    /// Input height and width.
    pub size: [usize; 2],
    /// Window height and width in pixels.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Border added on every side; it never wins a maximum and counts as zero in an average.
    pub padding: usize,
}

impl PoolGeometry {
    /// Output height and width; 0 where the window does not fit.
    pub fn output_size(&self) -> [usize; 2] {
        self.size.map(|size| {
            (size + 2 * self.padding)
                .checked_sub(self.kernel)
                .map_or(0, |span| span / self.stride + 1)
        })
    }

    fn lengths(&self) -> (usize, usize) {
        let [oh, ow] = self.output_size();
        (self.size[0] * self.size[1], oh * ow)
    }

    /// The input rows or columns that output `at` covers on an axis of `size`.
    fn window(&self, at: usize, size: usize) -> std::ops::Range<usize> {
        let start = at * self.stride;
        let end = (start + self.kernel).saturating_sub(self.padding).min(size);
        start.saturating_sub(self.padding).min(end)..end
    }
}

/// Max pooling; `winners` gets each maximum's index in its plane, the first one where several tie.
///
/// `x` is `[planes, h, w]`; `y` and `winners` are `[planes, oh, ow]` and overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn max_forward(geo: &PoolGeometry, x: &[f32], y: &mut [f32], winners: &mut [u32]) {
    let (input, output) = geo.lengths();
    assert_eq!(x.len(), geo.planes * input, "input length");
    assert_eq!(y.len(), geo.planes * output, "output length");
    assert_eq!(winners.len(), y.len(), "winners length");
    let ow = geo.output_size()[1];
    let [h, w] = geo.size;
    y.par_chunks_mut(output.max(1))
        .zip(winners.par_chunks_mut(output.max(1)))
        .zip(x.par_chunks(input.max(1)))
        .with_min_len(16)
        .for_each(|((y, winners), x)| {
            for (i, (y, winner)) in y.iter_mut().zip(winners).enumerate() {
                let (mut best, mut at) = (f32::NEG_INFINITY, 0);
                for iy in geo.window(i / ow, h) {
                    for ix in geo.window(i % ow, w) {
                        let value = x[iy * w + ix];
                        if value > best {
                            (best, at) = (value, iy * w + ix);
                        }
                    }
                }
                (*y, *winner) = (best, at as u32);
            }
        });
}

/// The gradient of [`max_forward`]: each output's gradient goes to its winner; `dx` is overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn max_backward(geo: &PoolGeometry, winners: &[u32], dy: &[f32], dx: &mut [f32]) {
    let (input, output) = geo.lengths();
    assert_eq!(dy.len(), geo.planes * output, "gradient length");
    assert_eq!(winners.len(), dy.len(), "winners length");
    assert_eq!(dx.len(), geo.planes * input, "input gradient length");
    dx.par_chunks_mut(input.max(1))
        .zip(winners.par_chunks(output.max(1)))
        .zip(dy.par_chunks(output.max(1)))
        .with_min_len(16)
        .for_each(|((dx, winners), dy)| {
            dx.fill(0.0);
            for (&at, dy) in winners.iter().zip(dy) {
                dx[at as usize] += dy;
            }
        });
}

/// Average pooling over `kernel²` pixels, the padding counted as zeros.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn average_forward(geo: &PoolGeometry, x: &[f32], y: &mut [f32]) {
    let (input, output) = geo.lengths();
    assert_eq!(x.len(), geo.planes * input, "input length");
    assert_eq!(y.len(), geo.planes * output, "output length");
    let ow = geo.output_size()[1];
    let [h, w] = geo.size;
    let share = 1.0 / (geo.kernel * geo.kernel) as f32;
    y.par_chunks_mut(output.max(1))
        .zip(x.par_chunks(input.max(1)))
        .with_min_len(16)
        .for_each(|(y, x)| {
            for (i, y) in y.iter_mut().enumerate() {
                let columns = geo.window(i % ow, w);
                let rows = geo.window(i / ow, h);
                let sum: f32 = rows
                    .flat_map(|iy| &x[iy * w + columns.start..iy * w + columns.end])
                    .sum();
                *y = sum * share;
            }
        });
}

/// The gradient of [`average_forward`]; `dx` is overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn average_backward(geo: &PoolGeometry, dy: &[f32], dx: &mut [f32]) {
    let (input, output) = geo.lengths();
    assert_eq!(dy.len(), geo.planes * output, "gradient length");
    let ow = geo.output_size()[1];
    let [h, w] = geo.size;
    let share = 1.0 / (geo.kernel * geo.kernel) as f32;
    assert_eq!(dx.len(), geo.planes * input, "input gradient length");
    dx.par_chunks_mut(input.max(1))
        .zip(dy.par_chunks(output.max(1)))
        .with_min_len(16)
        .for_each(|(dx, dy)| {
            dx.fill(0.0);
            for (i, dy) in dy.iter().enumerate() {
                let columns = geo.window(i % ow, w);
                for iy in geo.window(i / ow, h) {
                    for v in &mut dx[iy * w + columns.start..iy * w + columns.end] {
                        *v += dy * share;
                    }
                }
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(size: usize) -> PoolGeometry {
        PoolGeometry {
            planes: 1,
            size: [size, size],
            kernel: 2,
            stride: 2,
            padding: 0,
        }
    }

    #[test]
    fn max_gradient_goes_whole_to_the_winner_on_odd_sizes() {
        // what candle 0.11.1 gets wrong: 5 → 2 drops the last row and column
        let geo = geometry(5);
        let x: Vec<f32> = (0..25).map(|i| ((i * 7) % 25) as f32).collect();
        let (mut y, mut winners) = ([0.0; 4], [0; 4]);
        max_forward(&geo, &x, &mut y, &mut winners);
        let mut dx = [f32::NAN; 25];
        max_backward(&geo, &winners, &[1.0, 2.0, 3.0, 4.0], &mut dx);
        assert_eq!(dx.iter().sum::<f32>(), 10.0);
        for (i, &at) in winners.iter().enumerate() {
            assert_eq!(dx[at as usize], (i + 1) as f32);
            assert_eq!(x[at as usize], y[i]);
        }
    }

    #[test]
    fn padding_never_wins_and_counts_as_zero_in_an_average() {
        let geo = PoolGeometry {
            kernel: 3,
            stride: 2,
            padding: 1,
            ..geometry(4)
        };
        let x = [-1.0; 16];
        let (mut y, mut winners) = ([0.0; 4], [0; 4]);
        max_forward(&geo, &x, &mut y, &mut winners);
        assert_eq!(y, [-1.0; 4]);
        average_forward(&geo, &x, &mut y);
        assert_eq!(y, [-4.0 / 9.0, -6.0 / 9.0, -6.0 / 9.0, -1.0]);
    }

    #[test]
    fn average_of_the_top_left_window_only() {
        // ResNet18 of the reference pools 4×4 of a 6×6 map
        let geo = PoolGeometry {
            kernel: 4,
            stride: 4,
            ..geometry(6)
        };
        assert_eq!(geo.output_size(), [1, 1]);
        let mut dx = [f32::NAN; 36];
        average_backward(&geo, &[16.0], &mut dx);
        assert_eq!(dx.iter().filter(|&&v| v == 1.0).count(), 16);
        assert_eq!(dx[4], 0.0);
    }
}
