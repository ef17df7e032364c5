//! What ten people's votes say about the label that FER2013 gave an image.
//!
//! The two disagree for a third of the images: FER2013's labels come from the words by which its pictures were
//! searched. Votes still tell which labels are likely, and a network that is trained towards them too has less reason
//! to learn one image's odd label by heart.

use super::COLUMNS;

/// FER2013's classes.
const CLASSES: usize = 7;
/// How many independent votes the votes of one image weigh. People who see one image err alike; of the whole numbers
/// this one has the least cross entropy on FER2013's first 8,000 images (0.94; 1.06 for 1 and 1.00 for 3).
const WEIGHT: f64 = 2.0;

/// Naive Bayes from votes to FER2013's labels: p(label | votes) ∝ p(label) · Π p(column | label)^share, with
/// [`WEIGHT`] for the sum of an image's shares.
#[derive(Debug, Clone)]
pub(super) struct Posterior {
    /// ln p(label)
    prior: [f64; CLASSES],
    /// ln p(column | label)
    columns: [[f64; COLUMNS]; CLASSES],
}

impl Posterior {
    /// Counts rows of label and votes; each class and column starts with one count of its own.
    pub(super) fn fit<'a>(rows: impl Iterator<Item = (u8, &'a [u8; COLUMNS])>) -> Self {
        let mut labels = [1.0; CLASSES];
        let mut counts = [[1.0; COLUMNS]; CLASSES];
        for (label, votes) in rows {
            let label = usize::from(label);
            labels[label] += 1.0;
            for (count, share) in counts[label].iter_mut().zip(shares(votes)) {
                *count += share;
            }
        }
        Self {
            prior: logs(labels),
            columns: counts.map(logs),
        }
    }

    /// The probability of each label.
    pub(super) fn of(&self, votes: &[u8; COLUMNS]) -> [f32; CLASSES] {
        let shares = shares(votes);
        let scores: [f64; CLASSES] = std::array::from_fn(|label| {
            let columns = self.columns[label].iter().zip(shares);
            self.prior[label] + WEIGHT * columns.map(|(ln, share)| ln * share).sum::<f64>()
        });
        let top = scores.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let parts = scores.map(|score| (score - top).exp());
        let sum: f64 = parts.iter().sum();
        parts.map(|part| (part / sum) as f32)
    }
}

/// Votes as shares of all of them; zeros where nobody voted.
fn shares(votes: &[u8; COLUMNS]) -> [f64; COLUMNS] {
    let all: u32 = votes.iter().map(|&count| u32::from(count)).sum();
    votes.map(|count| f64::from(count) / f64::from(all.max(1)))
}

/// Logarithms of counts as shares of their sum.
fn logs<const N: usize>(counts: [f64; N]) -> [f64; N] {
    let sum: f64 = counts.iter().sum();
    counts.map(|count| (count / sum).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAPPY: [u8; COLUMNS] = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    const FEAR: [u8; COLUMNS] = [0, 0, 0, 0, 0, 0, 10, 0, 0, 0];

    fn fitted() -> Posterior {
        // labels: 30 happy of which all look so, 30 of fear of which 10 look happy
        let happy = [(3, &HAPPY); 30].into_iter();
        let fear = [(2, &FEAR); 20].into_iter().chain([(2, &HAPPY); 10]);
        Posterior::fit(happy.chain(fear))
    }

    #[test]
    fn votes_tell_the_label_as_far_as_they_agree_with_it() {
        let posterior = fitted();
        let (seen_happy, seen_fear) = (posterior.of(&HAPPY), posterior.of(&FEAR));
        for shares in [seen_happy, seen_fear, posterior.of(&[0; COLUMNS])] {
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
        // of the counts under happy 31 of 40 are votes for it, under fear 11 of 40; the prior is even
        let ratio = seen_happy[3] / seen_happy[2];
        assert!((ratio - (31.0_f32 / 11.0).powi(2)).abs() < 1e-3, "{ratio}");
        assert!(seen_fear[2] > 0.9, "{seen_fear:?}");
    }

    #[test]
    fn without_votes_the_labels_frequency_is_left() {
        let none = fitted().of(&[0; COLUMNS]);
        assert!((none[3] - 31.0 / 67.0).abs() < 1e-6 && (none[0] - 1.0 / 67.0).abs() < 1e-6);
    }
}
