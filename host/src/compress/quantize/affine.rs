//! How 8-bit codes stand for numbers, and the arithmetic between them: the one place that rounds.
//!
//! Formulas and rounding are those of ONNX (`QuantizeLinear`, `DequantizeLinear`) and of the fused
//! integer operators of ONNX Runtime (Jacob et al., 2018, "Quantization and Training of Neural Networks
//! for Efficient Integer-Arithmetic-Only Inference"): 32-bit float scales, to the nearest code, ties
//! to the even one, saturating.

/// Largest magnitude of a weight's code: symmetric, so −128 is not used.
pub const WEIGHT_LIMIT: i32 = 127;

/// Codes of a tensor of activations: `number = (code − zero_point) · scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Distance of neighbouring codes, positive and finite.
    pub scale: f32,
    /// The code of zero.
    pub zero_point: u8,
}

impl Affine {
    /// The codes that cover `low..=high` and, exactly, zero. `None` where a limit is not finite.
    pub fn covering(low: f32, high: f32) -> Option<Self> {
        if !(low.is_finite() && high.is_finite()) {
            return None;
        }
        let (low, high) = (low.min(0.0), high.max(0.0));
        let width = f64::from(high) - f64::from(low);
        // a value that is always zero has any scale; a tiny one keeps clear of subnormal numbers
        let scale = if width == 0.0 { 1.0 } else { width / 255.0 }.max(1e-30);
        let zero_point = (-f64::from(low) / scale)
            .round_ties_even()
            .clamp(0.0, 255.0);
        Some(Self {
            scale: scale as f32,
            zero_point: zero_point as u8,
        })
    }

    /// The code nearest to a number.
    #[inline(always)]
    pub fn code(self, number: f32) -> u8 {
        let code = (number / self.scale).round_ties_even() + f32::from(self.zero_point);
        // `as` saturates, and makes 0 of what is not a number
        code as u8
    }

    /// The number that a code stands for.
    #[inline(always)]
    pub fn number(self, code: u8) -> f32 {
        f32::from(i16::from(code) - i16::from(self.zero_point)) * self.scale
    }

    /// The code of `sum · multiplier`, where `sum` counts products of codes and `multiplier` is their
    /// scale over this one's; with `rectified`, that of the larger of it and zero.
    #[inline(always)]
    pub fn requantize(self, sum: i32, multiplier: f32, rectified: bool) -> u8 {
        let zero_point = f32::from(self.zero_point);
        let lowest = if rectified { 0.0 } else { -zero_point };
        let steps = (sum as f32 * multiplier).clamp(lowest, 255.0 - zero_point);
        (steps.round_ties_even() + zero_point) as u8
    }

    /// Largest distance of a code from zero's.
    pub(super) fn reach(self) -> i64 {
        i64::from(self.zero_point.max(255 - self.zero_point))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The nearest code by looking at all of them in exact arithmetic; of two equally near ones that
    /// with an even distance from the zero point, as rounding before the zero point is added gives it.
    fn nearest(affine: Affine, number: f64) -> u8 {
        let zero = i32::from(affine.zero_point);
        let distance = |code: &u8| {
            let steps = i32::from(*code) - zero;
            let apart = (f64::from(steps) * f64::from(affine.scale) - number).abs();
            (apart, steps.rem_euclid(2))
        };
        (0..=255u8)
            .min_by(|a, b| distance(a).partial_cmp(&distance(b)).unwrap())
            .unwrap()
    }

    #[test]
    fn halves_go_to_the_even_step_and_ends_saturate() {
        let affine = Affine {
            scale: 2.0,
            zero_point: 3,
        };
        let cases = [
            (1.0, 3),
            (3.0, 5),
            (5.0, 5),
            (-1.0, 3),
            (-3.0, 1),
            (-100.0, 0),
            (1e9, 255),
            (f32::INFINITY, 255),
            (f32::NEG_INFINITY, 0),
            (f32::NAN, 0),
        ];
        for (number, code) in cases {
            assert_eq!(affine.code(number), code, "{number}");
        }
    }

    #[test]
    fn the_image_is_coded_without_loss() {
        // (pixel / 255 − 0) / 1
        let affine = Affine::covering(0.0, 1.0).unwrap();
        for pixel in 0..=255u8 {
            assert_eq!(affine.code(f32::from(pixel) / 255.0), pixel);
        }
    }

    #[test]
    fn a_range_that_is_no_range_is_refused() {
        for limit in [f32::NAN, f32::INFINITY] {
            assert_eq!(Affine::covering(0.0, limit), None);
            assert_eq!(Affine::covering(-limit, 0.0), None);
        }
        assert_eq!(
            Affine::covering(f32::MIN, f32::MAX).map(|a| a.zero_point),
            Some(128)
        );
        assert_eq!(Affine::covering(0.0, 0.0).unwrap().number(7), 7.0);
    }

    proptest! {
        #[test]
        fn a_code_is_the_nearest_one(
            scale in 1e-3f32..10.0,
            zero_point: u8,
            number in -300f32..300.0,
        ) {
            let affine = Affine { scale, zero_point };
            let exact = nearest(affine, f64::from(number));
            let code = affine.code(number);
            // division rounds once, so only a number within that of a tie may go to the other side
            let middle = (f64::from(affine.number(code)) + f64::from(affine.number(exact))) / 2.0;
            let tie = (f64::from(number) - middle).abs() <= 1e-6 * f64::from(scale) * 256.0;
            prop_assert!(code == exact || tie, "{code} {exact}");
        }

        #[test]
        fn codes_of_their_own_numbers_come_back(scale in 1e-6f32..1e6, zero_point: u8, code: u8) {
            let affine = Affine { scale, zero_point };
            prop_assert_eq!(affine.code(affine.number(code)), code);
        }

        #[test]
        fn a_range_is_covered_to_half_a_step(low in -1e3f32..1e3, width in 1e-3f32..1e3, at in 0.0f32..1.0) {
            let affine = Affine::covering(low, low + width).unwrap();
            prop_assert_eq!(affine.number(affine.zero_point), 0.0);
            let number = (low + at * width).max(low.min(0.0));
            let error = (affine.number(affine.code(number)) - number).abs();
            // half a step of rounding, and up to half a step because zero has a code of its own
            prop_assert!(error <= affine.scale * 1.001, "{error} of {}", affine.scale);
        }

        #[test]
        fn requantizing_is_the_hand_calculation(
            sum in -3_000_000i32..3_000_000,
            multiplier in 1e-6f32..1e-1,
            zero_point: u8,
            rectified: bool,
        ) {
            let affine = Affine { scale: 1.0, zero_point };
            let product = sum as f32 * multiplier;
            let steps = product.round_ties_even() as i32;
            let steps = if rectified { steps.max(0) } else { steps };
            let expected = (steps + i32::from(zero_point)).clamp(0, 255) as u8;
            prop_assert_eq!(affine.requantize(sum, multiplier, rectified), expected);
        }
    }
}
