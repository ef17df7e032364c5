//! What a network is trained towards where one label an image says too little.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::error::DataError;

/// What a right answer of [`TargetKind::AnyOf`] and a wrong one weigh: `1` and `ε`. Barsoum et al.'s
/// own program uses this ε, so that a wrong answer costs much and not infinitely much.
pub const ANY_OF_EPSILON: f32 = 1e-3;

/// How the distribution of an image becomes the target of a step (Barsoum et al., "Training Deep
/// Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution", 2016).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// It is the target of the cross entropy.
    Distribution,
    /// One class is drawn from it, anew in every epoch.
    Drawn,
    /// Every class above 0 is a right answer: `(1 − ε)·[p > 0] + ε` for the loss `−ln max(t·p)`.
    AnyOf,
}

/// A distribution over the classes for each image of a data set, and how it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Targets {
    kind: TargetKind,
    /// `[images, classes]`, rows that sum to 1.
    rows: Vec<f32>,
}

impl Targets {
    /// Rows `[images, classes]`; [`Dataset::set_targets`](super::Dataset::set_targets) checks them.
    pub fn new(kind: TargetKind, rows: Vec<f32>) -> Self {
        Self { kind, rows }
    }

    /// How the rows are used.
    pub fn kind(&self) -> TargetKind {
        self.kind
    }

    /// The distribution of image `index`.
    ///
    /// # Panics
    /// Where there is no such image, as a slice does.
    pub fn row(&self, classes: usize, index: usize) -> &[f32] {
        &self.rows[index * classes..(index + 1) * classes]
    }

    /// All rows, one after the other.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Writes the target of image `index` to `out [classes]`. `rng` is used by
    /// [`TargetKind::Drawn`] only; the same state draws the same class.
    ///
    /// # Panics
    /// Where there is no such image, as a slice does.
    pub fn write(&self, index: usize, rng: &mut ChaCha8Rng, out: &mut [f32]) {
        let row = self.row(out.len(), index);
        match self.kind {
            TargetKind::Distribution => out.copy_from_slice(row),
            TargetKind::Drawn => {
                out.fill(0.0);
                out[draw(row, rng.random())] = 1.0;
            }
            TargetKind::AnyOf => {
                for (out, &share) in out.iter_mut().zip(row) {
                    *out = if share > 0.0 { 1.0 } else { ANY_OF_EPSILON };
                }
            }
        }
    }

    pub(super) fn push_label(&mut self, classes: usize, label: u8) {
        let start = self.rows.len();
        self.rows.resize(start + classes, 0.0);
        self.rows[start + usize::from(label)] = 1.0;
    }

    pub(super) fn select(&self, classes: usize, indices: impl Iterator<Item = usize>) -> Self {
        Self {
            kind: self.kind,
            rows: indices
                .flat_map(|index| self.row(classes, index))
                .copied()
                .collect(),
        }
    }

    pub(super) fn check(&self, images: usize, classes: usize) -> Result<(), DataError> {
        let wrong = |problem| Err(DataError::Targets { problem });
        if self.rows.len() != images * classes {
            let found = self.rows.len();
            return wrong(format!(
                "expected {images} rows of {classes}, found {found} values"
            ));
        }
        for (image, row) in self.rows.chunks_exact(classes).enumerate() {
            let sum: f32 = row.iter().sum();
            let shares = row.iter().all(|share| (0.0..=1.0).contains(share));
            if !shares || (sum - 1.0).abs() > 1e-4 {
                return wrong(format!(
                    "image {image}: expected shares of 1, found {row:?}"
                ));
            }
        }
        Ok(())
    }
}

/// The class in which `place`, 0 up to 1, falls.
fn draw(row: &[f32], place: f32) -> usize {
    let mut end = 0.0;
    let inside = row.iter().position(|share| {
        end += share;
        place < end
    });
    // rounding may leave the sum just below 1
    inside.unwrap_or_else(|| row.iter().rposition(|&share| share > 0.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn drawn_targets_follow_the_distribution_and_repeat_by_seed() {
        let targets = Targets::new(TargetKind::Drawn, vec![0.0, 0.7, 0.3, 0.0]);
        let mut counts = [0; 4];
        for seed in 0..2000 {
            let mut one_hot = [9.0; 4];
            let mut again = [9.0; 4];
            targets.write(0, &mut ChaCha8Rng::seed_from_u64(seed), &mut one_hot);
            targets.write(0, &mut ChaCha8Rng::seed_from_u64(seed), &mut again);
            assert_eq!(one_hot, again);
            assert_eq!(one_hot.iter().sum::<f32>(), 1.0);
            counts[one_hot.iter().position(|&t| t == 1.0).unwrap()] += 1;
        }
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((1340..1460).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn every_class_of_a_set_is_right_and_the_others_keep_an_epsilon() {
        let targets = Targets::new(TargetKind::AnyOf, vec![0.0, 0.6, 0.4]);
        let mut out = [0.0; 3];
        targets.write(0, &mut ChaCha8Rng::seed_from_u64(1), &mut out);
        assert_eq!(out, [ANY_OF_EPSILON, 1.0, 1.0]);
    }

    #[test]
    fn a_place_at_the_end_falls_into_the_last_class_with_a_share() {
        assert_eq!(draw(&[0.5, 0.499_999, 0.0], 0.999_999_9), 1);
        assert_eq!(draw(&[0.0, 1.0], 0.0), 1);
    }
}
