//! Max, average and global average pooling, forward and backward, channels last.
//!
//! candle 0.11.1 scales the max-pool gradient by 1/4 on even sizes and loses most of it on odd ones,
//! so training does not use candle's pooling.

use rayon::prelude::*;

use super::element::Element;
use super::scratch;
use super::wide::wide;

/// The sizes of one pooling; a window must fit, left-over rows and columns are dropped (floor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolGeometry {
    /// Images in the batch.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Input height and width.
    pub size: [usize; 2],
    /// Window height and width in pixels.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Border above and to the left; it never wins a maximum and counts as zero in an average.
    pub before: [usize; 2],
    /// Border below and to the right.
    pub after: [usize; 2],
}

impl PoolGeometry {
    /// The side of the largest window, so that a winner's number fits 16 bits.
    pub const LARGEST_KERNEL: usize = 256;

    /// Output height and width; 0 where the window does not fit.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            (self.size[axis] + self.before[axis] + self.after[axis])
                .checked_sub(self.kernel)
                .map_or(0, |span| span / self.stride + 1)
        })
    }

    /// Numbers of one image before and after.
    fn lengths(&self) -> (usize, usize) {
        let [oh, ow] = self.output_size();
        (
            self.size[0] * self.size[1] * self.channels,
            oh * ow * self.channels,
        )
    }

    /// The input rows (axis 0) or columns (1) that output `at` covers.
    fn window(&self, at: usize, axis: usize) -> std::ops::Range<usize> {
        let start = at * self.stride;
        let before = self.before[axis];
        let end = (start + self.kernel)
            .saturating_sub(before)
            .min(self.size[axis]);
        start.saturating_sub(before).min(end)..end
    }

    /// Calls `visit(output pixel, input pixel, number of the input pixel in its window)` for every
    /// window, pixels counted in one image.
    #[inline(always)]
    fn for_each_pair(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [oh, ow] = self.output_size();
        let w = self.size[1];
        for oy in 0..oh {
            for ox in 0..ow {
                let mut number = 0;
                for iy in self.window(oy, 0) {
                    for ix in self.window(ox, 1) {
                        visit(oy * ow + ox, iy * w + ix, number);
                        number += 1;
                    }
                }
            }
        }
    }
}

/// Max pooling; `winners` gets the number of each maximum in its window, the first where several tie.
///
/// `x` is `[batch, h, w, channels]`; `y` and `winners` are `[batch, oh, ow, channels]` and overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says, or the window is larger than
/// [`PoolGeometry::LARGEST_KERNEL`].
pub fn max_forward<E: Element>(geo: &PoolGeometry, x: &[E], y: &mut [E], winners: &mut [u16]) {
    let (input, output) = geo.lengths();
    assert_eq!(x.len(), geo.batch * input, "input length");
    assert_eq!(y.len(), geo.batch * output, "output length");
    assert_eq!(winners.len(), y.len(), "winners length");
    assert!(geo.kernel <= PoolGeometry::LARGEST_KERNEL, "window size");
    y.par_chunks_mut(output.max(1))
        .zip(winners.par_chunks_mut(output.max(1)))
        .zip(x.par_chunks(input.max(1)))
        .for_each(|((y, winners), x)| max_image(geo, x, y, winners));
}

/// The gradient of [`max_forward`]: each output's gradient goes to its winner; `dx` is overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn max_backward<E: Element>(geo: &PoolGeometry, winners: &[u16], dy: &[E], dx: &mut [E]) {
    let (_, output) = geo.lengths();
    assert_eq!(winners.len(), geo.batch * output, "winners length");
    check_gradients(geo, dy, dx);
    let (input, _) = geo.lengths();
    dx.par_chunks_mut(input.max(1))
        .zip(dy.par_chunks(output.max(1)))
        .zip(winners.par_chunks(output.max(1)))
        .for_each(|((dx, dy), winners)| max_back(geo, winners, dy, dx));
}

