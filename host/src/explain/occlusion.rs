//! Occlusion maps (Zeiler & Fergus, 2014): how far a probability falls when a part of the face is
//! covered.

use fer_models::{Crops, Preprocess, argmax, softmax};

use super::heat::Heat;

/// Covered faces that are computed together.
const AT_ONCE: usize = 64;

/// What a cell is covered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The mean grey of the crop, which adds the weakest edges.
    Mean,
    /// One grey value.
    Grey(u8),
}

/// Where the crop is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occlusion {
    /// Side of the covering square in pixels of the crop, at least 1; a larger one covers the crop.
    pub cell: usize,
    /// Pixels between one square and the next, at least 1; the last ends on the crop's border, so the
    /// step is stretched a little where it does not divide the way.
    pub step: usize,
    /// What it is covered with.
    pub fill: Fill,
}

impl Occlusion {
    /// Squares of a quarter of the side, each overlapping the next by half, of mean grey.
    pub fn of(input: &Preprocess) -> Self {
        let cell = (input.crop / 4).max(1);
        Self {
            cell,
            step: (cell / 2).max(1),
            fill: Fill::Mean,
        }
    }

    /// Left (or upper) edges of the squares on a crop of `side` pixels.
    fn places(&self, side: usize) -> Vec<usize> {
        let way = side - self.cell.clamp(1, side);
        let steps = way.div_ceil(self.step.max(1)).max(1);
        if way == 0 {
            return vec![0];
        }
        (0..=steps).map(|i| (i * way + steps / 2) / steps).collect()
    }
}

/// One covered place and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Covered {
    /// Left edge in pixels of the crop.
    pub left: usize,
    /// Upper edge in pixels of the crop.
    pub top: usize,
    /// Δp: the class's probability without the cover minus that with it.
    pub drop: f32,
    /// The class decided for with the cover.
    pub predicted: usize,
}

/// The covered faces of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct OcclusionMap {
    /// Probability of the class when nothing is covered.
    pub probability: f32,
    /// Side of the squares in pixels of the crop.
    pub cell: usize,
    /// Squares side by side, and as many on top of each other.
    pub across: usize,
    /// Every covered place, row by row.
    pub cells: Vec<Covered>,
    crop: usize,
}

impl OcclusionMap {
    /// For each pixel of the crop the mean Δp of the squares that covered it.
    pub fn heat(&self) -> Heat {
        let side = self.crop;
        let (mut sums, mut counts) = (vec![0.0; side * side], vec![0.0f32; side * side]);
        for covered in &self.cells {
            for y in covered.top..(covered.top + self.cell).min(side) {
                for x in covered.left..(covered.left + self.cell).min(side) {
                    sums[y * side + x] += covered.drop;
                    counts[y * side + x] += 1.0;
                }
            }
        }
        // steps wider than the squares leave gaps, of which nothing is known
        let mean = |(sum, count): (&f32, &f32)| sum / count.max(1.0);
        Heat::new(side, side, sums.iter().zip(&counts).map(mean).collect())
    }
}

