//! Pixels to blocks of pixels and back: what a transposed convolution whose stride is its kernel does around its
//! product of matrices.
//!
//! A row of the product holds a pixel's whole block, `[outputs, side, side]`; the map has `side` times as many rows
//! and columns, channels last.

use rayon::prelude::*;

use super::element::Element;

/// The sizes of one unfolding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Height and width of the small map.
    pub size: [usize; 2],
    /// Channels of the large map.
    pub outputs: usize,
    /// Side of a block.
    pub side: usize,
}

impl Blocks {
    /// Numbers of one row of blocks: a row of pixels of the small map, `side` rows of the large one.
    fn row_len(&self) -> usize {
        self.size[1] * self.outputs * self.side * self.side
    }

    /// Where number `i` of a row of blocks lies in the rows of the large map, and its channel.
    fn place(&self, i: usize) -> [usize; 2] {
        let tap = i % (self.side * self.side);
        let channel = i / (self.side * self.side) % self.outputs;
        let column = i / (self.side * self.side * self.outputs) * self.side + tap % self.side;
        let at = (tap / self.side * self.size[1] * self.side + column) * self.outputs + channel;
        [at, channel]
    }

    fn places(&self) -> Vec<[usize; 2]> {
        (0..self.row_len()).map(|i| self.place(i)).collect()
    }

    /// Lays the blocks out as a map and adds the bias of each channel; `map` is overwritten.
    ///
    /// # Panics
    /// When the lengths differ or are no whole rows of blocks.
    pub fn unfold<E: Element>(&self, blocks: &[E], bias: Option<&[f32]>, map: &mut [E]) {
        self.check(blocks.len(), map.len());
        let places = self.places();
        map.par_chunks_mut(self.row_len().max(1))
            .zip(blocks.par_chunks(self.row_len().max(1)))
            .for_each(|(map, blocks)| {
                for (v, &[at, channel]) in blocks.iter().zip(&places) {
                    map[at] = match bias {
                        Some(bias) => E::from_f32(v.to_f32() + bias[channel]),
                        None => *v,
                    };
                }
            });
    }

    /// Collects a map's blocks; `blocks` is overwritten.
    ///
    /// # Panics
    /// When the lengths differ or are no whole rows of blocks.
    pub fn fold<E: Element>(&self, map: &[E], blocks: &mut [E]) {
        self.check(blocks.len(), map.len());
        let places = self.places();
        blocks
            .par_chunks_mut(self.row_len().max(1))
            .zip(map.par_chunks(self.row_len().max(1)))
            .for_each(|(blocks, map)| {
                for (v, &[at, _]) in blocks.iter_mut().zip(&places) {
                    *v = map[at];
                }
            });
    }

    fn check(&self, blocks: usize, map: usize) {
        assert_eq!(blocks, map, "lengths of blocks and map");
        assert!(
            blocks.is_multiple_of(self.row_len().max(1)),
            "whole rows of blocks"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_land_where_their_pixel_was_and_come_back() {
        let geo = Blocks {
            size: [1, 2],
            outputs: 2,
            side: 2,
        };
        // pixel, channel, row, column
        let blocks: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let mut map = vec![0.0; 16];
        geo.unfold(&blocks, None, &mut map);
        let first_row = [0.0, 4.0, 1.0, 5.0, 8.0, 12.0, 9.0, 13.0];
        assert_eq!(map[..8], first_row);
        assert_eq!(map[8..], first_row.map(|v| v + 2.0));
        let mut back = vec![0.0; 16];
        geo.fold(&map, &mut back);
        assert_eq!(back, blocks);
        geo.unfold(&blocks, Some(&[0.5, 0.25]), &mut map);
        assert_eq!(map[..3], [0.5, 4.25, 1.5]);
    }
}