/// Average pooling over `kernel²` pixels, the padding counted as zeros.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn average_forward<E: Element>(geo: &PoolGeometry, x: &[E], y: &mut [E]) {
    let (input, output) = geo.lengths();
    assert_eq!(x.len(), geo.batch * input, "input length");
    assert_eq!(y.len(), geo.batch * output, "output length");
    y.par_chunks_mut(output.max(1))
        .zip(x.par_chunks(input.max(1)))
        .for_each(|(y, x)| {
            // summed in f32, stored once
            scratch::with(y.len(), |sums| average_image(geo, x, sums, y));
        });
}

/// The gradient of [`average_forward`]; `dx` is overwritten.
///
/// # Panics
/// When a slice has another length than the geometry says.
pub fn average_backward<E: Element>(geo: &PoolGeometry, dy: &[E], dx: &mut [E]) {
    check_gradients(geo, dy, dx);
    let (input, output) = geo.lengths();
    dx.par_chunks_mut(input.max(1))
        .zip(dy.par_chunks(output.max(1)))
        .for_each(|(dx, dy)| average_back(geo, dy, dx));
}

/// The mean of each channel over all pixels: `x [batch, pixels, channels]`, `y [batch, channels]`, which
/// is overwritten.
pub fn global_forward<E: Element>((channels, pixels): (usize, usize), x: &[E], y: &mut [E]) {
    let maps = x.chunks_exact(channels * pixels);
    for (y, map) in y.chunks_exact_mut(channels).zip(maps) {
        for (c, y) in y.iter_mut().enumerate() {
            let channel = map.iter().skip(c).step_by(channels);
            let sum: f32 = channel.map(|v| v.to_f32()).sum();
            *y = E::from_f32(sum / pixels as f32);
        }
    }
}

/// The gradient of [`global_forward`]; `dx` is overwritten.
pub fn global_backward<E: Element>((channels, pixels): (usize, usize), dy: &[E], dx: &mut [E]) {
    let maps = dx.chunks_exact_mut(channels * pixels);
    for (map, dy) in maps.zip(dy.chunks_exact(channels)) {
        for (dx, dy) in map.iter_mut().zip(dy.iter().cycle()) {
            *dx = E::from_f32(dy.to_f32() / pixels as f32);
        }
    }
}

fn check_gradients<E>(geo: &PoolGeometry, dy: &[E], dx: &[E]) {
    let (input, output) = geo.lengths();
    assert_eq!(dy.len(), geo.batch * output, "gradient length");
    assert_eq!(dx.len(), geo.batch * input, "input gradient length");
}

