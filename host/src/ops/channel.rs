//! What is computed over the channels of each pixel: mean, maximum, softmax. Maps are rows of channels.

use rayon::prelude::*;

use super::element::Element;

/// Rows that one task works on.
const ROWS: usize = 256;

/// Runs `work` on blocks of rows: `channels` numbers of `rows`, one of `single`.
fn blocks<A: Sync, B: Send>(
    channels: usize,
    rows: &[A],
    single: &mut [B],
    work: impl Fn(&[A], &mut B) + Sync,
) {
    assert_eq!(rows.len(), single.len() * channels, "rows of channels");
    single
        .par_chunks_mut(ROWS)
        .zip(rows.par_chunks((ROWS * channels).max(1)))
        .for_each(|(single, rows)| {
            for (one, row) in single.iter_mut().zip(rows.chunks_exact(channels)) {
                work(row, one);
            }
        });
}

/// Mean of each row of `x [pixels, channels]`; `y [pixels]` is overwritten.
///
/// # Panics
/// When the lengths do not fit.
pub fn mean_forward<E: Element>(channels: usize, x: &[E], y: &mut [E]) {
    blocks(channels, x, y, |row, y| {
        let sum: f32 = row.iter().map(|v| v.to_f32()).sum();
        *y = E::from_f32(sum / channels as f32);
    });
}

/// The gradient of [`mean_forward`]; `dx` is overwritten.
///
/// # Panics
/// When the lengths do not fit.
pub fn mean_backward<E: Element>(channels: usize, dy: &[E], dx: &mut [E]) {
    assert_eq!(dx.len(), dy.len() * channels, "rows of channels");
    for (dx, dy) in dx.chunks_exact_mut(channels).zip(dy) {
        dx.fill(E::from_f32(dy.to_f32() / channels as f32));
    }
}

/// Largest number of each row of `x [pixels, channels]` and its channel, the first where several tie; both are
/// overwritten.
///
/// # Panics
/// When the lengths do not fit or there are more than 65,536 channels.
pub fn max_forward<E: Element>(channels: usize, x: &[E], y: &mut [E], winners: &mut [u16]) {
    assert!(channels <= 1 << 16, "channel numbers of 16 bits");
    blocks(channels, x, winners, |row, winner| {
        let mut best = 0;
        for (i, v) in row.iter().enumerate() {
            if v.to_f32() > row[best].to_f32() {
                best = i;
            }
        }
        *winner = best as u16;
    });
    for ((y, row), &winner) in y.iter_mut().zip(x.chunks_exact(channels)).zip(&*winners) {
        *y = row[usize::from(winner)];
    }
}

/// The gradient of [`max_forward`]: each goes to its winner; `dx` is overwritten.
///
/// # Panics
/// When the lengths do not fit.
pub fn max_backward<E: Element>(channels: usize, winners: &[u16], dy: &[E], dx: &mut [E]) {
    assert_eq!(dx.len(), dy.len() * channels, "rows of channels");
    dx.fill(E::ZERO);
    let rows = dx.chunks_exact_mut(channels).zip(dy);
    for ((dx, dy), &winner) in rows.zip(winners) {
        dx[usize::from(winner)] = *dy;
    }
}

/// `eˣ / Σ eˣ` of each row of `x [pixels, channels]`; `y` is overwritten.
///
/// # Panics
/// When the lengths do not fit.
pub fn softmax_forward<E: Element>(channels: usize, x: &[E], y: &mut [E]) {
    assert_eq!(x.len(), y.len(), "output length");
    let block = (ROWS * channels).max(1);
    y.par_chunks_mut(block)
        .zip(x.par_chunks(block))
        .for_each(|(y, x)| {
            let rows = y.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
            for (y, x) in rows {
                let largest = x.iter().map(|v| v.to_f32()).fold(f32::MIN, f32::max);
                let power = |v: &E| (v.to_f32() - largest).exp();
                let sum: f32 = x.iter().map(power).sum();
                for (y, x) in y.iter_mut().zip(x) {
                    *y = E::from_f32(power(x) / sum);
                }
            }
        });
}

/// The gradient of [`softmax_forward`] from its result `y`, in place of `dy`.
///
/// # Panics
/// When the lengths differ.
pub fn softmax_backward<E: Element>(channels: usize, y: &[E], dy: &mut [E]) {
    assert_eq!(y.len(), dy.len(), "gradient length");
    let block = (ROWS * channels).max(1);
    dy.par_chunks_mut(block)
        .zip(y.par_chunks(block))
        .for_each(|(dy, y)| {
            let rows = dy.chunks_exact_mut(channels).zip(y.chunks_exact(channels));
            for (dy, y) in rows {
                let products = dy.iter().zip(y).map(|(d, y)| d.to_f32() * y.to_f32());
                let sum: f32 = products.sum();
                for (d, y) in dy.iter_mut().zip(y) {
                    *d = E::from_f32(y.to_f32() * (d.to_f32() - sum));
                }
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_channels_wins() {
        let (mut y, mut winners) = ([0.0f32; 2], [9; 2]);
        max_forward(3, &[1.0, 2.0, 2.0, -1.0, -3.0, -1.0], &mut y, &mut winners);
        assert_eq!((y, winners), ([2.0, -1.0], [1, 0]));
        let mut dx = [f32::NAN; 6];
        max_backward(3, &winners, &[5.0, 7.0], &mut dx);
        assert_eq!(dx, [0.0, 5.0, 0.0, 7.0, 0.0, 0.0]);
    }

    #[test]
    fn softmax_adds_up_to_one_even_far_from_zero() {
        let mut y = [0.0f32; 4];
        softmax_forward(2, &[1000.0, 1000.0, -1000.0, 0.0], &mut y);
        assert_eq!(y, [0.5, 0.5, 0.0, 1.0]);
    }

    #[test]
    fn a_mean_shares_its_gradient() {
        let mut y = [0.0f32; 1];
        mean_forward(4, &[1.0, 2.0, 3.0, 6.0], &mut y);
        assert_eq!(y, [3.0]);
        let mut dx = [f32::NAN; 4];
        mean_backward(4, &[2.0], &mut dx);
        assert_eq!(dx, [0.5; 4]);
    }
}
