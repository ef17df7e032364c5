//! From a histogram to the range that codes cover: what is cut off saturates, what is kept is coarser
//! the wider it is.

use std::fmt;

use super::affine::Affine;
use super::histogram::{BINS, Histogram};

/// Codes of a range.
const LEVELS: usize = 256;

/// How a range is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// From the smallest to the largest number seen.
    MinMax,
    /// As much as holds this percentage of the numbers other than zero.
    Percentile(f64),
    /// The range whose codes keep the distribution best: smallest Kullback–Leibler divergence (Migacz,
    /// "8-bit Inference with TensorRT", GTC 2017).
    Entropy,
    /// The range with the smallest mean squared error of rounding and cutting off.
    Mse,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinMax => f.pad("minmax"),
            Self::Percentile(percent) => f.pad(&format!("percentile {percent}")),
            Self::Entropy => f.pad("entropy"),
            Self::Mse => f.pad("mse"),
        }
    }
}

impl Method {
    /// The range for values that look like `histogram`; it holds zero.
    pub(super) fn range(self, histogram: &Histogram) -> (f32, f32) {
        let whole = (histogram.low, histogram.high);
        if histogram.width() == 0.0 {
            return whole;
        }
        match self {
            Self::MinMax => whole,
            Self::Percentile(percent) => percentile(histogram, percent),
            Self::Entropy => best(histogram, &shrunken(histogram), divergence),
            Self::Mse => {
                let both = best(histogram, &shrunken(histogram), squared_error);
                best(histogram, &one_sided(both), squared_error)
            }
        }
    }
}

/// Ends of the range that leave the same share of the numbers outside on each side that has numbers.
fn percentile(histogram: &Histogram, percent: f64) -> (f32, f32) {
    let total: u64 = histogram.counts.iter().sum();
    let sides =
        f64::from(u8::from(histogram.low < 0.0)) + f64::from(u8::from(histogram.high > 0.0));
    let outside = total as f64 * (1.0 - percent / 100.0) / sides;
    let counts = &histogram.counts;
    let low = f64::from(histogram.low) + cut(counts.iter(), outside) * histogram.width();
    let high = f64::from(histogram.high) - cut(counts.iter().rev(), outside) * histogram.width();
    (low.min(0.0) as f32, high.max(0.0) as f32)
}

/// Bins from an end inwards that together hold no more than `outside`.
fn cut<'a>(counts: impl Iterator<Item = &'a u64>, outside: f64) -> f64 {
    let mut seen = 0.0;
    let within = counts.take_while(|&&count| {
        seen += count as f64;
        seen <= outside
    });
    within.count() as f64
}

/// The whole range in steps down to an eighth of it.
fn shrunken(histogram: &Histogram) -> Vec<(f32, f32)> {
    let parts = (LEVELS..BINS + 1).step_by(16).rev();
    let part = |bins: usize| bins as f32 / BINS as f32;
    parts
        .map(|bins| (histogram.low * part(bins), histogram.high * part(bins)))
        .collect()
}

/// A range with either end drawn in or moved out a little.
fn one_sided((low, high): (f32, f32)) -> Vec<(f32, f32)> {
    let factors = (10..=24).map(|i| i as f32 / 20.0);
    let all = factors.flat_map(|f| [(low * f, high), (low, high * f)]);
    all.chain([(low, high)]).collect()
}

fn best(
    histogram: &Histogram,
    ranges: &[(f32, f32)],
    cost: impl Fn(&Histogram, Affine) -> f64,
) -> (f32, f32) {
    let mut best = ((histogram.low, histogram.high), f64::INFINITY);
    for &range in ranges {
        let cost = Affine::covering(range.0, range.1).map_or(f64::INFINITY, |a| cost(histogram, a));
        if cost < best.1 {
            best = (range, cost);
        }
    }
    best.0
}

/// Sum of squared differences between numbers and what their codes stand for.
fn squared_error(histogram: &Histogram, affine: Affine) -> f64 {
    let counted = histogram
        .counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0);
    counted
        .map(|(bin, &count)| {
            let number = histogram.middle(bin);
            let error = f64::from(affine.number(affine.code(number as f32))) - number;
            count as f64 * error * error
        })
        .sum()
}