/// Covers one place of `tile` after the other and asks `predict(pixels, batch)` for `[batch, classes]`
/// logits of `pixels [batch, channels, crop, crop]`, the centre crop.
///
/// # Errors
/// What `predict` fails with.
///
/// # Panics
/// When the tile is not `input.tile` squared, or `class` is none of the logits.
pub fn occlude<E>(
    tile: &[u8],
    input: &Preprocess,
    class: usize,
    how: &Occlusion,
    mut predict: impl FnMut(&[f32], usize) -> Result<Vec<f32>, E>,
) -> Result<OcclusionMap, E> {
    let side = input.crop;
    let margin = (input.tile - side) / 2;
    let cell = how.cell.clamp(1, side);
    let fill = match how.fill {
        Fill::Grey(grey) => grey,
        Fill::Mean => {
            let rows = (margin..margin + side).map(|y| &tile[y * input.tile + margin..][..side]);
            let sum: usize = rows.flatten().map(|&p| usize::from(p)).sum();
            // a mean of bytes is a byte
            ((sum + side * side / 2) / (side * side)) as u8
        }
    };
    let places = how.places(side);
    let corners: Vec<(usize, usize)> = places
        .iter()
        .flat_map(|&top| places.iter().map(move |&left| (left, top)))
        .collect();

    let mut pixels = vec![0.0; input.input_len()];
    input.write_input(tile, Crops::Center, &mut pixels);
    let logits = predict(&pixels, 1)?;
    let mut scores = vec![0.0; logits.len()];
    softmax(&logits, 1.0, &mut scores);
    let probability = scores[class];

    let mut cells = Vec::with_capacity(corners.len());
    for corners in corners.chunks(AT_ONCE) {
        pixels.resize(corners.len() * input.input_len(), 0.0);
        let inputs = pixels.chunks_exact_mut(input.input_len());
        for (&(left, top), out) in corners.iter().zip(inputs) {
            let mut covered = tile.to_vec();
            for y in top..top + cell {
                let start = (margin + y) * input.tile + margin + left;
                covered[start..start + cell].fill(fill);
            }
            input.write_input(&covered, Crops::Center, out);
        }
        let logits = predict(&pixels, corners.len())?;
        for (&(left, top), logits) in corners.iter().zip(logits.chunks_exact(scores.len())) {
            softmax(logits, 1.0, &mut scores);
            cells.push(Covered {
                left,
                top,
                drop: probability - scores[class],
                predicted: argmax(logits),
            });
        }
    }
    Ok(OcclusionMap {
        probability,
        cell,
        across: places.len(),
        cells,
        crop: side,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn squares_reach_from_border_to_border() {
        let how = |cell, step| Occlusion {
            cell,
            step,
            fill: Fill::Mean,
        };
        assert_eq!(
            how(56, 56).places(224),
            [0, 56, 112, 168],
            "the reference's cells"
        );
        assert_eq!(how(11, 5).places(44), [0, 5, 9, 14, 19, 24, 28, 33]);
        assert_eq!(how(44, 1).places(44), [0]);
        assert_eq!(how(99, 7).places(44), [0]);
        assert_eq!(how(1, 100).places(3), [0, 2]);
    }

    /// A "network" whose logit 1 is one pixel of the crop: only covering that pixel changes anything.
    #[test]
    fn only_the_place_that_matters_gets_heat() {
        let input = Preprocess {
            crop: 8,
            tile: 10,
            ..Preprocess::fer2013(1)
        };
        let mut tile = vec![0; 100];
        // pixel (5, 2) of the crop
        tile[3 * 10 + 6] = 255;
        let how = Occlusion {
            cell: 2,
            step: 2,
            fill: Fill::Grey(0),
        };
        let eye = |pixels: &[f32], batch: usize| {
            let logits = (0..batch).flat_map(|i| [0.0, 4.0 * pixels[i * 64 + 2 * 8 + 5] - 2.0]);
            Ok::<_, Infallible>(logits.collect())
        };
        let map = occlude(&tile, &input, 1, &how, eye).unwrap();
        assert_eq!((map.across, map.cells.len()), (4, 16));
        let full = 1.0 / (1.0 + (-2.0f32).exp());
        assert!((map.probability - full).abs() < 1e-6);
        for covered in &map.cells {
            let hit = (covered.left, covered.top) == (4, 2);
            let expected = if hit { 2.0 * full - 1.0 } else { 0.0 };
            assert!((covered.drop - expected).abs() < 1e-6, "{covered:?}");
            assert_eq!(covered.predicted, usize::from(!hit));
        }
        let heat = map.heat();
        let hot = |i: &usize| heat.values()[*i] > 0.1;
        let places: Vec<usize> = (0..64).filter(hot).collect();
        assert_eq!(places, [20, 21, 28, 29]);
    }
}
