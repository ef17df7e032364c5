//! The loss where several answers are right: FER+'s multi-target training (Barsoum et al., 2016).

use fer_models::{argmax, softmax};

use super::BatchLoss;

/// Mean of `−ln max(t·p)` over the rows of `logits [batch, classes]`, where `p` are their softmax
/// scores and `targets`, of the same shape, hold 1 for right answers and a small ε for the others. The
/// network is drawn towards the right answer that it likes best.
pub fn any_of(classes: usize, logits: &[f32], targets: &[f32]) -> BatchLoss {
    let rows = logits.len() / classes;
    let mut loss = BatchLoss {
        gradient: vec![0.0; logits.len()],
        ..BatchLoss::default()
    };
    let mut scores = vec![0.0; classes];
    let mut weighted = vec![0.0; classes];
    for ((logits, target), gradient) in logits
        .chunks_exact(classes)
        .zip(targets.chunks_exact(classes))
        .zip(loss.gradient.chunks_exact_mut(classes))
    {
        softmax(logits, 1.0, &mut scores);
        for ((out, score), target) in weighted.iter_mut().zip(&scores).zip(target) {
            *out = score * target;
        }
        let liked = argmax(&weighted);
        loss.correct += usize::from(target[argmax(logits)] >= 1.0);
        loss.mean -= f64::from(weighted[liked].max(f32::MIN_POSITIVE)).ln() / rows as f64;
        for (class, (slope, score)) in gradient.iter_mut().zip(&scores).enumerate() {
            *slope = (score - f32::from(u8::from(class == liked))) / rows as f32;
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ANY_OF_EPSILON as E;

    #[test]
    fn any_right_answer_will_do() {
        let sure = |class: usize| {
            let mut logits = [0.0; 3];
            logits[class] = 30.0;
            any_of(3, &logits, &[1.0, E, 1.0])
        };
        for right in [0, 2] {
            assert!(sure(right).mean.abs() < 1e-5);
            assert_eq!(sure(right).correct, 1);
        }
        assert!((sure(1).mean - f64::from(-E.ln())).abs() < 1e-4);
        assert_eq!(sure(1).correct, 0);
    }

    #[test]
    fn the_gradient_equals_finite_differences() {
        let logits = [0.3, -1.2, 0.9, 0.5, 0.1, -0.4];
        let targets = [1.0, 1.0, E, E, 1.0, E];
        let loss = any_of(3, &logits, &targets);
        for i in 0..6 {
            let at = |delta: f32| {
                let mut moved = logits;
                moved[i] += delta;
                any_of(3, &moved, &targets).mean
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            let got = f64::from(loss.gradient[i]);
            assert!((slope - got).abs() < 2e-4, "{i}: {got} against {slope}");
        }
    }
}
