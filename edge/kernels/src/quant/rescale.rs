//! From a 32-bit sum to what is stored.

/// The 8-bit integers that an output may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// What stands for 0.
    pub(crate) zero: u8,
    /// The least, relative to `zero`.
    pub(crate) low: f32,
    /// The greatest, relative to `zero`.
    pub(crate) high: f32,
}

impl Limits {
    /// All 256, or with `relu` those from `zero` on.
    pub(crate) fn new(zero: u8, relu: bool) -> Self {
        Self {
            zero,
            low: if relu { 0.0 } else { -f32::from(zero) },
            high: f32::from(255 - zero),
        }
    }

    /// The integer for `x`, which counts in units of the output's scale.
    #[inline(always)]
    pub(crate) fn byte(&self, x: f32) -> u8 {
        // not `clamp`, which has a branch for limits in the wrong order; a NaN becomes `low`
        let x = if x > self.low { x } else { self.low };
        let x = if x < self.high { x } else { self.high };
        (round(x) as i32 + i32::from(self.zero)) as u8
    }
}

/// The nearest integer, of two the even one; for |x| below 2²².
///
/// The sum has no room for fractions, so the addition rounds; unlike `round_ties_even` this needs no
/// instruction that some processors lack.
#[inline(always)]
fn round(x: f32) -> f32 {
    const ROOM: f32 = 12_582_912.0; // 1.5 · 2²³
    (x + ROOM) - ROOM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_number_and_the_rest_stays_within_limits() {
        let cases = [
            (0.5, 100),
            (1.5, 102),
            (2.5, 102),
            (-0.5, 100),
            (-1.5, 98),
            (0.499_999_97, 100),
            (154.6, 255),
            (1e9, 255),
            (-100.4, 0),
            (-1e9, 0),
            (f32::NAN, 0),
        ];
        for (x, expected) in cases {
            assert_eq!(Limits::new(100, false).byte(x), expected, "{x}");
        }
        assert_eq!(Limits::new(100, true).byte(-3.0), 100);
        assert_eq!(Limits::new(0, true).byte(254.5), 254);
    }
}
