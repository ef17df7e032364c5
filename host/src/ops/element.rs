//! What activations are stored as: `f32`, or bfloat16 where the processor multiplies it.

use super::scratch::Shelf;

/// A number format of activations; sums, weights and statistics are `f32` in all of them.
pub trait Element: Shelf + Default + PartialEq + std::fmt::Debug {
    /// Rounds to the nearest.
    fn from_f32(value: f32) -> Self;

    /// The exact value.
    fn to_f32(self) -> f32;

    /// `true` where products run in this format at full speed on this machine.
    fn is_fast() -> bool;
}

impl Element for f32 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    fn is_fast() -> bool {
        true
    }
}

/// The upper half of an `f32`: 8 bits of exponent, 7 of mantissa.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(u16);

impl Bf16 {
    /// Zero.
    pub(super) const POSITIVE_ZERO: Self = Self(0);

    /// The bits.
    #[inline(always)]
    pub fn to_bits(self) -> u16 {
        self.0
    }
}

impl Element for Bf16 {
    /// Ties go to the even neighbour, as the processor's own conversion does.
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        // a NaN must not be rounded into an infinity
        let kept = if value.is_nan() {
            bits | 0x0040_0000
        } else {
            rounded
        };
        Self((kept >> 16) as u16)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    fn is_fast() -> bool {
        super::bf16::available()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_even_and_nan_stays_nan() {
        let bits = |v: f32| Bf16::from_f32(v).to_bits();
        assert_eq!(bits(1.0), 0x3f80);
        assert_eq!(bits(f32::from_bits(0x3f80_8000)), 0x3f80);
        assert_eq!(bits(f32::from_bits(0x3f81_8000)), 0x3f82);
        assert_eq!(bits(f32::INFINITY), 0x7f80);
        assert!(
            Bf16::from_f32(f32::from_bits(0x7f80_0001))
                .to_f32()
                .is_nan()
        );
    }

    proptest! {
        #[test]
        fn the_nearest_is_taken(v in -1e30f32..1e30) {
            let back = Bf16::from_f32(v).to_f32();
            prop_assert!((back - v).abs() <= v.abs() / 256.0);
            prop_assert_eq!(Bf16::from_f32(back).to_f32(), back);
        }
    }
}
