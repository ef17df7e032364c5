//! The triangle filter: bilinear when enlarging, antialiased when shrinking.
//!
//! The same filter as PIL's `BILINEAR` and `image::imageops::FilterType::Triangle`: in source pixels it
//! reaches one output pixel to either side, at least one source pixel. A region is filtered as though
//! it had been cut out first: taps beyond its pixels carry no weight, and pixels of the region that
//! lie outside the frame repeat the nearest pixel of the frame.
//!
//! Rows are filtered before columns, a block of columns at a time, so that the work needs a few
//! kilobytes of stack and no heap whatever the sizes.

use crate::image::{GrayView, Rect};

/// Source columns filtered at once.
const BLOCK: usize = 512;
/// Output columns summed at once.
const STRIP: usize = 256;
/// A region's largest side, in multiples of the frame's larger side; bounds the taps.
const MAX_REGION: f64 = 8.0;
/// Farthest start of a region from the frame's origin, in pixels; far beyond any frame, exact in f64.
const MAX_OFFSET: f64 = (1 << 24) as f64;

/// The whole image at another size, `out_w * out_h` pixels row by row, with the filter that
/// [`Preprocess::cut_tile`](crate::Preprocess::cut_tile) uses. The proportions are not kept.
///
/// # Panics
/// Unless `out` holds exactly `out_w * out_h` pixels.
pub fn resize(view: GrayView<'_>, out_w: usize, out_h: usize, out: &mut [u8]) {
    let whole = Rect {
        x: 0.0,
        y: 0.0,
        width: view.width() as f32,
        height: view.height() as f32,
    };
    resize_region(view, whole, out_w, out_h, out);
}

/// `region` of the frame at another size. A side that is not a number or below one pixel counts as one
/// pixel, one beyond [`MAX_REGION`] frames is cut to that around its centre.
pub(crate) fn resize_region(
    view: GrayView<'_>,
    region: Rect,
    out_w: usize,
    out_h: usize,
    out: &mut [u8],
) {
    assert_eq!(
        Some(out.len()),
        out_w.checked_mul(out_h),
        "output holds {out_w}x{out_h} pixels"
    );
    if out.is_empty() {
        return;
    }
    let longest = MAX_REGION * view.width().max(view.height()) as f64;
    let across = Axis::new(region.x, region.width, longest, view.width(), out_w);
    let down = Axis::new(region.y, region.height, longest, view.height(), out_h);
    for left in (0..out_w).step_by(STRIP) {
        let right = out_w.min(left + STRIP);
        // The same for every row; past the strip's end a repeat that is not read.
        let columns: [Taps; STRIP] =
            std::array::from_fn(|x| across.taps((left + x).min(right - 1)));
        let columns = &columns[..right - left];
        for (y, line) in out.chunks_exact_mut(out_w).enumerate() {
            filter_strip(view, columns, &down.taps(y), &mut line[left..right]);
        }
    }
}

/// One dimension of the region and of the output.
struct Axis {
    /// Start of the region in source pixels.
    start: f64,
    /// Source pixels per output pixel.
    scale: f64,
    /// Pixels of the region, `first..end`; may lie outside the frame.
    first: i64,
    end: i64,
    /// Last pixel inside the frame.
    last: i64,
}

/// The source pixels `first..end` that one output pixel reads.
#[derive(Clone, Copy)]
struct Taps {
    first: i64,
    end: i64,
    /// Distance of `first` from the output pixel's centre, in filter radii.
    offset: f32,
    /// The same from one source pixel to the next.
    step: f32,
    /// Last pixel inside the frame.
    last: i64,
}

impl Axis {
    fn new(start: f32, size: f32, longest: f64, frame: usize, out: usize) -> Self {
        // f64::max returns the number when the other side is NaN.
        let asked = f64::from(size).max(1.0);
        let size = asked.min(longest);
        let centred = if asked.is_finite() {
            (asked - size) / 2.0
        } else {
            0.0
        };
        let start = f64::from(start) + centred;
        let start = if start.is_nan() {
            0.0
        } else {
            start.clamp(-MAX_OFFSET, MAX_OFFSET)
        };
        Self {
            start,
            scale: size / out as f64,
            first: start.floor() as i64,
            end: (start + size).ceil() as i64,
            last: frame as i64 - 1,
        }
    }

