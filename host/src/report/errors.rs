//! What a network got wrong, the surest mistakes first.

use std::fmt::Write;

use fer_models::{Labels, argmax, softmax};

/// One wrong decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// Position among the images that were judged.
    pub position: usize,
    /// The label that the data gives.
    pub target: usize,
    /// The label that the network gives.
    pub predicted: usize,
    /// Probability of the predicted label.
    pub confidence: f32,
    /// Probability of the label that the data gives.
    pub target_probability: f32,
}

/// The wrong decisions in `logits [targets, classes]`, by falling confidence.
///
/// # Panics
/// When there are not `classes` logits for each target.
pub fn mistakes(classes: usize, logits: &[f32], targets: &[u8]) -> Vec<Mistake> {
    assert_eq!(logits.len(), classes * targets.len(), "logits");
    let mut scores = vec![0.0; classes];
    let mut wrong: Vec<Mistake> = logits
        .chunks_exact(classes)
        .zip(targets)
        .enumerate()
        .filter_map(|(position, (logits, &target))| {
            let (predicted, target) = (argmax(logits), usize::from(target));
            softmax(logits, 1.0, &mut scores);
            (predicted != target).then(|| Mistake {
                position,
                target,
                predicted,
                confidence: scores[predicted],
                target_probability: scores[target],
            })
        })
        .collect();
    // positions break ties, so that the order is always the same
    wrong.sort_by(|a, b| (b.confidence.total_cmp(&a.confidence)).then(a.position.cmp(&b.position)));
    wrong
}

/// How often each label was taken for another, most often first, and then the `top` surest mistakes;
/// `number` tells an image's number in its data from its position.
pub fn mistakes_table(
    labels: &Labels,
    judged: usize,
    wrong: &[Mistake],
    top: usize,
    number: impl Fn(usize) -> usize,
) -> String {
    let name = |label: usize| labels.names()[label].as_str();
    let mut text = format!("{} of {judged} wrong\n\n", wrong.len());
    let mut pairs = vec![0usize; labels.len() * labels.len()];
    for mistake in wrong {
        pairs[mistake.target * labels.len() + mistake.predicted] += 1;
    }
    let mut order: Vec<usize> = (0..pairs.len()).filter(|&i| pairs[i] > 0).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(pairs[i]));
    let mut line = |parts: std::fmt::Arguments<'_>| {
        // a String takes any text
        let _ = writeln!(text, "{parts}");
    };
    line(format_args!("{:>6}  {:<10} taken for", "times", "label"));
    for pair in order.into_iter().take(top) {
        let (target, predicted) = (name(pair / labels.len()), name(pair % labels.len()));
        line(format_args!("{:>6}  {target:<10} {predicted}", pairs[pair]));
    }
    line(format_args!(
        "\n{:>6}  {:<10} {:<10} {:>6}  {:>8}",
        "image", "label", "taken for", "sure", "of label"
    ));
    for mistake in wrong.iter().take(top) {
        line(format_args!(
            "{:>6}  {:<10} {:<10} {:>5.1}%  {:>7.1}%",
            number(mistake.position),
            name(mistake.target),
            name(mistake.predicted),
            100.0 * mistake.confidence,
            100.0 * mistake.target_probability
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_mistake_comes_first_and_right_answers_are_left_out() {
        let logits = [2.0, 0.0, 1.0, 0.0, 0.0, 3.0, 4.0, 0.0];
        let wrong = mistakes(2, &logits, &[1, 0, 0, 1]);
        let positions: Vec<usize> = wrong.iter().map(|m| m.position).collect();
        assert_eq!(positions, [3, 2, 0]);
        let sum = wrong[0].confidence + wrong[0].target_probability;
        assert!((sum - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_table_counts_pairs_and_numbers_images() {
        let labels = Labels::new(vec!["happy".into(), "sad".into()]).unwrap();
        let wrong = mistakes(2, &[2.0, 0.0, 0.0, 1.0, 5.0, 0.0], &[1, 0, 1]);
        let table = mistakes_table(&labels, 3, &wrong, 2, |position| position + 100);
        assert!(table.starts_with("3 of 3 wrong"), "{table}");
        assert!(table.contains("     2  sad        happy"), "{table}");
        assert!(table.contains("   102  sad"), "{table}");
        assert!(!table.contains("   101"), "only the top is listed: {table}");
    }
}
