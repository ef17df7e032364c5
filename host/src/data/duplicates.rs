//! Pictures that stand in two splits: what a network learnt by heart counts as recognised there.
//!
//! FER2013 was gathered by searching the web for many words, and the same photograph came back for
//! several, cut a little differently or with another watermark. Pictures are compared by the
//! correlation of their grey values, shrunk to 24×24 pixels, as they are and mirrored.

use fer_models::{GrayView, resize};
use rayon::prelude::*;

use super::{Dataset, Split};
use crate::ops::matmul::{Mat, matmul};

/// Side of what is compared, in pixels.
const SIDE: usize = 24;
/// Pixels of what is compared.
const PIXELS: usize = SIDE * SIDE;
/// What a correlation loses to rounding: of a picture and itself it is not always 1.
const ROUNDING: f32 = 1e-5;
/// Pictures that are compared in one product.
const BLOCK: usize = 256;

/// The correlation from which on two pictures are one photograph: of the 50 pairs of FER2013 nearest
/// above it, 49 are, looked at by eye.
pub const LIKENESS: f32 = 0.95;

/// A picture that an earlier split has as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duplicate {
    /// Index of the picture.
    pub image: usize,
    /// Index of the picture most like it in an earlier split.
    pub of: usize,
    /// The correlation of their pixels, up to 1.
    pub likeness: f32,
}

/// The pictures of PublicTest and PrivateTest that have one in an earlier split with at least this
/// likeness, ascending. A picture of a single grey is like no other.
pub fn duplicates(dataset: &Dataset, likeness: f32) -> Vec<Duplicate> {
    let mut found = Vec::new();
    let mut earlier = Signatures::default();
    for split in Split::ALL {
        let own = Signatures::new(dataset, &dataset.indices(split));
        found.extend(own.like(&earlier, likeness));
        earlier.append(own);
    }
    found.sort_by_key(|duplicate| duplicate.image);
    found
}

/// The data set without these pictures.
#[must_use]
pub fn without(dataset: &Dataset, duplicates: &[Duplicate]) -> Dataset {
    let left_out: std::collections::HashSet<usize> =
        duplicates.iter().map(|duplicate| duplicate.image).collect();
    let kept: Vec<_> = (0..dataset.len())
        .filter(|index| !left_out.contains(index))
        .map(|index| (index, dataset.item(index).split))
        .collect();
    dataset.select(&kept)
}

/// What is compared of some pictures: rows of [`PIXELS`] values with mean 0 and length 1.
#[derive(Default)]
struct Signatures {
    indices: Vec<usize>,
    rows: Vec<f32>,
}

impl Signatures {
    fn new(dataset: &Dataset, indices: &[usize]) -> Self {
        let mut rows = vec![0.0; indices.len() * PIXELS];
        rows.par_chunks_exact_mut(PIXELS)
            .zip(indices)
            .for_each(|(row, &index)| signature(dataset, index, row));
        Self {
            indices: indices.to_vec(),
            rows,
        }
    }

    fn append(&mut self, mut more: Self) {
        self.indices.append(&mut more.indices);
        self.rows.append(&mut more.rows);
    }

    /// Of each of these pictures the one most like it among `others`, where that is like enough.
    fn like(&self, others: &Self, likeness: f32) -> Vec<Duplicate> {
        self.indices
            .par_chunks(BLOCK)
            .zip(self.rows.par_chunks(BLOCK * PIXELS))
            .flat_map_iter(|(indices, rows)| {
                let best = most_alike(rows, others);
                indices.iter().zip(best).filter_map(move |(&image, best)| {
                    let (of, like) = best?;
                    (like + ROUNDING >= likeness).then_some(Duplicate {
                        image,
                        of,
                        likeness: like.min(1.0),
                    })
                })
            })
            .collect()
    }
}

/// Of each row the picture among `others` that correlates best with it or its mirror image.
fn most_alike(rows: &[f32], others: &Signatures) -> Vec<Option<(usize, f32)>> {
    let count = rows.len() / PIXELS;
    let mirrored: Vec<f32> = rows
        .chunks_exact(SIDE)
        .flat_map(|line| line.iter().rev().copied())
        .collect();
    let mut best: Vec<Option<(usize, f32)>> = vec![None; count];
    let mut products = vec![0.0; count * BLOCK];
    for (indices, theirs) in others
        .indices
        .chunks(BLOCK)
        .zip(others.rows.chunks(BLOCK * PIXELS))
    {
        let theirs = Mat::new(theirs, indices.len(), PIXELS, PIXELS).t();
        for ours in [rows, &mirrored] {
            let ours = Mat::new(ours, count, PIXELS, PIXELS);
            matmul(&mut products, BLOCK, ours, theirs, false);
            for (best, products) in best.iter_mut().zip(products.chunks_exact(BLOCK)) {
                for (&of, &like) in indices.iter().zip(products) {
                    if best.is_none_or(|(_, most)| like > most) {
                        *best = Some((of, like));
                    }
                }
            }
        }
    }
    best
}

