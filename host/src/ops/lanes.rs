//! Sums in sixteen lanes: they vectorise, round less than one running sum, and always round alike.

const LANES: usize = 16;

/// The sum of `term(v)` over `values`.
pub fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|&v| term(v)).sum();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += term(v);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The sum of `term(a, b)` over the pairs of two slices of equal length.
pub fn sum2(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(&a, &b)| term(a, b))
        .sum();
    for (a, b) in a.zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(a, b);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_length_is_summed_whole() {
        for len in 0..70usize {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let want = (len * usize::max(len, 1).saturating_sub(1) / 2) as f32;
            assert_eq!(super::sum(&values, |v| v), want);
            assert_eq!(super::sum2(&values, &values, |a, _| a), want);
        }
    }
}
