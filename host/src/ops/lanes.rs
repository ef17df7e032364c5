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

#[cfg(test)]
mod tests {
    #[test]
    fn every_length_is_summed_whole() {
        for len in 0..70usize {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let want = (len * usize::max(len, 1).saturating_sub(1) / 2) as f32;
            assert_eq!(super::sum(&values, |v| v), want);
        }
    }
}
