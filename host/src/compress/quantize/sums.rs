//! Exact sums of products of codes, from the matrix product of 32-bit floats.
//!
//! A float holds every integer up to 2²⁴, and so does every partial sum of a product whose terms'
//! magnitudes add up to less: in whatever order it is computed, it is exact. Where a layer's terms add
//! up to more, its input is cut into digits of a few bits that are summed one by one.

use super::layer::Layer;
use super::rows;
use crate::graph::Op;
use crate::ops::conv::{self, Packed};
use crate::ops::matmul::{Mat, matmul};

/// Up to here every integer is a 32-bit float.
const EXACT: i64 = 1 << 24;
/// Bits of `code − zero_point`, its sign included.
const CODE_BITS: u32 = 9;

/// A layer ready to be summed.
pub(super) struct Sums {
    weight: Vec<f32>,
    /// Bits of one digit; the last digit has the sign.
    bits: u32,
    packed: Packed<f32>,
}

impl Sums {
    pub(super) fn new(layer: &Layer) -> Self {
        let depth = layer.weight.len() / layer.bias.len().max(1);
        let magnitudes = |filter: &[i8]| {
            filter
                .iter()
                .map(|w| i64::from(w.unsigned_abs()))
                .sum::<i64>()
        };
        let filters = layer.weight.chunks_exact(depth.max(1));
        let largest: i64 = filters.map(magnitudes).max().unwrap_or(0);
        let bits = if largest * layer.input.reach() <= EXACT {
            CODE_BITS
        } else {
            // `Layer` refuses what one bit would not do for
            (1..CODE_BITS)
                .rev()
                .find(|bits| largest << bits <= EXACT)
                .unwrap_or(1)
        };
        Self {
            weight: layer.weight.iter().map(|&w| f32::from(w)).collect(),
            bits,
            packed: Packed::default(),
        }
    }

