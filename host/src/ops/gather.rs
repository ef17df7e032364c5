//! The rows that a convolution multiplies: for every pixel of a target map, what each kernel tap
//! reads in a source map, channels last.
//!
//! The forward pass gathers input pixels for every output pixel, the backward pass output gradients
//! for every input pixel; both are the same walk with another table (im2col, Chellapilla et al., 2006,
//! and its transpose without a scatter).

use std::ops::Range;

use super::conv::ConvGeometry;
use super::element::Element;

/// Which source row or column each target row or column reads through each tap of one axis.
#[derive(Debug)]
struct Axis {
    /// `[tap][target]`; `None` is the padding.
    table: Vec<Option<usize>>,
    target: usize,
}

impl Axis {
    fn new(taps: usize, target: usize, source: impl Fn(usize, usize) -> Option<usize>) -> Self {
        let table = (0..taps)
            .flat_map(|tap| (0..target).map(move |at| (tap, at)))
            .map(|(tap, at)| source(tap, at))
            .collect();
        Self { table, target }
    }

    fn source(&self, tap: usize, target: usize) -> Option<usize> {
        self.table[tap * self.target + target]
    }
}

/// Pixels of a target map, one behind the other, that read something else than padding through the same taps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Band {
    pub(super) pixels: Range<usize>,
    pub(super) taps: Range<usize>,
}

impl Band {
    /// The only one of a map: nothing is left out.
    pub(super) fn whole(pixels: usize, taps: usize) -> Self {
        Self {
            pixels: 0..pixels,
            taps: 0..taps,
        }
    }

    /// Its pixels among the first `len` of maps of `run` pixels.
    pub(super) fn pieces(&self, run: usize, len: usize) -> impl Iterator<Item = Range<usize>> {
        let pixels = self.pixels.clone();
        (0..len)
            .step_by(run)
            .map(move |map| (map + pixels.start).min(len)..(map + pixels.end).min(len))
    }
}

/// A walk over target pixels.
#[derive(Debug)]
pub(super) struct Gather {
    rows: Axis,
    cols: Axis,
    kernel: [usize; 2],
    target: [usize; 2],
    source: [usize; 2],
    /// Channels of a source pixel.
    channels: usize,
}

impl Gather {
    /// Output pixels read input pixels.
    pub(super) fn forward(geo: &ConvGeometry) -> Self {
        let target = geo.output_size();
        let axis = |i: usize| {
            Axis::new(geo.kernel[i], target[i], |tap, at| {
                (at * geo.stride + tap * geo.dilation)
                    .checked_sub(geo.before[i])
                    .filter(|&source| source < geo.size[i])
            })
        };
        Self {
            rows: axis(0),
            cols: axis(1),
            kernel: geo.kernel,
            target,
            source: geo.size,
            channels: geo.inputs,
        }
    }

    /// Input pixels read the gradients of the output pixels that they took part in.
    pub(super) fn backward(geo: &ConvGeometry) -> Self {
        let source = geo.output_size();
        let axis = |i: usize| {
            Axis::new(geo.kernel[i], geo.size[i], |tap, at| {
                (at + geo.before[i])
                    .checked_sub(tap * geo.dilation)
                    .filter(|span| span % geo.stride == 0)
                    .map(|span| span / geo.stride)
                    .filter(|&at| at < source[i])
            })
        };
        Self {
            rows: axis(0),
            cols: axis(1),
            kernel: geo.kernel,
            target: geo.size,
            source,
            channels: geo.outputs,
        }
    }

    /// The bands of a target map: rows at its upper and lower edge see less of the kernel than those between.
    pub(super) fn bands(&self) -> Vec<Band> {
        let [height, width] = self.target;
        let mut bands: Vec<Band> = Vec::new();
        for row in 0..height {
            let sees = |&ky: &usize| self.rows.source(ky, row).is_some();
            let first = (0..self.kernel[0]).find(sees);
            let last = (0..self.kernel[0]).rev().find(sees);
            // a row that sees nothing takes the whole kernel's zeros
            let kernel_rows = match (first, last) {
                (Some(first), Some(last)) => first..last + 1,
                _ => 0..self.kernel[0],
            };
            let taps = kernel_rows.start * self.kernel[1]..kernel_rows.end * self.kernel[1];
            let pixels = row * width..(row + 1) * width;
            match bands.last_mut() {
                Some(band) if band.taps == taps => band.pixels.end = pixels.end,
                _ => bands.push(Band { pixels, taps }),
            }
        }
        bands
    }

