//! Weights in the order in which the kernels read them.

use super::dot::Dot;
use crate::aligned::Aligned;
use crate::map::Window;

/// Bytes that one lane of a dot product takes at once.
pub(super) const GROUP: usize = 4;

/// What a kind of instructions wants of packed weights.
///
/// Weights lie in panels of up to `vectors` × `lanes` output channels. A panel has, for each row of the window, for
/// each group of four bytes of that row, four weights for each channel. Rows are filled up with zeros to a multiple of
/// `depth`: whatever lies there in the map counts nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    /// Channels of a vector.
    pub(super) lanes: usize,
    /// Vectors of a panel, at most.
    pub(super) vectors: usize,
    /// Bytes of a window's row that are read at once.
    pub(super) depth: usize,
    /// Windows that are read at once.
    pub(super) tile: usize,
    /// What the kernel subtracts from a pixel, to have it signed.
    pub(super) offset: i32,
    /// Whether panels all have the same number of vectors.
    pub(super) even: bool,
}

/// Some of the output channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel {
    /// The first channel.
    pub(super) channel: usize,
    /// How many channels.
    pub(super) count: usize,
    /// Vectors that hold them.
    pub(super) vectors: usize,
    /// Where its weights start.
    pub(super) weights: usize,
}

impl Format {
    pub(super) const fn of<D: Dot>() -> Self {
        Self {
            lanes: D::LANES,
            vectors: D::VECTORS,
            depth: GROUP,
            tile: 1,
            offset: D::OFFSET,
            even: false,
        }
    }

    /// Channels of a full panel.
    pub(super) fn width(&self) -> usize {
        self.lanes * self.vectors
    }

    /// Packs weights `[outputs, inputs, rows, columns]`.
    pub(super) fn pack(
        &self,
        window: &Window,
        inputs: usize,
        outputs: usize,
        weights: &[i8],
    ) -> (Vec<Panel>, Aligned<i8>) {
        let [rows, columns] = window.kernel;
        let segment = columns * inputs;
        let padded = segment.next_multiple_of(self.depth);
        let mut panels = Vec::new();
        let (mut channel, mut start) = (0, 0);
        while channel < outputs {
            let count = self.width().min(outputs - channel);
            let vectors = if self.even {
                self.vectors
            } else {
                count.div_ceil(self.lanes)
            };
            panels.push(Panel {
                channel,
                count,
                vectors,
                weights: start,
            });
            channel += count;
            start += rows * padded * vectors * self.lanes;
        }
        let mut packed = Aligned::zeroed(start);
        for panel in &panels {
            let width = panel.vectors * self.lanes;
            for ky in 0..rows {
                for k in 0..segment {
                    let (kx, input) = (k / inputs, k % inputs);
                    let group = (ky * padded + k) / GROUP;
                    for i in 0..panel.count {
                        let from = ((panel.channel + i) * inputs + input) * rows * columns;
                        packed[panel.weights + (group * width + i) * GROUP + k % GROUP] =
                            weights[from + ky * columns + kx];
                    }
                }
            }
        }
        (panels, packed)
    }
}