/// Kullback–Leibler divergence of the distribution with everything outside moved to the ends, from the
/// one that is left when numbers of one code are spread evenly over the bins that had any.
fn divergence(histogram: &Histogram, affine: Affine) -> f64 {
    let total: u64 = histogram.counts.iter().sum();
    let (mut mass, mut kept, mut bins) = ([0u64; LEVELS], [0u64; LEVELS], [0u64; LEVELS]);
    let [lowest, highest] = [0, 255].map(|code| f64::from(affine.number(code)));
    let half = f64::from(affine.scale) / 2.0;
    let inside = |bin: usize| (lowest - half..=highest + half).contains(&histogram.middle(bin));
    let code = |bin: usize| usize::from(affine.code(histogram.middle(bin) as f32));
    let counted = || (0..BINS).filter(|&bin| histogram.counts[bin] > 0);
    for bin in counted() {
        mass[code(bin)] += histogram.counts[bin];
        if inside(bin) {
            kept[code(bin)] += histogram.counts[bin];
            bins[code(bin)] += 1;
        }
    }
    let inliers: u64 = kept.iter().sum();
    if inliers == 0 {
        return f64::INFINITY;
    }
    let mut sum = 0.0;
    for bin in counted().filter(|&bin| inside(bin)) {
        let code = code(bin);
        // what lies outside is counted in the bins of the end's code, in their proportions
        let share = histogram.counts[bin] as f64 / kept[code] as f64;
        let p = mass[code] as f64 * share / total as f64;
        let q = kept[code] as f64 / bins[code] as f64 / inliers as f64;
        sum += p * (p / q).ln();
    }
    // outliers whose end has no bin of its own cannot be moved anywhere
    let lost = (0..LEVELS).any(|code| mass[code] > 0 && kept[code] == 0);
    if lost { f64::INFINITY } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Method; 4] = [
        Method::MinMax,
        Method::Percentile(99.9),
        Method::Entropy,
        Method::Mse,
    ];

    fn histogram(numbers: &[f32]) -> Histogram {
        let mut histogram = Histogram::new(super::super::histogram::extent(numbers));
        histogram.add(numbers);
        histogram
    }

    /// Half a bell, and one number far outside.
    fn with_outlier(sign: f32) -> Vec<f32> {
        let bell = (0..200_000).map(|i| {
            let u = (f64::from(i) + 0.5) / 200_000.0;
            // the inverse of a logistic distribution's upper half
            (((1.0 + u) / (1.0 - u)).ln() as f32) * sign
        });
        bell.chain([100.0 * sign]).collect()
    }

    #[test]
    fn an_outlier_stretches_only_min_max() {
        for sign in [1.0, -1.0] {
            let histogram = histogram(&with_outlier(sign));
            for method in ALL {
                let (low, high) = method.range(&histogram);
                let (near, far) = if sign > 0.0 { (low, high) } else { (high, low) };
                assert_eq!(near, 0.0, "{method}");
                let end = far.abs();
                match method {
                    Method::MinMax => assert_eq!(end, 100.0),
                    // 99.9 % of a logistic's half lie below ln(1.999 / 0.001) = 7.6
                    Method::Percentile(_) => assert!((7.4..7.8).contains(&end), "{end}"),
                    Method::Entropy => assert!((8.0..30.0).contains(&end), "{end}"),
                    // one number 20 outside costs as much as rounding 200 000 in steps of 80 / 255
                    Method::Mse => assert!((70.0..90.0).contains(&end), "{end}"),
                }
            }
        }
    }

    #[test]
    fn evenly_spread_numbers_keep_their_whole_range() {
        let numbers: Vec<f32> = (0..100_000).map(|i| i as f32 / 50_000.0 - 0.5).collect();
        let histogram = histogram(&numbers);
        for method in ALL {
            let (low, high) = method.range(&histogram);
            assert!((low + 0.5).abs() < 0.03, "{method}: {low}");
            assert!((high - 1.5).abs() < 0.05, "{method}: {high}");
        }
    }

    #[test]
    fn a_value_that_is_always_zero_has_a_range() {
        for method in ALL {
            assert_eq!(method.range(&histogram(&[0.0; 9])), (0.0, 0.0));
        }
    }

    #[test]
    fn of_all_ranges_mse_has_the_smallest_error() {
        let histogram = histogram(&with_outlier(1.0));
        let error = |method: Method| {
            let (low, high) = method.range(&histogram);
            squared_error(&histogram, Affine::covering(low, high).unwrap())
        };
        for method in ALL {
            assert!(error(Method::Mse) <= error(method), "{method}");
        }
    }
}
