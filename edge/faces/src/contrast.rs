//! Windows that are too even to be a face.

use crate::gray::Gray;
use crate::window::SIDE;

/// Standard deviation that a face has at least.
const LEAST: f64 = 10.0;

/// Whether brightness varies enough in the cascade's window at `x`, `y`.
pub(crate) fn varies(picture: Gray<'_>, x: usize, y: usize) -> bool {
    let square = picture.square(x, y, SIDE);
    let (mut sum, mut squares) = (0u32, 0u32);
    for y in 0..SIDE {
        for &pixel in square.row(y) {
            sum += u32::from(pixel);
            squares += u32::from(u16::from(pixel) * u16::from(pixel));
        }
    }
    let area = (SIDE * SIDE) as f64;
    let mean = f64::from(sum) / area;
    let mean_square = f64::from(squares) / area;
    (mean_square - mean * mean).sqrt() > LEAST
}
