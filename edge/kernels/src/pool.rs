//! Pooling. The border isn't read: it holds what convolutions pad with.

use crate::map::{Layout, Window};
use crate::quant::Limits;

/// The pixels of a window that lie in the map: rows and columns.
fn inside(window: &Window, from: &Layout, [y, x]: [usize; 2]) -> [std::ops::Range<usize>; 2] {
    let range = |at: usize, axis: usize, len: usize| {
        let start = at * window.stride[axis];
        let end = (start + window.kernel[axis]).saturating_sub(window.pads[axis]);
        start.saturating_sub(window.pads[axis]).min(len)..end.min(len)
    };
    [
        range(y, 0, from.shape.height),
        range(x, 1, from.shape.width),
    ]
}

/// Calls `each` with the output pixel's place and those of the input pixels in its window.
fn windows(
    (window, pictures): (&Window, usize),
    from: &Layout,
    to: &Layout,
    mut each: impl FnMut(usize, &mut dyn Iterator<Item = usize>),
) {
    for picture in 0..pictures {
        for y in 0..to.shape.height {
            for x in 0..to.shape.width {
                let [rows, columns] = inside(window, from, [y, x]);
                let at = |y: usize, x: usize| from.at(picture, y as isize, x as isize);
                let mut inputs =
                    rows.flat_map(|row| columns.clone().map(move |column| at(row, column)));
                each(to.at(picture, y as isize, x as isize), &mut inputs);
            }
        }
    }
}

/// The greatest of each window; 0 for a window that lies in the padding.
pub(crate) fn max<T: Copy + PartialOrd + Default>(
    window: (&Window, usize),
    (from, input): (&Layout, &[T]),
    (to, output): (&Layout, &mut [T]),
) {
    let channels = from.shape.channels;
    windows(window, from, to, |at, inputs| {
        let output = &mut output[at..at + channels];
        match inputs.next() {
            Some(first) => output.copy_from_slice(&input[first..first + channels]),
            None => output.fill(T::default()),
        }
        for other in inputs {
            for (max, &x) in output.iter_mut().zip(&input[other..other + channels]) {
                *max = if *max >= x { *max } else { x };
            }
        }
    });
}

/// The mean of each window, with the padding as zeros or without it.
pub(crate) fn average(
    window: (&Window, usize),
    padding: bool,
    (from, input): (&Layout, &[f32]),
    (to, output): (&Layout, &mut [f32]),
) {
    let channels = from.shape.channels;
    windows(window, from, to, |at, inputs| {
        let output = &mut output[at..at + channels];
        output.fill(0.0);
        let mut count = 0;
        for place in inputs {
            count += 1;
            for (sum, &x) in output.iter_mut().zip(&input[place..place + channels]) {
                *sum += x;
            }
        }
        let [height, width] = window.0.kernel;
        let count = if padding { height * width } else { count };
        for sum in output {
            *sum /= count.max(1) as f32;
        }
    });
}

/// How bytes are averaged: `(mean - zero) * ratio` within limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) zero: u8,
    /// Input scale / output scale.
    pub(crate) ratio: f32,
    pub(crate) limits: Limits,
}

/// As [`average`], of bytes: the sum is exact, and rounded once.
pub(crate) fn average_bytes(
    window: (&Window, usize),
    (padding, bytes): (bool, Bytes),
    (from, input): (&Layout, &[u8]),
    (to, output): (&Layout, &mut [u8]),
    sums: &mut [i32],
) {
    let channels = from.shape.channels;
    let sums = &mut sums[..channels];
    windows(window, from, to, |at, inputs| {
        sums.fill(0);
        let mut count = 0;
        for place in inputs {
            count += 1;
            for (sum, &x) in sums.iter_mut().zip(&input[place..place + channels]) {
                *sum += i32::from(x) - i32::from(bytes.zero);
            }
        }
        let [height, width] = window.0.kernel;
        let count = if padding { height * width } else { count };
        let scale = bytes.ratio / count.max(1) as f32;
        for (to, &sum) in output[at..at + channels].iter_mut().zip(&*sums) {
            *to = bytes.limits.byte(sum as f32 * scale);
        }
    });
}
