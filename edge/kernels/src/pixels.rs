//! Which part of the input each output of a convolution is made of.

use crate::map::{Layout, Window};

/// Marks a place in a tile that is no pixel of the output.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Windows of a tile.
pub(crate) const TILE: usize = 16;

/// An output pixel: where the first number of its window lies in the input, and its own in the output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pixel {
    pub(crate) input: u32,
    pub(crate) output: u32,
}

/// Sixteen windows at equal distances in the input.
#[derive(Debug)]
pub(crate) struct Tile {
    /// Where the first one's first number lies.
    pub(crate) input: u32,
    /// Where their outputs lie, or [`NOWHERE`].
    pub(crate) outputs: [u32; TILE],
}

/// The outputs of a convolution over some pictures.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) pixels: Vec<Pixel>,
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "only AMX takes tiles")
    )]
    pub(crate) tiles: Vec<Tile>,
    /// For each picture, how many pixels or tiles it and those before it have.
    ends: Vec<usize>,
    /// The last input and output.
    last: [usize; 2],
}

impl Places {
    /// One by one.
    pub(crate) fn pixels(window: &Window, from: &Layout, to: &Layout, pictures: usize) -> Self {
        let (mut pixels, mut ends) = (Vec::new(), Vec::new());
        for picture in 0..pictures {
            for y in 0..to.shape.height {
                for x in 0..to.shape.width {
                    pixels.push(Pixel {
                        input: first(window, from, [picture, y, x]),
                        output: to.at(picture, y as isize, x as isize) as u32,
                    });
                }
            }
            ends.push(pixels.len());
        }
        Self {
            last: [
                pixels.iter().map(|p| p.input).max().unwrap_or(0) as usize,
                pixels.iter().map(|p| p.output).max().unwrap_or(0) as usize,
            ],
            pixels,
            tiles: Vec::new(),
            ends,
        }
    }

    /// In tiles, for a unit that takes sixteen windows at equal distances.
    ///
    /// With a stride of 1, all windows of all pictures lie one pixel apart when those in the border are
    /// counted too: small maps then fill tiles that their rows alone wouldn't. Else each row has its own;
    /// so too where padding as wide as the window makes the end of one row or picture and the start of the
    /// next see the same pixels, since a place in a tile has one output.
    pub(crate) fn tiles(window: &Window, from: &Layout, to: &Layout, pictures: usize) -> Self {
        let (mut tiles, mut ends) = (Vec::new(), Vec::new());
        let (height, width) = (to.shape.height, to.shape.width);
        let step = (window.stride[1] * from.shape.channels) as u32;
        let cut = |tiles: &mut Vec<Tile>, start: [usize; 3], outputs: &[u32]| {
            let base = first(window, from, start);
            for (i, chunk) in outputs.chunks(TILE).enumerate() {
                let mut padded = [NOWHERE; TILE];
                padded[..chunk.len()].copy_from_slice(chunk);
                tiles.push(Tile {
                    input: base + (i * TILE) as u32 * step,
                    outputs: padded,
                });
            }
        };
        let row = |picture: usize, y: usize| {
            (0..width).map(move |x| to.at(picture, y as isize, x as isize) as u32)
        };
        let apart = width <= from.pitch() && height <= from.shape.height + from.gap_rows;
        if window.stride == [1, 1] && apart {
            let start = first(window, from, [0, 0, 0]) as usize;
            let mut outputs = Vec::new();
            for picture in 0..pictures {
                for y in 0..height {
                    let at = first(window, from, [picture, y, 0]) as usize;
                    outputs.resize((at - start) / from.shape.channels, NOWHERE);
                    outputs.extend(row(picture, y));
                }
                ends.push(outputs.len().div_ceil(TILE));
            }
            cut(&mut tiles, [0, 0, 0], &outputs);
        } else {
            for picture in 0..pictures {
                for y in 0..height {
                    let outputs: Vec<u32> = row(picture, y).collect();
                    cut(&mut tiles, [picture, y, 0], &outputs);
                }
                ends.push(tiles.len());
            }
        }
        let outputs = tiles.iter().flat_map(|tile| tile.outputs);
        Self {
            last: [
                tiles.iter().map(|t| t.input).max().unwrap_or(0) as usize,
                outputs.filter(|&at| at != NOWHERE).max().unwrap_or(0) as usize,
            ],
            pixels: Vec::new(),
            tiles,
            ends,
        }
    }

    /// How many pixels or tiles the first `pictures` have; all where there are fewer.
    pub(crate) fn end(&self, pictures: usize) -> usize {
        let picture = pictures.min(self.ends.len());
        picture.checked_sub(1).map_or(0, |last| self.ends[last])
    }

    /// Whether all windows, which end `reach` after their first number, lie in an input of `input` numbers,
    /// and all outputs of `channels` numbers in one of `output`.
    pub(crate) fn fit(&self, input: usize, reach: usize, output: usize, channels: usize) -> bool {
        self.last[0] + reach <= input && self.last[1] + channels <= output
    }
}

/// Where the first number of an output pixel's window lies.
fn first(window: &Window, from: &Layout, [picture, y, x]: [usize; 3]) -> u32 {
    let place =
        |i: usize, axis: usize| (i * window.stride[axis]) as isize - window.pads[axis] as isize;
    from.at(picture, place(y, 0), place(x, 1)) as u32
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::map::Shape;

    #[test]
    fn tiles_hold_every_pixel_where_the_padding_is_as_wide_as_the_window() {
        let from = Layout {
            shape: Shape {
                height: 4,
                width: 5,
                channels: 2,
            },
            gap: 1,
            gap_rows: 1,
        };
        for (kernel, pads) in [
            ([3, 3], [1; 4]),
            ([1, 3], [0, 1, 0, 1]),
            ([3, 1], [0, 1, 0, 1]),
            ([1, 3], [1, 0, 1, 0]),
            ([1, 1], [1; 4]),
        ] {
            let window = Window {
                kernel,
                stride: [1, 1],
                pads,
            };
            let to = Layout {
                shape: window.output(from.shape, 3).unwrap(),
                gap: 0,
                gap_rows: 0,
            };
            let places = Places::tiles(&window, &from, &to, 2);
            let mut found: Vec<(u32, u32)> = places
                .tiles
                .iter()
                .flat_map(|tile| (tile.input..).step_by(2).zip(tile.outputs))
                .filter(|&(_, output)| output != NOWHERE)
                .collect();
            found.sort_unstable_by_key(|&(_, output)| output);
            let expected: Vec<(u32, u32)> = Places::pixels(&window, &from, &to, 2)
                .pixels
                .iter()
                .map(|pixel| (pixel.input, pixel.output))
                .collect();
            assert_eq!(found, expected, "{window:?}");
        }
    }
}