/// The picture's grey values at [`SIDE`]×[`SIDE`], moved and scaled so that a product of two rows is their
/// correlation; zeros for a picture of a single grey.
fn signature(dataset: &Dataset, index: usize, row: &mut [f32]) {
    let mut small = [0; PIXELS];
    let side = dataset.tile();
    let Ok(view) = GrayView::new(side, side, side, dataset.image(index)) else {
        return; // a tile of no pixels is like nothing
    };
    resize(view, SIDE, SIDE, &mut small);
    let mean = small.iter().map(|&grey| f32::from(grey)).sum::<f32>() / PIXELS as f32;
    for (value, &grey) in row.iter_mut().zip(&small) {
        *value = f32::from(grey) - mean;
    }
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Item, synth};

    fn item(split: Split) -> Item {
        Item {
            label: 0,
            split,
            subject: None,
            sequence: None,
        }
    }

    /// 280 drawn faces, all Training, so that the blocks of a product are more than one.
    fn faces() -> Dataset {
        let drawn = synth::dataset(3, 280, 48).unwrap();
        let all: Vec<_> = (0..drawn.len())
            .map(|index| (index, Split::Training))
            .collect();
        drawn.select(&all)
    }

    fn mirror(pixels: &[u8], side: usize) -> Vec<u8> {
        let lines = pixels.chunks_exact(side);
        lines.flat_map(|line| line.iter().rev().copied()).collect()
    }

    #[test]
    fn the_same_picture_is_found_mirrored_darker_and_in_the_split_it_was_in_first() {
        let mut dataset = faces();
        let trained = dataset.len();
        let same = dataset.image(270).to_vec();
        let mirrored = mirror(dataset.image(4), 48);
        let darker: Vec<u8> = dataset.image(9).iter().map(|grey| grey / 2 + 10).collect();
        let fresh = synth::dataset(99, 70, 48).unwrap().image(0).to_vec();
        dataset.push(&same, item(Split::PublicTest)).unwrap();
        dataset.push(&mirrored, item(Split::PrivateTest)).unwrap();
        dataset.push(&darker, item(Split::PublicTest)).unwrap();
        dataset.push(&fresh, item(Split::PrivateTest)).unwrap();
        dataset.push(&fresh, item(Split::PublicTest)).unwrap();
        let found = duplicates(&dataset, 0.999);
        let pairs: Vec<_> = found.iter().map(|found| (found.image, found.of)).collect();
        let expected = [
            (trained, 270),
            (trained + 1, 4),
            (trained + 2, 9),
            (trained + 3, trained + 4),
        ];
        assert_eq!(pairs, expected);
        assert!(found.iter().all(|found| found.likeness <= 1.0), "{found:?}");
        let rest = without(&dataset, &found);
        assert_eq!(rest.len(), dataset.len() - 4);
        assert_eq!(rest.image(trained), fresh);
        assert_eq!(rest.item(trained).split, Split::PublicTest);
        assert_eq!(duplicates(&rest, 0.999), []);
        // the same to the last bit, but for the darker one
        assert_eq!(duplicates(&dataset, 1.0).len(), 3);
    }

    #[test]
    fn a_single_grey_is_like_nothing_and_no_images_have_no_duplicates() {
        let mut dataset = Dataset::new(fer_models::Labels::fer2013(), 48);
        assert_eq!(duplicates(&dataset, LIKENESS), []);
        for split in Split::ALL {
            dataset.push(&[7; 48 * 48], item(split)).unwrap();
        }
        assert_eq!(duplicates(&dataset, LIKENESS), []);
    }

    #[test]
    fn tiles_of_any_size_are_compared() {
        for tile in [1, 10, 64] {
            let mut dataset = Dataset::new(fer_models::Labels::fer2013(), tile);
            let pixels: Vec<u8> = (0..tile * tile).map(|at| (at * 37 % 251) as u8).collect();
            dataset.push(&pixels, item(Split::Training)).unwrap();
            dataset.push(&pixels, item(Split::PrivateTest)).unwrap();
            let found = duplicates(&dataset, LIKENESS);
            assert_eq!(found.len(), usize::from(tile > 1), "tile {tile}");
        }
    }
}
