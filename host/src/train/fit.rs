//! Whether data, network and teacher fit together, and which images are for what.

use fer_models::sha256_hex;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::center::CenterHead;
use super::{TrainError, TrainOptions};
use crate::checkpoint::Checkpoint;
use crate::data::{Dataset, Split, TargetKind, Targets};
use crate::graph::Graph;

/// What the held-out images are drawn by, whatever the run's seed: trained on with another one, a network would be
/// validated on images that it has learnt. Older builds drew by the run's seed, which is 1 where none is given.
pub(super) const HOLD_OUT_SEED: u64 = 1;

impl TrainOptions {
    /// Checks that a network of this structure can be trained on these data, `taught` by another or not: what can be
    /// known before there is one.
    ///
    /// # Errors
    /// Names the option that does not go with them, or what the data lack.
    pub fn check(&self, graph: &Graph, dataset: &Dataset, taught: bool) -> Result<(), TrainError> {
        let (training, validation) = splits(dataset, self.hold_out, HOLD_OUT_SEED);
        if training.len() < 2 {
            return Err(TrainError::Data(format!(
                "{} images to train on, expected at least 2",
                training.len()
            )));
        }
        if validation.is_empty() && self.watches_validation() {
            return Err(TrainError::Data(
                "no images to validate on, which a plateau schedule and early stopping need".into(),
            ));
        }
        self.penalty.check(graph)?;
        self.optimizer.check(graph)?;
        self.freeze.nodes(graph)?;
        if let Some(center) = self.loss.center {
            CenterHead::new(center, graph)?;
        }
        let weighted = !class_weights(dataset, self, &training)?.is_empty();
        check_targets(dataset, self, weighted, taught)
    }
}

/// What each class weighs among the images to train on; empty where all weigh the same.
pub(super) fn class_weights(
    dataset: &Dataset,
    options: &TrainOptions,
    training: &[usize],
) -> Result<Vec<f32>, TrainError> {
    let mut counts = vec![0; dataset.labels().len()];
    for &i in training {
        counts[usize::from(dataset.item(i).label)] += 1;
    }
    options.loss.class_weights.weights(&counts)
}

/// Checks that the data has the classes and the image size of the network.
pub(super) fn check_data(dataset: &Dataset, start: &Checkpoint) -> Result<(), TrainError> {
    if dataset.labels() != &start.labels {
        return Err(TrainError::Data(format!(
            "its classes are {}, the network's are {}",
            dataset.labels().names().join(" "),
            start.labels.names().join(" ")
        )));
    }
    if dataset.tile() != start.input.tile {
        return Err(TrainError::Data(format!(
            "its images are {0}×{0}, the network expects {1}×{1}",
            dataset.tile(),
            start.input.tile
        )));
    }
    Ok(())
}

/// Checks that a teacher sees and says the same things as its student.
pub(super) fn check_teacher(teacher: &Checkpoint, student: &Checkpoint) -> Result<(), TrainError> {
    if teacher.labels != student.labels {
        return Err(TrainError::Teacher(
            "knows other classes than the student".into(),
        ));
    }
    if teacher.input != student.input {
        return Err(TrainError::Teacher(format!(
            "reads {:?}, the student {:?}",
            teacher.input, student.input
        )));
    }
    Ok(())
}

/// The images to train on and to validate on: PublicTest, or where there is none and `hold_out` allows
/// it every tenth training image, drawn by `seed`.
pub(super) fn splits(dataset: &Dataset, hold_out: bool, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut training = dataset.indices(Split::Training);
    let mut validation = dataset.indices(Split::PublicTest);
    if hold_out && validation.is_empty() && training.len() >= 20 {
        training.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        validation = training.split_off(training.len() - training.len() / 10);
        training.sort_unstable();
        validation.sort_unstable();
    }
    (training, validation)
}

/// Checks that the loss can be computed towards the data's targets.
fn check_targets(
    dataset: &Dataset,
    options: &TrainOptions,
    weighted: bool,
    taught: bool,
) -> Result<(), TrainError> {
    if taught && options.loss.distill_crops.is_some() && options.augment.mixup > 0.0 {
        return Err(TrainError::Option {
            field: "loss.distill_crops",
            problem: "does not go with augment.mixup: a teacher sees no mixed images".into(),
        });
    }
    if dataset.targets().map(Targets::kind) != Some(TargetKind::AnyOf) {
        return Ok(());
    }
    let wrong = [
        ("loss.label_smoothing", options.loss.label_smoothing > 0.0),
        ("loss.class_weights", weighted),
        ("loss.center", options.loss.center.is_some()),
        ("augment.mixup", options.augment.mixup > 0.0),
        ("distill", taught),
    ];
    match wrong.into_iter().find(|(_, set)| *set) {
        None => Ok(()),
        Some((field, _)) => Err(TrainError::Option {
            field,
            problem: "does not go with labels of which any is right (multi_target)".into(),
        }),
    }
}

