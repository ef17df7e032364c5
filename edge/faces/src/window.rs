//! Windows that may be faces: where they are, and what is in them.

use crate::bilinear::Bilinear;
use crate::gray::{Gray, Picture};
use crate::mlp::Verdict;

/// The cascade's window: it sees every face at this many pixels a side.
pub(crate) const SIDE: usize = 40;

/// What is in a window, at the cascade's size.
pub(crate) type Patch = [[u8; SIDE]; SIDE];

/// A square that may be a face, in pixels of the pyramid's lowest level; may reach beyond it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) side: i32,
    pub(crate) score: f64,
}

impl Window {
    /// The cascade's window at `x`, `y` of a level that is `scale` as large as the lowest.
    pub(crate) fn on_level(x: usize, y: usize, scale: f32, score: f32) -> Self {
        let down = |length: usize| (length as f32 / scale + 0.5) as i32;
        Self {
            x: down(x),
            y: down(y),
            side: down(SIDE),
            score: f64::from(score),
        }
    }

    /// Where a network says the face is that it saw in this window.
    pub(crate) fn moved(&self, verdict: Verdict) -> Self {
        let (x, y, side) = (self.x as f32, self.y as f32, self.side as f32);
        let [right, down, larger] = verdict.shift.map(|shift| shift * 2.0 - 1.0);
        let new = (larger * side + side + 0.5).floor();
        let moved =
            |from: f32, shift: f32| (shift * side + from + (side - new) * 0.5 + 0.5).floor();
        Self {
            x: moved(x, right) as i32,
            y: moved(y, down) as i32,
            side: new as i32,
            score: f64::from(verdict.score),
        }
    }

    /// The same window, no part of which lies left of the picture or above it.
    ///
    /// It doesn't get smaller and its pixels are cut before: that is how the networks were trained to be read.
    fn inside(&self) -> Self {
        Self {
            x: self.x.max(0),
            y: self.y.max(0),
            ..*self
        }
    }
}

/// Cuts windows out of a picture; keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    bilinear: Bilinear,
    /// Windows that reach beyond the picture, black there.
    padded: Picture,
    patch: Box<PatchMemory>,
}

/// A patch that starts out black.
#[derive(Debug)]
struct PatchMemory(Patch);

impl Default for PatchMemory {
    fn default() -> Self {
        Self([[0; SIDE]; SIDE])
    }
}

impl Cutter {
    /// What is in `window`, and where it counts as being from now on; `None` where it lies outside the picture, or is too
    /// small or too large for samples.
    pub(crate) fn cut(&mut self, picture: Gray<'_>, window: &Window) -> Option<(&Patch, Window)> {
        let (width, height) = (picture.width() as i32, picture.height() as i32);
        let Window { x, y, side, .. } = *window;
        // No sound model makes windows grow beyond all measure.
        let sides = 2..=16 * width.max(height);
        if !sides.contains(&side) || x >= width || y >= height || x + side <= 0 || y + side <= 0 {
            return None;
        }
        let length = side as usize;
        let square = if x >= 0 && y >= 0 && x + side <= width && y + side <= height {
            picture.square(x as usize, y as usize, length)
        } else {
            self.padded.reshape(length, length);
            let columns = x.max(0) as usize..(x + side).min(width) as usize;
            let left = (-x).max(0) as usize;
            for (row, y) in self.padded.rows_mut().zip(y..) {
                row.fill(0);
                if (0..height).contains(&y) {
                    let pixels = &picture.row(y as usize)[columns.clone()];
                    row[left..left + pixels.len()].copy_from_slice(pixels);
                }
            }
            self.padded.view()
        };
        let patch = &mut self.patch.0;
        self.bilinear.resize(square, SIDE, patch.as_flattened_mut());
        Some((patch, window.inside()))
    }
}
