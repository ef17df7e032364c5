use proptest::prelude::*;

use super::*;

fn labels(names: &[&str]) -> Labels {
    Labels::new(names.iter().map(|&n| n.into()).collect()).expect("labels")
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} != {expected}");
}

/// Logits of a row whose softmax is exactly `shares` (which sum to 1).
fn row(shares: &[f64]) -> Vec<f32> {
    shares.iter().map(|p| p.ln() as f32).collect()
}

/// Six images of classes a a a b b c, predicted a a b b a a: by hand.
#[test]
fn hand_computed_scores() {
    let guesses = [0, 0, 1, 1, 0, 0];
    let mut logits = Vec::new();
    for guess in guesses {
        let mut shares = [0.25; 3];
        shares[guess] = 0.5;
        logits.extend(row(&shares));
    }
    let e = Evaluation::from_logits(&labels(&["a", "b", "c"]), &logits, &[0, 0, 0, 1, 1, 2])
        .expect("valid");
    assert_eq!(e.count(), 6);
    assert_eq!(e.confusion(), [[2, 1, 0], [1, 1, 0], [1, 0, 0]]);
    close(e.accuracy(), 0.5);
    let [a, b, c] = e.classes() else {
        panic!("three classes")
    };
    close(a.precision, 0.5);
    close(a.recall, 2.0 / 3.0);
    close(a.f1, 4.0 / 7.0);
    assert_eq!((a.support, a.predicted), (3, 4));
    close(b.f1, 0.5);
    // Class c is never predicted: every ratio without a denominator is 0.
    assert_eq!(
        (c.precision, c.recall, c.f1, c.predicted),
        (0.0, 0.0, 0.0, 0)
    );
    close(e.macro_f1(), (4.0 / 7.0 + 0.5) / 3.0);
    // Three right at probability 1/2, three wrong at 1/4.
    let loss = (3.0 * 2f64.ln() + 3.0 * 4f64.ln()) / 6.0;
    assert!((e.loss() - loss).abs() < 1e-6);
}

/// Two classes. Bin (12/15, 13/15]: 0.85 right, 0.83 wrong → |1 − 1.68| = 0.68.
/// Bin (8/15, 9/15]: 0.55 right → |1 − 0.55| = 0.45. Bin (14/15, 1]: 0.99 right → 0.01.
/// ECE = (0.68 + 0.45 + 0.01) / 4 = 0.285.
#[test]
fn hand_computed_calibration_error() {
    let mut logits = Vec::new();
    for p in [0.85, 0.83, 0.55, 0.99] {
        logits.extend(row(&[p, 1.0 - p]));
    }
    let e = Evaluation::from_logits(&labels(&["a", "b"]), &logits, &[0, 1, 0, 0]).expect("valid");
    assert!((e.ece() - 0.285).abs() < 1e-6, "{}", e.ece());
}

#[test]
fn certain_and_right_is_perfect_even_where_exp_would_overflow() {
    let e = Evaluation::from_logits(&labels(&["a", "b"]), &[3e38, -3e38, -1e4, 1e4], &[0, 1])
        .expect("valid");
    assert_eq!((e.loss(), e.ece(), e.accuracy()), (0.0, 0.0, 1.0));
}

#[test]
fn wrong_input_is_named() {
    let two = labels(&["a", "b"]);
    let of = |logits: &[f32], targets: &[u8]| {
        Evaluation::from_logits(&two, logits, targets)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(of(&[], &[]), "nothing to evaluate: no image");
    assert_eq!(
        of(&[0.0; 5], &[0, 1]),
        "logits: expected 2 rows of 2, found 5 values"
    );
    assert_eq!(
        of(&[0.0, 0.0, 0.0, f32::NAN], &[0, 1]),
        "row 1: logit of class `b` is NaN, expected a finite number"
    );
    assert_eq!(
        of(&[f32::INFINITY, 0.0], &[0]),
        "row 0: logit of class `a` is inf, expected a finite number"
    );
    assert_eq!(
        of(&[0.0; 4], &[0, 2]),
        "row 1: target 2 is out of range, expected less than 2"
    );
}

#[test]
fn json_keeps_its_keys_and_the_order_of_the_labels() {
    let e = Evaluation::from_logits(&labels(&["sad", "happy"]), &[0.0, 9.0, 9.0, 0.0], &[1, 1])
        .expect("valid");
    let json = e.json();
    for key in ["count", "accuracy", "loss", "macro_f1", "ece"] {
        assert!(json[key].is_number(), "{key}");
    }
    assert_eq!(json["labels"], serde_json::json!(["sad", "happy"]));
    assert_eq!(json["confusion"], serde_json::json!([[0, 0], [1, 1]]));
    assert_eq!(
        json["classes"][1],
        serde_json::json!({
            "label": "happy", "precision": 1.0, "recall": 0.5, "f1": 2.0 / 3.0,
            "support": 2, "predicted": 1,
        })
    );
}

proptest! {
    #[test]
    fn measures_stay_consistent(
        rows in prop::collection::vec((prop::collection::vec(-50f32..50.0, 4), 0u8..4), 1..60)
    ) {
        let logits: Vec<f32> = rows.iter().flat_map(|r| r.0.iter().copied()).collect();
        let targets: Vec<u8> = rows.iter().map(|r| r.1).collect();
        let four = labels(&["a", "b", "c", "d"]);
        let e = Evaluation::from_logits(&four, &logits, &targets).expect("valid");
        let n = targets.len() as u64;
        prop_assert_eq!(e.confusion().iter().flatten().sum::<u64>(), n);
        prop_assert_eq!(e.count(), n);
        let trace: u64 = (0..4).map(|i| e.confusion()[i][i]).sum();
        prop_assert_eq!(e.accuracy(), trace as f64 / n as f64);
        prop_assert!(e.loss() >= 0.0);
        for value in [e.ece(), e.macro_f1()] {
            prop_assert!((0.0..=1.0).contains(&value));
        }
        for c in e.classes() {
            let sum = c.precision + c.recall;
            let f1 = if sum == 0.0 { 0.0 } else { 2.0 * c.precision * c.recall / sum };
            prop_assert!((c.f1 - f1).abs() < 1e-12);
        }
    }
}
