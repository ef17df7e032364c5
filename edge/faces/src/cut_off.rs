//! Numbers from 0 to just below 256 without their fraction. A cast does the same, but compilers don't make vectors of it.
//!
//! Beside a number as large as the mantissa has room for, there are no bits left for a fraction, and the last ones of the
//! sum are the whole number, rounded to the nearest.

/// Of 64 bits.
pub(crate) fn double(number: f64) -> u8 {
    const LARGE: f64 = (1u64 << 52) as f64;
    let sum = number + LARGE;
    let up = sum - LARGE > number;
    sum.to_bits().wrapping_sub(u64::from(up)) as u8
}

/// Of 32 bits.
pub(crate) fn single(number: f32) -> u8 {
    const LARGE: f32 = (1u32 << 23) as f32;
    let sum = number + LARGE;
    let up = sum - LARGE > number;
    sum.to_bits().wrapping_sub(u32::from(up)) as u8
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_a_cast_does() {
        for whole in 0..256u16 {
            let (a, b) = (f64::from(whole), f32::from(whole));
            let doubles = [a, a.next_up(), a + 0.5, a + 0.6, (a + 1.0).next_down()];
            let singles = [b, b.next_up(), b + 0.5, b + 0.6, (b + 1.0).next_down()];
            for (double, single) in doubles.into_iter().zip(singles) {
                assert_eq!(super::double(double), whole as u8, "{double}");
                assert_eq!(super::single(single), whole as u8, "{single}");
            }
        }
    }
}
