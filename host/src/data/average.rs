//! Class-average faces: the mean of every face of a class, the only pictures made from real faces
//! that may leave the data.

use std::path::{Path, PathBuf};

use fer_models::{GrayView, write_atomic};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use super::dataset::{Dataset, Split};
use super::error::DataError;

/// Fewest faces that are averaged: in a mean of fewer a single person could still be seen.
pub const MIN_FACES: usize = 100;

/// The mean face of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Average {
    /// Name of the class.
    pub class: String,
    /// Number of faces in the mean.
    pub faces: usize,
    /// `tile * tile` grey bytes, contrast stretched to the full range.
    pub pixels: Vec<u8>,
}

/// The mean face of every class over one split, in label order. A mean of hundreds of faces has
/// little contrast, so each is stretched to 0..=255.
///
/// # Errors
/// [`DataError::TooFewFaces`] where any class has fewer than [`MIN_FACES`]; nothing is averaged
/// then.
pub fn class_averages(dataset: &Dataset, split: Split) -> Result<Vec<Average>, DataError> {
    let counts = dataset.counts(split);
    let names = dataset.labels().names();
    if let Some(label) = counts.iter().position(|&count| count < MIN_FACES) {
        return Err(DataError::TooFewFaces {
            class: names[label].clone(),
            limit: MIN_FACES,
            found: counts[label],
        });
    }
    let size = dataset.tile() * dataset.tile();
    let mut sums = vec![0_u64; size * names.len()];
    for index in dataset.indices(split) {
        let label = usize::from(dataset.item(index).label);
        for (sum, &pixel) in sums[label * size..].iter_mut().zip(dataset.image(index)) {
            *sum += u64::from(pixel);
        }
    }
    let averages = names
        .iter()
        .zip(counts)
        .zip(sums.chunks(size))
        .map(|((name, faces), sums)| Average {
            class: name.clone(),
            faces,
            pixels: stretch(sums),
        });
    Ok(averages.collect())
}

/// Scales values so that the least becomes 0 and the greatest 255; a flat picture becomes black.
fn stretch(sums: &[u64]) -> Vec<u8> {
    let least = sums.iter().min().copied().unwrap_or(0);
    let range = sums.iter().max().copied().unwrap_or(0) - least;
    let scale = 255.0 / range.max(1) as f64;
    sums.iter()
        .map(|&sum| ((sum - least) as f64 * scale).round() as u8)
        .collect()
}

/// Writes each average as `<class>.png` (8-bit grey, `size`×`size`) into `folder`, which is made
/// where it is missing. Each file appears whole or not at all. Returns the paths in order.
///
/// # Errors
/// [`DataError::Tile`] for a `size` outside `1..=`[`super::MAX_TILE`]; [`DataError::Io`] naming
/// the file that could not be written.
pub fn write_pngs(
    averages: &[Average],
    tile: usize,
    size: usize,
    folder: &Path,
) -> Result<Vec<PathBuf>, DataError> {
    if !(1..=super::MAX_TILE).contains(&size) {
        return Err(DataError::Tile { found: size });
    }
    std::fs::create_dir_all(folder).map_err(|source| DataError::io(folder, source))?;
    let mut written = Vec::new();
    for average in averages {
        let path = folder.join(format!("{}.png", average.class));
        write_png(&path, &average.pixels, tile, size)?;
        written.push(path);
    }
    Ok(written)
}

fn write_png(path: &Path, pixels: &[u8], tile: usize, size: usize) -> Result<(), DataError> {
    let image_error = |source| DataError::Image {
        path: path.to_owned(),
        source,
    };
    let mut picture = vec![0; size * size];
    let view =
        GrayView::new(tile, tile, tile, pixels).map_err(|error| image_error(error.into()))?;
    fer_models::resize(view, size, size, &mut picture);
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&picture, size as u32, size as u32, ExtendedColorType::L8)
        .map_err(|error| image_error(error.into()))?;
    write_atomic(path, |out| out.write_all(&png)).map_err(|source| DataError::io(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Item;
    use fer_models::Labels;

    fn two_classes(per_class: usize) -> Dataset {
        let labels = Labels::new(vec!["a".into(), "b".into()]).unwrap();
        let mut data = Dataset::new(labels, 2);
        for index in 0..per_class {
            let wobble = (index % 2) as u8 * 2;
            for (label, base) in [(0, [10, 20, 30, 40]), (1, [100, 100, 100, 110])] {
                let face = base.map(|pixel| pixel + wobble);
                let split = Split::Training;
                data.push(
                    &face,
                    Item {
                        label,
                        split,
                        subject: None,
                        sequence: None,
                    },
                )
                .unwrap();
            }
        }
        data
    }

    #[test]
    fn averages_are_stretched_to_the_full_range() {
        let averages = class_averages(&two_classes(MIN_FACES), Split::Training).unwrap();
        assert_eq!(averages[0].pixels, [0, 85, 170, 255]);
        assert_eq!(averages[1].pixels, [0, 0, 0, 255]);
        assert_eq!(
            (averages[1].class.as_str(), averages[1].faces),
            ("b", MIN_FACES)
        );
    }

    #[test]
    fn fewer_than_a_hundred_faces_are_refused_for_privacy() {
        let error = class_averages(&two_classes(MIN_FACES - 1), Split::Training).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::TooFewFaces {
                    found: 99,
                    limit: 100,
                    ..
                }
            ),
            "{error}"
        );
        assert!(class_averages(&two_classes(MIN_FACES), Split::PublicTest).is_err());
    }

    #[test]
    fn a_flat_class_does_not_divide_by_zero() {
        assert_eq!(stretch(&[700, 700]), [0, 0]);
    }

    #[test]
    fn pictures_are_written_at_the_size_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let averages = class_averages(&two_classes(MIN_FACES), Split::Training).unwrap();
        let paths = write_pngs(&averages, 2, 6, &folder.path().join("deep/out")).unwrap();
        assert_eq!(paths.len(), 2);
        let picture = image::open(&paths[0]).unwrap();
        assert_eq!(
            (picture.width(), picture.color()),
            (6, image::ColorType::L8)
        );
        assert!(write_pngs(&averages, 2, 0, folder.path()).is_err());
    }
}