    fn taps(&self, out: usize) -> Taps {
        let radius = self.scale.max(1.0);
        let centre = self.start + (out as f64 + 0.5) * self.scale;
        let first = ((centre - radius).floor() as i64).clamp(self.first, self.end - 1);
        let end = ((centre + radius).ceil() as i64).clamp(first + 1, self.end);
        Taps {
            first,
            end,
            offset: ((first as f64 + 0.5 - centre) / radius) as f32,
            step: radius.recip() as f32,
            last: self.last,
        }
    }
}

impl Taps {
    fn weight(&self, tap: i64) -> f32 {
        // Taps span at most two radii of 8 * 65,535 pixels, so the difference is exact in f32.
        let distance = self.offset + (tap - self.first) as i32 as f32 * self.step;
        (1.0 - distance.abs()).max(0.0)
    }

    /// The pixel of the frame that a tap reads.
    fn inside(&self, tap: i64) -> usize {
        tap.clamp(0, self.last) as usize
    }
}

/// Writes the output pixels `cells`, which read the source columns `across` of the rows `down`.
fn filter_strip(view: GrayView<'_>, across: &[Taps], down: &Taps, cells: &mut [u8]) {
    let (Some(leftmost), Some(rightmost)) = (across.first(), across.last()) else {
        return;
    };
    let first = leftmost.inside(leftmost.first);
    let last = rightmost.inside(rightmost.end - 1);
    let mut columns = [0f32; BLOCK];
    let mut sums = [0f32; STRIP];
    let mut weights = [0f32; STRIP];
    for begin in (first..=last).step_by(BLOCK) {
        let end = (last + 1).min(begin + BLOCK);
        let columns = &mut columns[..end - begin];
        filter_rows(view, down, begin, columns);
        for ((taps, sum), weights) in across.iter().zip(&mut sums).zip(&mut weights) {
            // The outermost blocks also answer for the taps beyond the frame.
            let from = if begin == first {
                taps.first
            } else {
                taps.first.max(begin as i64)
            };
            let to = if end > last {
                taps.end
            } else {
                taps.end.min(end as i64)
            };
            for tap in from..to {
                let weight = taps.weight(tap);
                *sum += weight * columns[taps.inside(tap) - begin];
                *weights += weight;
            }
        }
    }
    for ((cell, sum), weight) in cells.iter_mut().zip(sums).zip(weights) {
        *cell = (sum / weight + 0.5) as u8;
    }
}

/// Filters source columns `begin..begin + columns.len()` over the rows that one output row reads.
fn filter_rows(view: GrayView<'_>, rows: &Taps, begin: usize, columns: &mut [f32]) {
    columns.fill(0.0);
    let total: f32 = (rows.first..rows.end).map(|tap| rows.weight(tap)).sum();
    let mut tap = rows.first;
    while tap < rows.end {
        let y = rows.inside(tap);
        let mut weight = 0.0;
        // Taps above or below the frame repeat one row: add their weights, read the row once.
        while tap < rows.end && rows.inside(tap) == y {
            weight += rows.weight(tap);
            tap += 1;
        }
        if weight > 0.0 {
            let weight = weight / total;
            for (sum, &pixel) in columns.iter_mut().zip(&view.row(y)[begin..]) {
                *sum += weight * f32::from(pixel);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_enlarging_interpolates() {
        let pixels = [0, 100];
        let view = GrayView::new(2, 1, 2, &pixels).unwrap();
        let mut one = [0];
        resize(view, 1, 1, &mut one);
        assert_eq!(one, [50]);
        let mut four = [0; 4];
        resize(view, 4, 1, &mut four);
        assert_eq!(four, [0, 25, 75, 100]);
    }

    #[test]
    fn no_output_is_no_work() {
        let view = GrayView::new(1, 1, 1, &[7]).unwrap();
        resize(view, 0, 5, &mut []);
        resize(view, 5, 0, &mut []);
    }
}
