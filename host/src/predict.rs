//! Logits of many images, from whatever runs the network: the one data path of validation, `eval`
//! and export.

use fer_models::{Crops, Preprocess, average_crops};

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

/// The labels of the images at `indices`.
pub fn targets(dataset: &Dataset, indices: &[usize]) -> Vec<u8> {
    indices.iter().map(|&i| dataset.item(i).label).collect()
}
