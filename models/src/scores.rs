//! From logits to a decision.

/// `softmax(logits / temperature)` into `out`; a temperature above 1 flattens (Guo et al., 2017, "On
/// Calibration of Modern Neural Networks").
///
/// Finite logits of any size give scores that sum to 1. A NaN or `+inf` logit, or only `-inf`, makes
/// every score NaN: a broken network must not look like a decision, so check `is_finite` before
/// publishing.
///
/// # Panics
/// Unless `out` is as long as `logits`.
pub fn softmax(logits: &[f32], temperature: f32, out: &mut [f32]) {
    assert_eq!(logits.len(), out.len(), "one score a logit");
    // f32::max skips NaN, so NaN arrives in the sum through its own term.
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (score, &logit) in out.iter_mut().zip(logits) {
        *score = ((logit - largest) / temperature).exp();
        sum += *score;
    }
    for score in out {
        *score /= sum;
    }
}

/// Index of the largest value, the first of equals; NaN never wins. 0 for an empty slice.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &value) in values.iter().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

/// Mean of the raw logits over crops: `logits` is `[crops, classes]` row by row, `out` is `[classes]`.
///
/// The reference (WuJie1010) averages logits, not probabilities, over its ten crops.
///
/// # Panics
/// Unless `logits` is a whole, non-zero number of rows as long as `out`.
pub fn average_crops(logits: &[f32], out: &mut [f32]) {
    assert!(
        !logits.is_empty() && !out.is_empty() && logits.len().is_multiple_of(out.len()),
        "{} logits are not rows of {}",
        logits.len(),
        out.len()
    );
    let crops = (logits.len() / out.len()) as f32;
    out.fill(0.0);
    for row in logits.chunks_exact(out.len()) {
        for (sum, &logit) in out.iter_mut().zip(row) {
            *sum += logit;
        }
    }
    for sum in out {
        *sum /= crops;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn softmax_of<const N: usize>(logits: [f32; N], temperature: f32) -> [f32; N] {
        let mut out = [0.0; N];
        softmax(&logits, temperature, &mut out);
        out
    }

    #[test]
    fn softmax_matches_the_hand_calculation() {
        let scores = softmax_of([0.0, 2f32.ln(), 5f32.ln()], 1.0);
        for (score, expected) in scores.iter().zip([0.125, 0.25, 0.625]) {
            assert!((score - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn a_high_temperature_flattens_and_keeps_the_order() {
        let cold = softmax_of([1.0, 3.0], 1.0);
        let hot = softmax_of([1.0, 3.0], 4.0);
        assert!(hot[1] < cold[1] && hot[1] > 0.5);
    }

    #[test]
    fn a_broken_logit_makes_every_score_nan() {
        for broken in [f32::NAN, f32::INFINITY] {
            assert!(
                softmax_of([1.0, broken, 2.0], 1.0)
                    .iter()
                    .all(|score| score.is_nan())
            );
        }
        assert!(
            softmax_of([f32::NEG_INFINITY; 2], 1.0)
                .iter()
                .all(|score| score.is_nan())
        );
        assert_eq!(softmax_of([0.0, f32::NEG_INFINITY], 1.0), [1.0, 0.0]);
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_skips_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f32::NAN, -1.0]), 1);
        assert_eq!(argmax(&[f32::NAN]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn crops_average_per_class() {
        let mut out = [9.0; 2];
        average_crops(&[1.0, 2.0, 3.0, 6.0], &mut out);
        assert_eq!(out, [2.0, 4.0]);
    }

    proptest! {
        #[test]
        fn finite_logits_give_a_distribution(
            logits in prop::collection::vec(-1e30f32..1e30, 1..20),
            temperature in 0.01f32..100.0,
        ) {
            let mut out = vec![0.0; logits.len()];
            softmax(&logits, temperature, &mut out);
            prop_assert!((out.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            prop_assert!(out.iter().all(|score| (0.0..=1.0).contains(score)));
            prop_assert_eq!(out[argmax(&logits)], out[argmax(&out)]);
        }
    }
}
