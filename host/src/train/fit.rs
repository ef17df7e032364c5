//! Whether data, network and teacher fit together, and which images are for what.

use fer_models::sha256_hex;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::TrainError;
use crate::checkpoint::Checkpoint;
use crate::data::{Dataset, Split};

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

/// The images to train on and to validate on: PublicTest, or where there is none every tenth
/// training image, chosen by the seed.
pub(super) fn splits(dataset: &Dataset, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut training = dataset.indices(Split::Training);
    let mut validation = dataset.indices(Split::PublicTest);
    if validation.is_empty() && training.len() >= 20 {
        training.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        validation = training.split_off(training.len() - training.len() / 10);
        training.sort_unstable();
        validation.sort_unstable();
    }
    (training, validation)
}

/// SHA-256 over labels, splits and pixels.
pub(super) fn fingerprint(dataset: &Dataset) -> String {
    let mut bytes = Vec::with_capacity(dataset.len() * (dataset.tile() * dataset.tile() + 2));
    for i in 0..dataset.len() {
        let item = dataset.item(i);
        bytes.extend([item.label, item.split as u8]);
        bytes.extend(dataset.image(i));
    }
    sha256_hex(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Item, LoadOptions, open};

    #[test]
    fn without_public_test_images_a_tenth_is_held_out() {
        let drawn = open("synth:1:210", &LoadOptions::default())
            .unwrap()
            .dataset;
        let mut only_training = Dataset::new(drawn.labels().clone(), drawn.tile());
        for i in 0..drawn.len() {
            let item = Item {
                split: Split::Training,
                ..drawn.item(i).clone()
            };
            only_training.push(drawn.image(i), item).unwrap();
        }
        let (training, validation) = splits(&only_training, 3);
        assert_eq!((training.len(), validation.len()), (189, 21));
        assert!(validation.iter().all(|i| !training.contains(i)));
        assert_eq!(splits(&only_training, 3), (training, validation));

        let (training, validation) = splits(&drawn, 3);
        assert_eq!(training, drawn.indices(Split::Training));
        assert_eq!(validation, drawn.indices(Split::PublicTest));
    }

    #[test]
    fn a_changed_pixel_or_label_changes_the_fingerprint() {
        let one = open("synth:1:70", &LoadOptions::default()).unwrap().dataset;
        let two = open("synth:2:70", &LoadOptions::default()).unwrap().dataset;
        assert_eq!(fingerprint(&one), fingerprint(&one.clone()));
        assert_ne!(fingerprint(&one), fingerprint(&two));
    }
}
