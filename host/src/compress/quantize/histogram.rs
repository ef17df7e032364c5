//! What a value's numbers look like on the calibration images.

use rayon::prelude::*;

/// Bins of equal width between the smallest and the largest number.
pub(super) const BINS: usize = 2048;

/// How often numbers occur. Exact zeros are left out: whatever the range, they have a code of their
/// own, and after a ReLU they would drown everything else.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    /// The smallest number, at most 0.
    pub(super) low: f32,
    /// The largest number, at least 0.
    pub(super) high: f32,
    /// Numbers in each of [`BINS`] bins.
    pub(super) counts: Vec<u64>,
}

impl Histogram {
    /// Empty, for numbers in `low..=high`.
    pub(super) fn new((low, high): (f32, f32)) -> Self {
        Self {
            low: low.min(0.0),
            high: high.max(0.0),
            counts: vec![0; BINS],
        }
    }

    /// Width of a bin.
    pub(super) fn width(&self) -> f64 {
        (f64::from(self.high) - f64::from(self.low)) / BINS as f64
    }

    /// The number in the middle of a bin.
    pub(super) fn middle(&self, bin: usize) -> f64 {
        f64::from(self.low) + (bin as f64 + 0.5) * self.width()
    }

    /// Counts numbers.
    pub(super) fn add(&mut self, numbers: &[f32]) {
        if self.width() == 0.0 {
            return;
        }
        let (low, per) = (self.low, (1.0 / self.width()) as f32);
        let count = |numbers: &[f32]| {
            let mut counts = vec![0u64; BINS];
            for &number in numbers.iter().filter(|&&n| n != 0.0) {
                counts[(((number - low) * per) as usize).min(BINS - 1)] += 1;
            }
            counts
        };
        let merge = |mut a: Vec<u64>, b: Vec<u64>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        let counts = numbers.par_chunks(1 << 16).map(count);
        let counts = counts.reduce(|| vec![0; BINS], merge);
        self.counts
            .iter_mut()
            .zip(counts)
            .for_each(|(a, b)| *a += b);
    }
}

/// The smallest and the largest of the numbers, widened to hold zero; NaN where one is not a number.
pub(super) fn extent(numbers: &[f32]) -> (f32, f32) {
    let join = |a: (f32, f32), b: (f32, f32)| {
        if a.0.is_nan() || b.0.is_nan() {
            return (f32::NAN, f32::NAN);
        }
        (a.0.min(b.0), a.1.max(b.1))
    };
    let chunks = numbers.par_chunks(1 << 16);
    let each = chunks.map(|c| c.iter().map(|&n| (n, n)).fold((0.0, 0.0), join));
    each.reduce(|| (0.0, 0.0), join)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_where_they_lie_and_zeros_are_not() {
        let numbers = [0.0, -1.0, 3.0, 2.999, 0.0, 1.0];
        let (low, high) = extent(&numbers);
        assert_eq!((low, high), (-1.0, 3.0));
        let mut histogram = Histogram::new((low, high));
        histogram.add(&numbers);
        histogram.add(&numbers);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 8);
        assert_eq!((histogram.counts[0], histogram.counts[BINS - 1]), (2, 4));
        assert_eq!(histogram.counts[BINS / 2], 2);
        assert!((histogram.middle(BINS / 2) - 1.0).abs() < 1e-2);
    }

    #[test]
    fn a_number_that_is_none_spoils_the_extent() {
        let mut numbers = vec![1.0f32; 200_000];
        numbers[70_000] = f32::NAN;
        assert!(extent(&numbers).0.is_nan());
    }
}
