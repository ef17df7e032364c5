//! What is computed number by number. Rows of maps, without their borders.

use crate::map::Layout;
use crate::quant::Limits;

/// Pairs of rows at the same place of two maps: where they start, and their length.
fn rows<'a>(
    from: &'a Layout,
    to: &'a Layout,
    pictures: usize,
) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
    let len = from.shape.width * from.shape.channels;
    from.rows(pictures)
        .zip(to.rows(pictures))
        .map(move |(from, to)| (from, to, len))
}

/// Pictures `[channels, rows, columns]` as maps.
pub(crate) fn interleave(faces: &[f32], to: &Layout, output: &mut [f32]) {
    let shape = to.shape;
    let plane = shape.height * shape.width;
    for (picture, face) in faces.chunks_exact(shape.len()).enumerate() {
        for y in 0..shape.height {
            let start = to.at(picture, y as isize, 0);
            let row = &mut output[start..start + shape.width * shape.channels];
            for (x, pixel) in row.chunks_exact_mut(shape.channels).enumerate() {
                for (channel, to) in pixel.iter_mut().enumerate() {
                    *to = face[channel * plane + y * shape.width + x];
                }
            }
        }
    }
}

/// ONNX's `QuantizeLinear`.
pub(crate) fn quantize(
    pictures: usize,
    (scale, limits): (f32, Limits),
    (from, input): (&Layout, &[f32]),
    (to, output): (&Layout, &mut [u8]),
) {
    for (from, to, len) in rows(from, to, pictures) {
        for (to, &x) in output[to..to + len]
            .iter_mut()
            .zip(&input[from..from + len])
        {
            *to = limits.byte(x / scale);
        }
    }
}

/// ONNX's `DequantizeLinear`.
pub(crate) fn dequantize(
    pictures: usize,
    (scale, zero): (f32, u8),
    (from, input): (&Layout, &[u8]),
    (to, output): (&Layout, &mut [f32]),
) {
    for (from, to, len) in rows(from, to, pictures) {
        for (to, &x) in output[to..to + len]
            .iter_mut()
            .zip(&input[from..from + len])
        {
            *to = f32::from(i16::from(x) - i16::from(zero)) * scale;
        }
    }
}

/// The sum of two maps.
pub(crate) fn add(
    (pictures, relu): (usize, bool),
    inputs: [(&Layout, &[f32]); 2],
    (to, output): (&Layout, &mut [f32]),
) {
    let [(from, a), (other, b)] = inputs;
    let others = other.rows(pictures);
    for ((from, to, len), other) in rows(from, to, pictures).zip(others) {
        let pairs = a[from..from + len].iter().zip(&b[other..other + len]);
        for (to, (&a, &b)) in output[to..to + len].iter_mut().zip(pairs) {
            let sum = a + b;
            *to = if relu && sum < 0.0 { 0.0 } else { sum };
        }
    }
}

/// How bytes are added: each less its zero point, times its scale / the output's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddBytes {
    pub(crate) zeros: [u8; 2],
    pub(crate) ratios: [f32; 2],
    pub(crate) limits: Limits,
}

/// The sum of two maps of bytes.
pub(crate) fn add_bytes(
    pictures: usize,
    how: AddBytes,
    inputs: [(&Layout, &[u8]); 2],
    (to, output): (&Layout, &mut [u8]),
) {
    let [(from, a), (other, b)] = inputs;
    let others = other.rows(pictures);
    let part = |i: usize, x: u8| f32::from(i16::from(x) - i16::from(how.zeros[i])) * how.ratios[i];
    for ((from, to, len), other) in rows(from, to, pictures).zip(others) {
        let pairs = a[from..from + len].iter().zip(&b[other..other + len]);
        for (to, (&a, &b)) in output[to..to + len].iter_mut().zip(pairs) {
            *to = how.limits.byte(part(0, a) + part(1, b));
        }
    }
}