    /// `Σ (code − zero_point) · weight + bias` for `batch` images of codes, channels last; `size` is
    /// the height and width of a convolution's input.
    pub(super) fn of(
        &mut self,
        op: &Op,
        layer: &Layer,
        codes: &[u8],
        batch: usize,
        size: [usize; 2],
    ) -> Vec<i32> {
        let outputs = layer.bias.len();
        let digits = CODE_BITS.div_ceil(self.bits);
        let mut sums: Vec<i32> = Vec::new();
        let mut digit = vec![0.0f32; codes.len()];
        let mut product = Vec::new();
        // added once, with the first digit
        let mut bias = layer.bias.clone();
        for number in 0..digits {
            let (shift, last) = (number * self.bits, number + 1 == digits);
            let mask = if last { -1 } else { (1 << self.bits) - 1 };
            rows::digit(codes, layer.input, shift, mask, &mut digit);
            match op {
                Op::Conv2d(conv) => {
                    let geo = conv.geometry(batch, size);
                    product.resize(batch * geo.output_len(), 0.0);
                    let (weight, packed) = (&self.weight, &mut self.packed);
                    conv::forward_exact(&geo, &digit, weight, packed, &mut product);
                }
                _ => {
                    let inputs = codes.len() / batch.max(1);
                    product.resize(batch * outputs, 0.0);
                    let x = Mat::new(&digit, batch, inputs, inputs);
                    let w = Mat::new(&self.weight, outputs, inputs, inputs);
                    matmul(&mut product, outputs, x, w.t(), false);
                }
            }
            sums.resize(product.len(), 0);
            rows::accumulate(&product, shift, &bias, &mut sums);
            bias.fill(0);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::affine::Affine;
    use super::*;
    use crate::graph::{Border, Conv2d};

    /// The definition, loop by loop; channels last.
    fn plain(conv: &Conv2d, layer: &Layer, codes: &[u8], [h, w]: [usize; 2]) -> Vec<i32> {
        let [oh, ow] = conv.geometry(1, [h, w]).output_size();
        let (ins, outs) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
        let mut sums = Vec::new();
        for (oy, ox, o) in (0..oh)
            .flat_map(|y| (0..ow).map(move |x| (y, x)))
            .flat_map(|(y, x)| (0..conv.outputs).map(move |o| (y, x, o)))
        {
            let mut sum = layer.bias[o];
            for i in 0..ins {
                let [kh, kw] = conv.kernel;
                for (ky, kx) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                    let [y, x] = [(oy, ky), (ox, kx)]
                        .map(|(at, tap)| at * conv.stride + tap * conv.dilation);
                    let (Some(y), Some(x)) = (
                        y.checked_sub(conv.padding.top),
                        x.checked_sub(conv.padding.left),
                    ) else {
                        continue;
                    };
                    if y >= h || x >= w {
                        continue;
                    }
                    let code = codes[(y * w + x) * conv.inputs + o / outs * ins + i];
                    let weight = layer.weight[((o * ins + i) * kh + ky) * kw + kx];
                    sum +=
                        (i32::from(code) - i32::from(layer.input.zero_point)) * i32::from(weight);
                }
            }
            sums.push(sum);
        }
        sums
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn convolutions_equal_the_definition(
            seed: u64,
            [ins, outs, groups] in [1usize..5, 1..5, 1..4],
            [kernel, stride, padding, dilation] in [1usize..4, 1..4, 0..3, 1..3],
            [h, w] in [5usize..9, 5..9],
            zero_point: u8,
        ) {
            let conv = Conv2d {
                inputs: ins * groups, outputs: outs * groups,
                kernel: [kernel; 2], stride, padding: Border::all(padding), dilation, groups, bias: true,
            };
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let layer = Layer {
                weight: (0..outs * groups * ins * kernel * kernel)
                    .map(|_| rng.random_range(-127..=127)).collect(),
                scales: vec![1.0; conv.outputs],
                bias: (0..conv.outputs).map(|_| rng.random_range(-99999..99999)).collect(),
                input: Affine { scale: 1.0, zero_point },
            };
            let codes: Vec<u8> = (0..conv.inputs * h * w).map(|_| rng.random()).collect();
            let expected = plain(&conv, &layer, &codes, [h, w]);
            // as one number a product, and cut into digits as a wide layer is
            for bits in [CODE_BITS, 6, 3, 1] {
                let mut sums = Sums { bits, ..Sums::new(&layer) };
                let found = sums.of(&Op::Conv2d(conv), &layer, &codes, 1, [h, w]);
                prop_assert_eq!(&found, &expected, "{} bits", bits);
            }
        }
    }

    /// Winograd's tiles sum transformed numbers, which hold quarters and are larger.
    #[test]
    fn a_layer_that_tiles_would_fit_is_exact() {
        let conv = Conv2d {
            inputs: 32,
            outputs: 32,
            kernel: [3; 2],
            stride: 1,
            padding: Border::all(1),
            dilation: 1,
            groups: 1,
            bias: true,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for weights in [80i8..=127, -127..=-80] {
            let layer = Layer {
                weight: (0..32 * 32 * 9)
                    .map(|_| rng.random_range(weights.clone()))
                    .collect(),
                scales: vec![1.0; 32],
                bias: vec![0; 32],
                input: Affine {
                    scale: 1.0,
                    zero_point: 0,
                },
            };
            let codes: Vec<u8> = (0..32 * 36).map(|_| rng.random_range(200..=255)).collect();
            let found = Sums::new(&layer).of(&Op::Conv2d(conv), &layer, &codes, 1, [6, 6]);
            assert_eq!(found, plain(&conv, &layer, &codes, [6, 6]));
        }
    }

    #[test]
    fn the_widest_layer_with_the_largest_numbers_is_exact() {
        let depth = 33_000;
        for (zero_point, code, weight) in [(0, 255, 127i8), (255, 0, -127), (128, 0, 127)] {
            let layer = Layer {
                weight: vec![weight; depth],
                scales: vec![1.0],
                bias: vec![(1 << 30) - 1],
                input: Affine {
                    scale: 1.0,
                    zero_point,
                },
            };
            let op = Op::Linear {
                inputs: depth,
                outputs: 1,
            };
            let found = Sums::new(&layer).of(&op, &layer, &vec![code; depth], 1, [1, 1]);
            let term = (i32::from(code) - i32::from(zero_point)) * i32::from(weight);
            assert_eq!(found, [term * depth as i32 + (1 << 30) - 1]);
        }
    }
}