    /// Target pixels of `images` images.
    pub(super) fn pixels(&self, images: usize) -> usize {
        images * self.target[0] * self.target[1]
    }

    /// Height and width of the target maps.
    pub(super) fn target(&self) -> [usize; 2] {
        self.target
    }

    /// Pixels of a source map.
    pub(super) fn source_pixels(&self) -> usize {
        self.source[0] * self.source[1]
    }

    /// Taps of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The source pixel that a target pixel reads through a tap; `None` is the padding.
    #[inline(always)]
    pub(super) fn source(&self, tap: usize, [row, col]: [usize; 2]) -> Option<usize> {
        let (ky, kx) = (tap / self.kernel[1], tap % self.kernel[1]);
        let [y, x] = [self.rows.source(ky, row)?, self.cols.source(kx, col)?];
        Some(y * self.source[1] + x)
    }

    /// Fills one row of `out` for each target pixel of `pixels`: for each tap of `taps` the
    /// `width` channels from `first` on, one tap behind the other; rows are `stride` apart and what
    /// lies between a row's end and `padded` is zeroed.
    pub(super) fn fill<E: Element>(
        &self,
        x: &[E],
        pixels: Range<usize>,
        taps: Range<usize>,
        [first, width]: [usize; 2],
        out: &mut [E],
        [padded, stride]: [usize; 2],
    ) {
        let [th, tw] = self.target;
        let [sh, sw] = self.source;
        let used = taps.len() * width;
        let whole_pixel = first == 0 && width == self.channels;
        let first_pixel = pixels.start;
        let mut image = first_pixel / (th * tw).max(1);
        let [mut row, mut col] = [first_pixel / tw.max(1) % th.max(1), first_pixel % tw.max(1)];
        for (_, out) in pixels.zip(out.chunks_mut(stride)) {
            let (row_out, rest) = out[..padded].split_at_mut(used);
            rest.fill(E::ZERO);
            let mut at = 0;
            let mut tap = taps.start;
            while tap < taps.end {
                let (ky, kx) = (tap / self.kernel[1], tap % self.kernel[1]);
                // neighbouring taps of a kernel row lie side by side in memory: copy them together
                let mut run = 1;
                let source = match (self.rows.source(ky, row), self.cols.source(kx, col)) {
                    (Some(y), Some(x)) => {
                        while whole_pixel
                            && tap + run < taps.end
                            && kx + run < self.kernel[1]
                            && self.cols.source(kx + run, col) == Some(x + run)
                        {
                            run += 1;
                        }
                        Some(((image * sh + y) * sw + x) * self.channels + first)
                    }
                    _ => None,
                };
                let part = &mut row_out[at..at + run * width];
                match source {
                    Some(start) => part.copy_from_slice(&x[start..start + run * width]),
                    None => part.fill(E::ZERO),
                }
                at += run * width;
                tap += run;
            }
            col += 1;
            if col == tw {
                (row, col) = (row + 1, 0);
                if row == th {
                    (image, row) = (image + 1, 0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_at_the_edges_see_less_of_the_kernel() {
        let geo = ConvGeometry::three_by_three(1, 1, [4, 5], 1);
        let band = |pixels, taps| Band { pixels, taps };
        let bands = [band(0..5, 3..9), band(5..15, 0..9), band(15..20, 0..6)];
        assert_eq!(Gather::forward(&geo).bands(), bands);
        let pieces: Vec<_> = bands[1].pieces(20, 33).collect();
        assert_eq!(pieces, [5..15, 25..33]);

        let strided = ConvGeometry { stride: 2, ..geo };
        let backward = Gather::backward(&strided).bands();
        assert_eq!(backward.first(), Some(&band(0..5, 3..6)));
        assert_eq!(backward.last().map(|band| band.pixels.end), Some(20));
    }
}