wide! {
    fn max_image<'a, E: Element>(
        geo: &'a PoolGeometry,
        x: &'a [E],
        y: &'a mut [E],
        winners: &'a mut [u16],
    ) {
        let channels = geo.channels;
        geo.for_each_pair(|to, from, number| {
            let x = &x[from * channels..][..channels];
            let y = &mut y[to * channels..][..channels];
            let winners = &mut winners[to * channels..][..channels];
            if number == 0 {
                y.copy_from_slice(x);
                winners.fill(0);
                return;
            }
            for ((y, winner), x) in y.iter_mut().zip(winners).zip(x) {
                let larger = x.to_f32() > y.to_f32();
                *y = if larger { *x } else { *y };
                *winner = if larger { number as u16 } else { *winner };
            }
        });
    }

    fn max_back<'a, E: Element>(
        geo: &'a PoolGeometry,
        winners: &'a [u16],
        dy: &'a [E],
        dx: &'a mut [E],
    ) {
        let channels = geo.channels;
        dx.fill(E::ZERO);
        geo.for_each_pair(|to, from, number| {
            let winners = &winners[to * channels..][..channels];
            let dy = &dy[to * channels..][..channels];
            let dx = &mut dx[from * channels..][..channels];
            for ((dx, dy), &winner) in dx.iter_mut().zip(dy).zip(winners) {
                let share = if winner == number as u16 { dy.to_f32() } else { 0.0 };
                *dx = E::from_f32(dx.to_f32() + share);
            }
        });
    }

    fn average_image<'a, E: Element>(
        geo: &'a PoolGeometry,
        x: &'a [E],
        sums: &'a mut [f32],
        y: &'a mut [E],
    ) {
        let channels = geo.channels;
        let share = 1.0 / (geo.kernel * geo.kernel) as f32;
        sums.fill(0.0);
        geo.for_each_pair(|to, from, _| {
            let x = &x[from * channels..][..channels];
            for (sum, x) in sums[to * channels..][..channels].iter_mut().zip(x) {
                *sum += x.to_f32();
            }
        });
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = E::from_f32(*sum * share);
        }
    }

    fn average_back<'a, E: Element>(geo: &'a PoolGeometry, dy: &'a [E], dx: &'a mut [E]) {
        let channels = geo.channels;
        let share = 1.0 / (geo.kernel * geo.kernel) as f32;
        dx.fill(E::ZERO);
        geo.for_each_pair(|to, from, _| {
            let dy = &dy[to * channels..][..channels];
            for (dx, dy) in dx[from * channels..][..channels].iter_mut().zip(dy) {
                *dx = E::from_f32(dx.to_f32() + dy.to_f32() * share);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(size: usize) -> PoolGeometry {
        PoolGeometry {
            batch: 1,
            channels: 1,
            size: [size, size],
            kernel: 2,
            stride: 2,
            before: [0; 2],
            after: [0; 2],
        }
    }

    #[test]
    fn max_gradient_goes_whole_to_the_winner_on_odd_sizes() {
        // what candle 0.11.1 gets wrong: 5 → 2 drops the last row and column
        let geo = geometry(5);
        let x: Vec<f32> = (0..25).map(|i| ((i * 7) % 25) as f32).collect();
        let (mut y, mut winners) = ([0.0f32; 4], [0; 4]);
        max_forward(&geo, &x, &mut y, &mut winners);
        let mut dx = [f32::NAN; 25];
        max_backward(&geo, &winners, &[1.0, 2.0, 3.0, 4.0], &mut dx);
        assert_eq!(dx.iter().sum::<f32>(), 10.0);
        for (i, &number) in winners.iter().enumerate() {
            let (row, column) = (
                i / 2 * 2 + number as usize / 2,
                i % 2 * 2 + number as usize % 2,
            );
            assert_eq!(dx[row * 5 + column], (i + 1) as f32);
            assert_eq!(x[row * 5 + column], y[i]);
        }
    }

    #[test]
    fn padding_never_wins_and_counts_as_zero_in_an_average() {
        let geo = PoolGeometry {
            kernel: 3,
            stride: 2,
            before: [1; 2],
            after: [1; 2],
            ..geometry(4)
        };
        let x = [-1.0f32; 16];
        let (mut y, mut winners) = ([0.0f32; 4], [0; 4]);
        max_forward(&geo, &x, &mut y, &mut winners);
        assert_eq!(y, [-1.0; 4]);
        average_forward(&geo, &x, &mut y);
        assert_eq!(y, [-4.0 / 9.0, -6.0 / 9.0, -6.0 / 9.0, -1.0]);
    }

    #[test]
    fn a_border_on_one_side_rounds_the_output_up() {
        let geo = PoolGeometry {
            after: [1; 2],
            ..geometry(5)
        };
        assert_eq!(geo.output_size(), [3, 3]);
        let x: Vec<f32> = (0..25).map(|i| i as f32 - 30.0).collect();
        let (mut y, mut winners) = ([0.0f32; 9], [0; 9]);
        max_forward(&geo, &x, &mut y, &mut winners);
        let last = [6, 8, 9, 16, 18, 19, 21, 23, 24];
        assert_eq!(y, last.map(|i| x[i]));
        let mut dx = [f32::NAN; 25];
        max_backward(&geo, &winners, &[1.0; 9], &mut dx);
        assert_eq!(dx.iter().sum::<f32>(), 9.0);
        assert!(last.iter().all(|&i| dx[i] == 1.0));
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
        average_backward(&geo, &[16.0f32], &mut dx);
        assert_eq!(dx.iter().filter(|&&v| v == 1.0).count(), 16);
        assert_eq!(dx[4], 0.0);
    }
}
