//! What ten people's votes say about the label that FER2013 gave an image.
//!
//! The two disagree for a third of the images: FER2013's labels come from the words by which its pictures were
//! searched. Votes still tell which labels are likely, and a network that is trained towards them too has less reason
//! to learn one image's odd label by heart.

use super::COLUMNS;

/// FER2013's classes.
const CLASSES: usize = 7;
/// One, the shares of the votes, their square roots, and the products of each two of those.
const FEATURES: usize = 1 + 2 * COLUMNS + COLUMNS * (COLUMNS - 1) / 2;
/// Steps of the fit; from the thirtieth on the cross entropy on FER2013 moves by less than a thousandth.
const STEPS: usize = 40;
/// Pull of all weights but the first towards zero, for votes that hardly occur.
const RIDGE: f64 = 1.0;

type Features = [f64; FEATURES];

/// Softmax regression from votes to FER2013's labels. The votes of ten people who see one image are not independent, so
/// naive Bayes is far too sure of them; here the mean over all images is the labels' frequency.
#[derive(Debug, Clone)]
pub(super) struct Posterior {
    weights: [Features; CLASSES],
}

impl Posterior {
    /// The weights with the least cross entropy on rows of label and votes, by steps with a fixed bound of the curvature
    /// (Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of Statistical Mathematics 44,
    /// 1992) and Nesterov's momentum.
    pub(super) fn fit<'a>(rows: impl Iterator<Item = (u8, &'a [u8; COLUMNS])>) -> Self {
        let rows: Vec<(usize, Features)> = rows
            .map(|(label, votes)| (usize::from(label), features(votes)))
            .collect();
        let curvature = Cholesky::of(&curvature(&rows));
        let mut now = Self {
            weights: [[0.0; FEATURES]; CLASSES],
        };
        let mut ahead = now.clone();
        for step in 0..STEPS {
            let mut gradient = ahead.gradient(&rows);
            let momentum = step as f64 / (step as f64 + 3.0);
            let weights = now.weights.iter_mut().zip(&mut ahead.weights);
            for ((now, ahead), gradient) in weights.zip(&mut gradient) {
                curvature.solve(gradient);
                for ((now, ahead), up) in now.iter_mut().zip(ahead).zip(gradient) {
                    let next = *ahead + *up;
                    *ahead = next + momentum * (next - *now);
                    *now = next;
                }
            }
        }
        now
    }

    /// The probability of each label.
    pub(super) fn of(&self, votes: &[u8; COLUMNS]) -> [f32; CLASSES] {
        self.probabilities(&features(votes)).map(|p| p as f32)
    }

    fn probabilities(&self, features: &Features) -> [f64; CLASSES] {
        let scores = self.weights.each_ref().map(|row| {
            let terms = row.iter().zip(features).map(|(weight, x)| weight * x);
            terms.sum::<f64>()
        });
        let top = scores.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let parts = scores.map(|score| (score - top).exp());
        let sum: f64 = parts.iter().sum();
        parts.map(|part| part / sum)
    }

    /// Of the log-likelihood less the pull of the ridge.
    fn gradient(&self, rows: &[(usize, Features)]) -> [Features; CLASSES] {
        let mut gradient = self.weights;
        for row in &mut gradient {
            row.iter_mut().for_each(|weight| *weight *= -RIDGE);
            row[0] = 0.0;
        }
        for (label, features) in rows {
            let probabilities = self.probabilities(features);
            for (class, row) in gradient.iter_mut().enumerate() {
                let off = f64::from(u8::from(class == *label)) - probabilities[class];
                for (sum, x) in row.iter_mut().zip(features) {
                    *sum += off * x;
                }
            }
        }
        gradient
    }
}

fn features(votes: &[u8; COLUMNS]) -> Features {
    let all: u32 = votes.iter().map(|&count| u32::from(count)).sum();
    let shares = votes.map(|count| f64::from(count) / f64::from(all.max(1)));
    let roots = shares.map(f64::sqrt);
    let pairs = (1..COLUMNS).flat_map(|i| (0..i).map(move |j| roots[i] * roots[j]));
    let mut values = std::iter::once(1.0).chain(shares).chain(roots).chain(pairs);
    std::array::from_fn(|_| values.next().unwrap_or(0.0))
}

