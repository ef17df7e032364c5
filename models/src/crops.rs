//! The crops of a tile as the network's input.

use serde::{Deserialize, Serialize};

use crate::preprocess::Preprocess;

/// Which crops of the tile the network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crops {
    /// The crop in the middle.
    Center,
    /// Four corners and the middle (top left, top right, bottom left, bottom right, centre), then the
    /// same five of the mirrored tile: torchvision's `TenCrop`, which the reference tests with.
    Ten,
}

impl Crops {
    /// Number of crops: 1 or 10.
    pub fn count(self) -> usize {
        match self {
            Self::Center => 1,
            Self::Ten => 10,
        }
    }
}

impl Preprocess {
    /// Writes the crops of a tile as the network's input, `[crops, channels, crop, crop]`, each value
    /// [`normalise`](Self::normalise)d. With an odd margin the centre crop sits half a pixel up and left.
    ///
    /// # Panics
    /// Unless `tile` holds `tile * tile` pixels, `out` holds `crops.count() * input_len()` values, and
    /// the fields pass [`validate`](Self::validate).
    pub fn write_input(&self, tile: &[u8], crops: Crops, out: &mut [f32]) {
        assert_eq!(
            tile.len(),
            self.tile * self.tile,
            "tile is {0}x{0} pixels",
            self.tile
        );
        assert_eq!(
            out.len(),
            crops.count() * self.input_len(),
            "input is crops * input_len values"
        );
        assert!(self.validate().is_ok(), "{self:?} is out of range");
        let table: [f32; 256] = std::array::from_fn(|value| self.normalise(value as f32));
        let margin = self.tile - self.crop;
        let centre = (margin / 2, margin / 2);
        let five = [(0, 0), (margin, 0), (0, margin), (margin, margin), centre];
        let corners = match crops {
            Crops::Center => &five[4..],
            Crops::Ten => &five[..],
        };
        // A second round, where there is one, reads the mirrored tile.
        let places = [false, true]
            .into_iter()
            .flat_map(|m| corners.iter().map(move |&c| (m, c)));
        for (input, (mirrored, corner)) in out.chunks_exact_mut(self.input_len()).zip(places) {
            self.write_crop(tile, &table, corner, mirrored, input);
        }
    }

    /// One crop at `(left, top)` of the tile or of the mirrored tile.
    fn write_crop(
        &self,
        tile: &[u8],
        table: &[f32; 256],
        (left, top): (usize, usize),
        mirrored: bool,
        input: &mut [f32],
    ) {
        let plane = self.crop * self.crop;
        for (row, line) in input[..plane].chunks_exact_mut(self.crop).enumerate() {
            let source = &tile[(top + row) * self.tile..][..self.tile];
            let write = |(out, &pixel): (&mut f32, &u8)| *out = table[usize::from(pixel)];
            if mirrored {
                line.iter_mut()
                    .zip(source.iter().rev().skip(left))
                    .for_each(write);
            } else {
                line.iter_mut().zip(&source[left..]).for_each(write);
            }
        }
        for channel in 1..self.channels {
            input.copy_within(..plane, channel * plane);
        }
    }
}
