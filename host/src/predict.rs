//! Logits of many images, from whatever runs the network: the one data path of validation, `eval`
//! and export.

use fer_models::{Crops, Preprocess, average_crops, softmax};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::augment::Augment;
use crate::data::Dataset;

/// Input crops that are computed together.
const CROPS_AT_ONCE: usize = 120;

/// Logits `[indices, classes]` of the images at `indices`, averaged over their crops.
///
/// `predict(pixels, batch)` gives `[batch, classes]` for `pixels [batch, channels, crop, crop]`.
///
/// # Errors
/// What `predict` fails with.
pub fn logits<E>(
    dataset: &Dataset,
    indices: &[usize],
    input: &Preprocess,
    crops: Crops,
    mut predict: impl FnMut(&[f32], usize) -> Result<Vec<f32>, E>,
) -> Result<Vec<f32>, E> {
    let (count, len) = (crops.count(), input.input_len());
    let mut pixels = Vec::new();
    let mut all = Vec::new();
    for chunk in indices.chunks(CROPS_AT_ONCE / count) {
        pixels.resize(chunk.len() * count * len, 0.0);
        for (&index, out) in chunk.iter().zip(pixels.chunks_exact_mut(count * len)) {
            input.write_input(dataset.image(index), crops, out);
        }
        let logits = predict(&pixels, chunk.len() * count)?;
        let classes = logits.len() / (chunk.len() * count);
        let start = all.len();
        all.resize(start + chunk.len() * classes, 0.0);
        let images = all[start..].chunks_exact_mut(classes);
        for (mean, crops) in images.zip(logits.chunks_exact(count * classes)) {
            average_crops(crops, mean);
        }
    }
    Ok(all)
}

/// How an image is varied when it is judged (test-time augmentation).
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// What varies; mixup does not, since it needs other images.
    pub augment: &'a Augment,
    /// Variants of each image.
    pub count: usize,
    /// The same seed gives the same variants.
    pub seed: u64,
}

/// Like [`logits`], but over random variants of each image, whose probabilities are averaged: what comes
/// back are the logarithms of the means. This is the test of ResidualMaskingNetwork, which adds up the
/// softmax of ten draws of its training augmentation.
///
/// # Errors
/// What `predict` fails with.
pub fn drawn<E>(
    dataset: &Dataset,
    indices: &[usize],
    input: &Preprocess,
    draws: Draws<'_>,
    mut predict: impl FnMut(&[f32], usize) -> Result<Vec<f32>, E>,
) -> Result<Vec<f32>, E> {
    let (len, plane) = (input.input_len(), input.crop * input.crop);
    let (mut pixels, mut all) = (vec![0.0; draws.count * len], Vec::new());
    for &index in indices {
        let mut rng = ChaCha8Rng::seed_from_u64(draws.seed);
        rng.set_stream(index as u64);
        for variant in pixels.chunks_exact_mut(len) {
            let (first, rest) = variant.split_at_mut(plane);
            let tile = dataset.image(index);
            draws.augment.apply(&mut rng, input, tile, first);
            for channel in rest.chunks_exact_mut(plane) {
                channel.copy_from_slice(first);
            }
        }
        let logits = predict(&pixels, draws.count)?;
        let classes = logits.len() / draws.count;
        let mut mean = vec![0.0; classes];
        let mut one = vec![0.0; classes];
        for logits in logits.chunks_exact(classes) {
            softmax(logits, 1.0, &mut one);
            for (mean, p) in mean.iter_mut().zip(&one) {
                *mean += p / draws.count as f32;
            }
        }
        all.extend(mean.iter().map(|p| p.max(f32::MIN_POSITIVE).ln()));
    }
    Ok(all)
}

/// The labels of the images at `indices`.
pub fn targets(dataset: &Dataset, indices: &[usize]) -> Vec<u8> {
    indices.iter().map(|&i| dataset.item(i).label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LoadOptions, open};

    #[test]
    fn draws_average_probabilities_and_repeat_by_seed() {
        let data = open("synth:1:70", &LoadOptions::default()).unwrap().dataset;
        let input = Preprocess::fer2013(1);
        let brightness = |pixels: &[f32], batch: usize| {
            let rows = pixels.chunks_exact(pixels.len() / batch);
            let means = rows.map(|row| row.iter().sum::<f32>() / row.len() as f32);
            Ok::<_, std::convert::Infallible>(means.flat_map(|m| [5.0 * m, 0.0]).collect())
        };
        let of = |augment: &Augment, count, seed| {
            let draws = Draws {
                augment,
                count,
                seed,
            };
            drawn(&data, &[3, 9], &input, draws, brightness).unwrap()
        };
        let still = logits(&data, &[3, 9], &input, Crops::Center, brightness).unwrap();
        for (drawn, still) in of(&Augment::none(), 3, 1).chunks(2).zip(still.chunks(2)) {
            let mut p = [0.0; 2];
            softmax(still, 1.0, &mut p);
            assert!(drawn.iter().zip(p).all(|(d, p)| (d.exp() - p).abs() < 1e-6));
        }
        let rot30 = Augment::rot30();
        assert_eq!(of(&rot30, 4, 1), of(&rot30, 4, 1));
        assert_ne!(of(&rot30, 4, 1), of(&rot30, 4, 2));
        let sums = of(&rot30, 4, 1);
        let total = |row: &[f32]| row.iter().map(|v| v.exp()).sum::<f32>();
        assert!(sums.chunks(2).all(|row| (total(row) - 1.0).abs() < 1e-5));
    }
}
