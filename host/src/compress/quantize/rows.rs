//! The loops over values, compiled for wide vectors and shared out over threads. A row is one pixel: the
//! channels of a map, or the features of a vector.

use rayon::prelude::*;

use super::affine::Affine;
use crate::ops::wide::wide;

/// Numbers that one task works on, about.
const BLOCK: usize = 1 << 14;

/// Whole rows of `width` that make about a block.
fn rows(width: usize) -> usize {
    (BLOCK / width.max(1)).max(1) * width.max(1)
}

/// The codes nearest to numbers.
pub(super) fn code(numbers: &[f32], to: Affine) -> Vec<u8> {
    let mut codes = vec![0; numbers.len()];
    codes
        .par_chunks_mut(BLOCK)
        .zip(numbers.par_chunks(BLOCK))
        .for_each(|(codes, numbers)| code_block(numbers, to, codes));
    codes
}

/// The numbers that codes stand for.
pub(super) fn decode(codes: &[u8], from: Affine) -> Vec<f32> {
    let mut numbers = vec![0.0; codes.len()];
    numbers
        .par_chunks_mut(BLOCK)
        .zip(codes.par_chunks(BLOCK))
        .for_each(|(numbers, codes)| decode_block(codes, from, numbers));
    numbers
}

/// Bits `shift..` of `code − zero_point` that `mask` lets through, as floats.
pub(super) fn digit(codes: &[u8], from: Affine, shift: u32, mask: i32, digit: &mut [f32]) {
    digit
        .par_chunks_mut(BLOCK)
        .zip(codes.par_chunks(BLOCK))
        .for_each(|(digit, codes)| digit_block(codes, from, shift, mask, digit));
}

/// `sums += product << shift` and, row by row, `+ bias`.
pub(super) fn accumulate(product: &[f32], shift: u32, bias: &[i32], sums: &mut [i32]) {
    let block = rows(bias.len());
    sums.par_chunks_mut(block)
        .zip(product.par_chunks(block))
        .for_each(|(sums, product)| accumulate_block(product, shift, bias, sums));
}

/// The codes of sums, with one multiplier a column.
pub(super) fn requantize(
    sums: &[i32],
    multipliers: &[f32],
    to: Affine,
    rectified: bool,
) -> Vec<u8> {
    let mut codes = vec![0; sums.len()];
    let block = rows(multipliers.len());
    codes
        .par_chunks_mut(block)
        .zip(sums.par_chunks(block))
        .for_each(|(codes, sums)| requantize_block(sums, multipliers, to, rectified, codes));
    codes
}

wide! {
    fn code_block<'a>(numbers: &'a [f32], to: Affine, codes: &'a mut [u8]) {
        for (code, &number) in codes.iter_mut().zip(numbers) {
            *code = to.code(number);
        }
    }

    fn decode_block<'a>(codes: &'a [u8], from: Affine, numbers: &'a mut [f32]) {
        for (number, &code) in numbers.iter_mut().zip(codes) {
            *number = from.number(code);
        }
    }

    fn digit_block<'a>(codes: &'a [u8], from: Affine, shift: u32, mask: i32, digit: &'a mut [f32]) {
        let zero_point = i32::from(from.zero_point);
        for (digit, &code) in digit.iter_mut().zip(codes) {
            *digit = (((i32::from(code) - zero_point) >> shift) & mask) as f32;
        }
    }

    fn accumulate_block<'a>(product: &'a [f32], shift: u32, bias: &'a [i32], sums: &'a mut [i32]) {
        let rows = product.chunks_exact(bias.len());
        for (sums, product) in sums.chunks_exact_mut(bias.len()).zip(rows) {
            for ((sum, &part), &bias) in sums.iter_mut().zip(product).zip(bias) {
                *sum += bias + ((part as i32) << shift);
            }
        }
    }

    fn requantize_block<'a>(
        sums: &'a [i32],
        multipliers: &'a [f32],
        to: Affine,
        rectified: bool,
        codes: &'a mut [u8],
    ) {
        let rows = sums.chunks_exact(multipliers.len());
        for (codes, sums) in codes.chunks_exact_mut(multipliers.len()).zip(rows) {
            for ((code, &sum), &multiplier) in codes.iter_mut().zip(sums).zip(multipliers) {
                *code = to.requantize(sum, multiplier, rectified);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_rows_equal_one_number_at_a_time() {
        // more than one block, and rows that do not divide it
        let width = 7;
        let sums: Vec<i32> = (0..30_002 * 7)
            .map(|i| (i * 7919) % 60_013 - 30_000)
            .collect();
        let multipliers: Vec<f32> = (1..=width).map(|i| i as f32 / 997.0).collect();
        let affine = Affine {
            scale: 0.25,
            zero_point: 90,
        };
        for rectified in [false, true] {
            let codes = requantize(&sums, &multipliers, affine, rectified);
            for (i, (&code, &sum)) in codes.iter().zip(&sums).enumerate() {
                let expected = affine.requantize(sum, multipliers[i % width], rectified);
                assert_eq!(code, expected, "{i}");
            }
            let numbers = decode(&codes, affine);
            assert!(
                numbers
                    .iter()
                    .zip(&codes)
                    .all(|(&n, &c)| n == affine.number(c))
            );
            assert_eq!(code(&numbers, affine), codes);
        }
    }
}