/// SHA-256 over labels, splits, pixels and soft targets.
pub fn fingerprint(dataset: &Dataset) -> String {
    let mut bytes = Vec::with_capacity(dataset.len() * (dataset.tile() * dataset.tile() + 2));
    for i in 0..dataset.len() {
        let item = dataset.item(i);
        bytes.extend([item.label, item.split as u8]);
        bytes.extend(dataset.image(i));
    }
    if let Some(targets) = dataset.targets() {
        bytes.push(targets.kind() as u8);
        bytes.extend(targets.rows().iter().flat_map(|share| share.to_le_bytes()));
    }
    sha256_hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Item, LoadOptions, open};
    use crate::train::RunState;

    fn drawn() -> Dataset {
        let loaded = open("synth:1:210", &LoadOptions::default());
        loaded.unwrap().dataset
    }

    fn only_training() -> Dataset {
        let drawn = drawn();
        let mut only_training = Dataset::new(drawn.labels().clone(), drawn.tile());
        for i in 0..drawn.len() {
            let item = Item {
                split: Split::Training,
                ..drawn.item(i).clone()
            };
            only_training.push(drawn.image(i), item).unwrap();
        }
        only_training
    }

    #[test]
    fn without_public_test_images_a_tenth_is_held_out() {
        let only_training = only_training();
        let (training, validation) = splits(&only_training, true, 3);
        assert_eq!((training.len(), validation.len()), (189, 21));
        assert!(validation.iter().all(|i| !training.contains(i)));
        assert_eq!(splits(&only_training, true, 3), (training, validation));
        let (training, validation) = splits(&only_training, false, 3);
        assert_eq!((training.len(), validation.len()), (210, 0));

        let drawn = drawn();
        let (training, validation) = splits(&drawn, true, 3);
        assert_eq!(training, drawn.indices(Split::Training));
        assert_eq!(validation, drawn.indices(Split::PublicTest));
    }

    /// Drawn by the run's seed, nine tenths of them had been trained on by the run before.
    #[test]
    fn runs_of_other_seeds_hold_out_the_same_images() {
        let data = only_training();
        let run = |seed| {
            let options = TrainOptions {
                seed,
                ..TrainOptions::default()
            };
            RunState::start(options, "faces".into(), "00".into())
        };
        assert_eq!(run(2).splits(&data), run(3).splits(&data));
        // one that an older build began goes on with its own
        let begun_before = |seed| RunState {
            hold_out_seed: None,
            ..run(seed)
        };
        assert_eq!(begun_before(2).splits(&data), splits(&data, true, 2));
        assert_ne!(begun_before(2).splits(&data), run(2).splits(&data));
    }

    #[test]
    fn a_changed_pixel_or_label_changes_the_fingerprint() {
        let one = open("synth:1:70", &LoadOptions::default()).unwrap().dataset;
        let two = open("synth:2:70", &LoadOptions::default()).unwrap().dataset;
        assert_eq!(fingerprint(&one), fingerprint(&one.clone()));
        assert_ne!(fingerprint(&one), fingerprint(&two));
        let mut soft = one.clone();
        let rows = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(70);
        soft.set_targets(Targets::new(TargetKind::Drawn, rows))
            .unwrap();
        assert_ne!(fingerprint(&one), fingerprint(&soft));
    }

    #[test]
    fn a_teacher_of_single_images_goes_without_mixup() {
        let data = open("synth:1:70", &LoadOptions::default()).unwrap().dataset;
        let mut options = TrainOptions::default();
        options.loss.distill_crops = Some(fer_models::Crops::Center);
        assert!(check_targets(&data, &options, false, true).is_ok());
        options.augment.mixup = 0.2;
        assert!(check_targets(&data, &options, false, false).is_ok());
        let error = check_targets(&data, &options, false, true).unwrap_err();
        assert!(error.to_string().contains("mixup"), "{error}");
    }

    #[test]
    fn sets_of_right_answers_go_with_the_plain_loss_only() {
        let mut data = open("synth:1:70", &LoadOptions::default()).unwrap().dataset;
        let options = TrainOptions::default();
        assert!(check_targets(&data, &options, true, true).is_ok());
        let rows = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(70);
        data.set_targets(Targets::new(TargetKind::AnyOf, rows))
            .unwrap();
        let error = check_targets(&data, &options, true, false).unwrap_err();
        assert!(error.to_string().contains("class_weights"), "{error}");
        assert!(check_targets(&data, &options, false, false).is_ok());
        assert!(check_targets(&data, &options, false, true).is_err());
    }
}