/// What the curvature of the negative log-likelihood never exceeds: half of XᵀX for each class, and the ridge. The first
/// weight has a ridge of a millionth, so that there is a solution without images.
fn curvature(rows: &[(usize, Features)]) -> Box<[Features; FEATURES]> {
    let mut sums = Box::new([[0.0; FEATURES]; FEATURES]);
    for (_, features) in rows {
        for (row, x) in sums.iter_mut().zip(features) {
            for (sum, y) in row.iter_mut().zip(features) {
                *sum += 0.5 * x * y;
            }
        }
    }
    for (at, row) in sums.iter_mut().enumerate() {
        row[at] += if at == 0 { 1e-6 } else { RIDGE };
    }
    sums
}

/// The lower triangle L of a positive definite matrix LLᵀ.
struct Cholesky(Box<[Features; FEATURES]>);

impl Cholesky {
    fn of(matrix: &[Features; FEATURES]) -> Self {
        let mut lower = Box::new([[0.0; FEATURES]; FEATURES]);
        for i in 0..FEATURES {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
                let left = matrix[i][j] - known;
                lower[i][j] = if i == j {
                    left.sqrt()
                } else {
                    left / lower[j][j]
                };
            }
        }
        Self(lower)
    }

    /// Replaces `b` by x with LLᵀx = b.
    fn solve(&self, b: &mut Features) {
        let lower = &self.0;
        for i in 0..FEATURES {
            let known: f64 = (0..i).map(|k| lower[i][k] * b[k]).sum();
            b[i] = (b[i] - known) / lower[i][i];
        }
        for i in (0..FEATURES).rev() {
            let known: f64 = (i + 1..FEATURES).map(|k| lower[k][i] * b[k]).sum();
            b[i] = (b[i] - known) / lower[i][i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HAPPY: [u8; COLUMNS] = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    const FEAR: [u8; COLUMNS] = [0, 0, 0, 0, 0, 0, 10, 0, 0, 0];
    const BETWEEN: [u8; COLUMNS] = [0, 5, 0, 0, 0, 0, 5, 0, 0, 0];

    /// Labels: 300 happy of which all look so, 300 of fear of which 100 look happy.
    fn rows() -> Vec<(u8, &'static [u8; COLUMNS])> {
        [(3, &HAPPY, 300), (2, &FEAR, 200), (2, &HAPPY, 100)]
            .into_iter()
            .flat_map(|(label, votes, count)| vec![(label, votes); count])
            .collect()
    }

    #[test]
    fn votes_tell_the_label_as_far_as_they_agree_with_it() {
        let posterior = Posterior::fit(rows().into_iter());
        let (happy, fear) = (posterior.of(&HAPPY), posterior.of(&FEAR));
        // of those who look happy three of four are; the ridge hardly counts
        assert!((happy[3] - 0.75).abs() < 0.02, "{happy:?}");
        assert!((happy[2] - 0.25).abs() < 0.02, "{happy:?}");
        assert!(fear[2] > 0.95, "{fear:?}");
        let between = posterior.of(&BETWEEN);
        assert!((happy[2]..fear[2]).contains(&between[2]), "{between:?}");
    }

    #[test]
    fn on_the_whole_labels_are_as_likely_as_they_are_frequent() {
        let rows = rows();
        let posterior = Posterior::fit(rows.iter().copied());
        let mut sums = [0.0; CLASSES];
        for (_, votes) in &rows {
            let likely = posterior.of(votes);
            assert!((likely.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            sums.iter_mut().zip(likely).for_each(|(sum, p)| *sum += p);
        }
        for (class, sum) in sums.into_iter().enumerate() {
            let count = rows.iter().filter(|row| usize::from(row.0) == class);
            assert!((sum - count.count() as f32).abs() < 3.0, "{sums:?}");
        }
    }

    #[test]
    fn without_images_or_votes_there_is_still_an_answer() {
        for posterior in [
            Posterior::fit(std::iter::empty()),
            Posterior::fit(rows().into_iter()),
        ] {
            let likely = posterior.of(&[0; COLUMNS]);
            assert!(likely.iter().all(|p| p.is_finite()), "{likely:?}");
            assert!((likely.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_system_of_equations_is_solved() {
        let rows = [(0, features(&HAPPY)), (1, features(&BETWEEN))];
        let matrix = curvature(&rows);
        let wanted: Features = std::array::from_fn(|i| (i as f64 * 0.7).sin());
        let mut found = matrix
            .each_ref()
            .map(|row| row.iter().zip(&wanted).map(|(a, x)| a * x).sum());
        Cholesky::of(&matrix).solve(&mut found);
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }
}
