//! The two matrix products of a convolution, for each number format.
//!
//! `f32` goes through the `gemm` crate, [`Bf16`] through the instructions of [`super::bf16`]. Both work on one
//! thread: the callers share work out, so that results do not depend on how a product is split.

use std::ops::Range;

use rayon::prelude::*;

use super::bf16::{self, Unit};
use super::conv::ConvGeometry;
use super::element::{Bf16, Element};
use super::matmul::{Mat, matmul};
use super::scratch::{self, LINE, Shelf};
use super::shifted;
use super::weight::{Part, Sums};
use super::wide::wide;
use super::winograd::{self, Points};

/// Adds a part's share of the weight gradient to its sums, from inputs and output gradients.
pub type ShiftedPart<E> = fn(&ConvGeometry, &[E], &[E], &Part, Sums);

/// Inputs and output gradients to the weight gradient, with work space that is kept between calls.
pub type TiledGradient<E> = fn(&ConvGeometry, &[E], &[E], &mut [f32], &mut Vec<Vec<f32>>);

/// A number format with products.
pub trait Product: Points {
    /// Rows, columns and depth are worked on in multiples of this; what is added is zero or ignored.
    const BLOCK: usize;

    /// Columns and depth (pixels) that are best handed to [`Product::accumulate`] at once.
    const COLUMNS: usize;
    /// See [`Product::COLUMNS`].
    const PIXELS: usize;

    /// Adds up the weight gradient of convolutions that keep a map's size, where there is a faster way
    /// than gathering.
    const SHIFTED: Option<ShiftedPart<Self>>;

    /// The weight gradient by Winograd's tiles, where that is faster.
    const TILED: Option<TiledGradient<Self>>;

    /// A right-hand side in the order that [`Product::multiply`] reads.
    type Packed: Default + Send + Sync + std::fmt::Debug;

    /// Packs matrices whose columns lie a step apart in `data`, and whose rows begin at `rows`.
    ///
    /// # Panics
    /// When a number lies past the end of `data`.
    fn pack(
        data: &[Self],
        rows: &[Vec<usize>],
        columns_and_step: [usize; 2],
        into: &mut [Self::Packed],
    );

    /// `sums (+)= a · packed`: `a [rows, depth]` with rows `a_stride` apart, zero where `depth` is rounded up; of the
    /// packed rows those of a range of `depth`, which begins at a multiple of [`Product::BLOCK`]; `sums [rows, columns]`
    /// with rows `stride` apart; overwritten when `fresh`.
    ///
    /// # Panics
    /// When a slice is shorter than the sizes rounded up to [`Product::BLOCK`] need.
    fn multiply(
        a: (&[Self], usize),
        rows: usize,
        packed: (&Self::Packed, Range<usize>),
        sums: (&mut [f32], usize),
        fresh: bool,
    );

    /// `sums += left · right`: `left [rows, depth]`, zero where `depth` is rounded up; `right
    /// [depth, columns]`; each with its rows' distance.
    ///
    /// # Panics
    /// When a slice is shorter than the sizes rounded up to [`Product::BLOCK`] need.
    fn accumulate(
        left: (&[Self], usize),
        right: (&[Self], usize),
        size: [usize; 3],
        sums: (&mut [f32], usize),
    );

    /// `len` rounded up to whole blocks.
    fn padded(len: usize) -> usize {
        len.next_multiple_of(Self::BLOCK)
    }

    /// Distance between rows of `len` elements: whole blocks, an odd number of cache lines apart where
    /// rows are long, so that a column of them does not fall into one set of the cache.
    fn row_stride(len: usize) -> usize {
        odd_lines::<Self>(Self::padded(len))
    }
}

/// `len` elements, rounded up to an odd number of cache lines once there are several.
pub(super) fn odd_lines<T>(len: usize) -> usize {
    let line = LINE / size_of::<T>();
    let lines = len.div_ceil(line);
    if lines > 1 { (lines | 1) * line } else { len }
}

impl Product for f32 {
    const BLOCK: usize = 1;
    // the left side is packed anew at every call
    const COLUMNS: usize = 640;
    const PIXELS: usize = 512;
    const SHIFTED: Option<ShiftedPart<Self>> = None;
    const TILED: Option<TiledGradient<Self>> = Some(winograd::gradient);
    type Packed = Plain;

    fn pack(data: &[f32], rows: &[Vec<usize>], [columns, step]: [usize; 2], into: &mut [Plain]) {
        into.par_iter_mut().zip(rows).for_each(|(into, rows)| {
            into.columns = columns;
            into.data.resize(rows.len() * columns, 0.0);
            // a few columns at a time: they lie far apart, and each row comes back to the same lines
            for first in (0..columns).step_by(16) {
                let count = (columns - first).min(16);
                for (row, out) in rows.iter().zip(into.data.chunks_exact_mut(columns)) {
                    let values = data[row + first * step..].iter().step_by(step);
                    for (out, value) in out[first..first + count].iter_mut().zip(values) {
                        *out = *value;
                    }
                }
            }
        });
    }

    fn multiply(
        (a, a_stride): (&[f32], usize),
        rows: usize,
        (packed, depth): (&Plain, Range<usize>),
        (sums, stride): (&mut [f32], usize),
        fresh: bool,
    ) {
        let left = Mat::new(a, rows, depth.len(), a_stride);
        let data = &packed.data[depth.start * packed.columns..];
        let right = Mat::new(data, depth.len(), packed.columns, packed.columns);
        matmul(sums, stride, left, right, !fresh);
    }

    fn accumulate(
        (left, left_stride): (&[f32], usize),
        (right, right_stride): (&[f32], usize),
        [rows, columns, depth]: [usize; 3],
        (sums, stride): (&mut [f32], usize),
    ) {
        let left = Mat::new(left, rows, depth, left_stride);
        let right = Mat::new(right, depth, columns, right_stride);
        matmul(sums, stride, left, right, true);
    }
}

/// A row-major matrix.
#[derive(Debug, Default)]
pub struct Plain {
    data: Vec<f32>,
    columns: usize,
}

/// Panels of 32 columns in pair order.
#[derive(Debug, Default)]
pub struct Panels {
    /// `[column block][depth / 2][32 columns]`, a pair of rows in each `u32`.
    data: Vec<u32>,
    /// Where the first cache line starts in `data`.
    start: usize,
    /// Depth in steps of 32.
    steps: usize,
    /// Blocks of 32 columns.
    blocks: usize,
    columns: usize,
}

impl Panels {
    /// Makes room; keeps the memory that is there.
    fn resize(&mut self, depth: usize, columns: usize) {
        self.steps = depth.div_ceil(bf16::DEPTH);
        self.blocks = columns.div_ceil(bf16::BLOCK);
        self.columns = columns;
        let spare = LINE / size_of::<u32>();
        let len = self.blocks * self.steps * bf16::PANEL_STEP + spare;
        if self.data.len() < len {
            self.data.resize(len, 0);
        }
        self.start = self.data.as_ptr().align_offset(LINE).min(spare);
    }

    fn panel_len(&self) -> usize {
        self.steps * bf16::PANEL_STEP
    }

    fn panels(&self) -> std::slice::ChunksExact<'_, u32> {
        let len = self.panel_len();
        self.data[self.start..self.start + self.blocks * len].chunks_exact(len)
    }

    fn panels_mut(&mut self) -> std::slice::ChunksExactMut<'_, u32> {
        let len = self.panel_len();
        self.data[self.start..self.start + self.blocks * len].chunks_exact_mut(len)
    }
}

/// Brings two rows of at most 32 columns into pair order, zero where there is nothing.
#[inline(always)]
pub(super) fn pairs(first: &[Bf16], second: &[Bf16], out: &mut [u32]) {
    let whole: Option<(&[Bf16; 32], &[Bf16; 32])> =
        first.try_into().ok().zip(second.try_into().ok());
    if let Some((first, second)) = whole {
        for ((out, &a), &b) in out.iter_mut().zip(first).zip(second) {
            *out = pair(a, b);
        }
    } else {
        out.fill(0);
        for ((out, &a), &b) in out.iter_mut().zip(first).zip(second) {
            *out = pair(a, b);
        }
    }
}

#[inline(always)]
fn pair(first: Bf16, second: Bf16) -> u32 {
    u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16
}

/// This thread's unit.
///
/// # Panics
/// Where there are none: engines in [`Bf16`] are made only where [`Element::is_fast`] says yes.
pub(super) fn unit() -> Unit {
    Unit::new().expect("bfloat16 engines are made only where the processor multiplies it")
}

impl Product for Bf16 {
    const BLOCK: usize = bf16::BLOCK;
    const COLUMNS: usize = 128;
    const PIXELS: usize = 2048;
    const SHIFTED: Option<ShiftedPart<Self>> = Some(shifted::part);
    // a stream of pixels is brought into pair order once for all taps, which tiles would need for each point
    const TILED: Option<TiledGradient<Self>> = None;
    type Packed = Panels;

    fn pack(data: &[Bf16], rows: &[Vec<usize>], [columns, step]: [usize; 2], into: &mut [Panels]) {
        // a thread takes the same columns of all matrices: those lie side by side in `data`
        let mut columns_of: Vec<Vec<&mut [u32]>> = Vec::new();
        for (panels, rows) in into.iter_mut().zip(rows) {
            panels.resize(rows.len(), columns);
            columns_of.resize_with(panels.blocks, Vec::new);
            for (panels, panel) in columns_of.iter_mut().zip(panels.panels_mut()) {
                panels.push(panel);
            }
        }
        columns_of
            .into_par_iter()
            .enumerate()
            .for_each(|(block, panels)| {
                let first = block * bf16::BLOCK;
                let count = bf16::BLOCK.min(columns - first);
                let data = &data[(first * step).min(data.len())..];
                for (panel, rows) in panels.into_iter().zip(rows) {
                    pack_panel(data, rows, [count, step], panel);
                }
            });
    }

    fn multiply(
        (a, a_stride): (&[Bf16], usize),
        rows: usize,
        (packed, depth): (&Panels, Range<usize>),
        (sums, stride): (&mut [f32], usize),
        fresh: bool,
    ) {
        let unit = unit();
        assert!(
            depth.start.is_multiple_of(bf16::DEPTH),
            "a product begins within a step"
        );
        let steps = depth.start / bf16::DEPTH..depth.end.div_ceil(bf16::DEPTH);
        for (block, panel) in packed.panels().enumerate() {
            let panel = &panel[steps.start * bf16::PANEL_STEP..];
            for row in (0..rows).step_by(bf16::BLOCK) {
                let sums = &mut sums[row * stride + block * bf16::BLOCK..];
                let left = (&a[row * a_stride..], a_stride);
                let wanted = [rows - row, packed.columns - block * bf16::BLOCK];
                unit.multiply(left, panel, steps.len(), (sums, stride), wanted, fresh);
            }
        }
    }

    fn accumulate(
        (left, left_stride): (&[Bf16], usize),
        (right, right_stride): (&[Bf16], usize),
        [rows, columns, depth]: [usize; 3],
        (sums, stride): (&mut [f32], usize),
    ) {
        let unit = unit();
        let steps = depth.div_ceil(bf16::DEPTH);
        scratch::with::<u32, _>(steps * bf16::PANEL_STEP, |panel| {
            for column in (0..columns).step_by(bf16::BLOCK) {
                let block = column..columns.min(column + bf16::BLOCK);
                interleave(right, right_stride, block, depth, panel);
                for row in (0..rows).step_by(bf16::BLOCK) {
                    let sums = &mut sums[row * stride + column..];
                    let left = (&left[row * left_stride..], left_stride);
                    let wanted = [rows - row, columns - column];
                    unit.multiply(left, panel, steps, (sums, stride), wanted, false);
                }
            }
        });
    }
}

/// Brings up to 32 columns that lie a step apart into pair order.
fn pack_panel(data: &[Bf16], rows: &[usize], [columns, step]: [usize; 2], panel: &mut [u32]) {
    if step == 1 {
        interleave_rows(data, rows, columns, panel);
        return;
    }
    if columns < bf16::BLOCK || !rows.len().is_multiple_of(bf16::DEPTH) {
        panel.fill(0);
    }
    for (rows, tile) in rows
        .chunks(bf16::DEPTH)
        .zip(panel.chunks_exact_mut(bf16::PANEL_STEP))
    {
        for column in 0..columns {
            let at = |row: Option<&usize>| row.map_or(Bf16::ZERO, |row| data[row + column * step]);
            let outs = tile[column..].iter_mut().step_by(bf16::BLOCK);
            for (rows, out) in rows.chunks(2).zip(outs) {
                *out = pair(at(rows.first()), at(rows.get(1)));
            }
        }
    }
}

/// Fills a panel from rows by their number.
#[inline(always)]
fn pair_rows<'r>(row: impl Fn(usize) -> &'r [Bf16], panel: &mut [u32]) {
    for (p, out) in panel.chunks_exact_mut(bf16::BLOCK).enumerate() {
        pairs(row(2 * p), row(2 * p + 1), out);
    }
}

wide! {
    /// Brings up to 32 columns of the rows that begin at `rows` into pair order, zero where there is nothing.
    fn interleave_rows<'a>(data: &'a [Bf16], rows: &'a [usize], columns: usize, panel: &'a mut [u32]) {
        let zeros = [Bf16::ZERO; bf16::BLOCK];
        let row = |k: usize| rows.get(k).map_or(&zeros[..columns], |&row| &data[row..][..columns]);
        pair_rows(row, panel);
    }

    /// Brings up to 32 columns of a row-major matrix of `depth` rows into pair order, zero where there
    /// is nothing.
    fn interleave<'a>(
        right: &'a [Bf16],
        stride: usize,
        columns: std::ops::Range<usize>,
        depth: usize,
        panel: &'a mut [u32],
    ) {
        let width = columns.len();
        let zeros = [Bf16::ZERO; bf16::BLOCK];
        let row = |k: usize| {
            if k < depth { &right[k * stride + columns.start..][..width] } else { &zeros[..width] }
        };
        pair_rows(row, &mut panel[..depth.div_ceil(bf16::DEPTH) * bf16::PANEL_STEP]);
    }
}

wide! {
    /// Rounds rows of `columns` numbers and brings them into pair order.
    pub(super) fn pairs_of<'a>(rows: &'a [f32], columns: usize, out: &'a mut [u32]) {
        for (rows, out) in rows.chunks_exact(2 * columns).zip(out.chunks_exact_mut(columns)) {
            let (first, second) = rows.split_at(columns);
            for ((out, &a), &b) in out.iter_mut().zip(first).zip(second) {
                *out = pair(Bf16::from_f32(a), Bf16::from_f32(b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..len)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
            })
            .collect()
    }

    /// Both products against the definition, with the inputs rounded as the format rounds.
    fn check<E: Product>([rows, columns, depth]: [usize; 3]) {
        let (a, b) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
        let round = |v: f32| E::from_f32(v).to_f32();
        let want = |r: usize, c: usize| -> f32 {
            (0..depth)
                .map(|k| round(a[r * depth + k]) * round(b[k * columns + c]))
                .sum()
        };
        let a_stride = E::row_stride(depth);
        let mut left = vec![E::ZERO; E::padded(rows) * a_stride];
        for (row, values) in a.chunks(depth).enumerate() {
            for (k, &v) in values.iter().enumerate() {
                left[row * a_stride + k] = E::from_f32(v);
            }
        }
        let stride = odd_lines::<f32>(E::padded(columns));
        let mut sums = vec![1.0f32; E::padded(rows) * stride + E::BLOCK];
        let mut packed = E::Packed::default();
        let begins: Vec<usize> = (0..depth).map(|k| k * columns).collect();
        let packed = std::slice::from_mut(&mut packed);
        let right: Vec<E> = b.iter().map(|&v| E::from_f32(v)).collect();
        E::pack(&right, &[begins], [columns, 1], packed);
        let packed = &packed[0];
        // the same from columns that lie together
        let transposed: Vec<E> = (0..columns * depth)
            .map(|i| right[i % depth * columns + i / depth])
            .collect();
        let mut far = [E::Packed::default()];
        E::pack(
            &transposed,
            &[(0..depth).collect()],
            [columns, depth],
            &mut far,
        );
        let mut of_far = sums.clone();
        let all = (&far[0], 0..depth);
        E::multiply((&left, a_stride), rows, all, (&mut of_far, stride), true);
        let whole = || (packed, 0..depth);
        E::multiply((&left, a_stride), rows, whole(), (&mut sums, stride), true);
        assert_eq!(sums, of_far);
        let close = |sums: &[f32], scale: f32| {
            for r in 0..rows {
                for c in 0..columns {
                    let (got, want) = (sums[r * stride + c], scale * want(r, c));
                    assert!(
                        (got - want).abs() < 1e-4 * (1.0 + depth as f32).sqrt(),
                        "[{r},{c}] {got} {want}"
                    );
                }
            }
        };
        close(&sums, 1.0);
        // the same in two parts
        let half = depth / 2 / E::BLOCK * E::BLOCK;
        if half > 0 {
            let mut first = left.clone();
            for row in first.chunks_mut(a_stride) {
                row[half..].fill(E::ZERO);
            }
            let part = (packed, 0..half);
            E::multiply((&first, a_stride), rows, part, (&mut sums, stride), false);
            let part = (packed, half..depth);
            let rest = &left[half..];
            let mut second = vec![E::ZERO; left.len()];
            second[..rest.len()].copy_from_slice(rest);
            E::multiply((&second, a_stride), rows, part, (&mut sums, stride), false);
        } else {
            E::multiply((&left, a_stride), rows, whole(), (&mut sums, stride), false);
        }
        close(&sums, 2.0);
        E::accumulate(
            (&left, a_stride),
            (&right, columns),
            [rows, columns, depth],
            (&mut sums, stride),
        );
        close(&sums, 3.0);
    }

    #[test]
    fn products_equal_the_definition_on_odd_sizes() {
        for size in [
            [1, 1, 1],
            [3, 5, 7],
            [32, 32, 32],
            [33, 70, 65],
            [64, 20, 100],
        ] {
            check::<f32>(size);
            if Bf16::is_fast() {
                check::<Bf16>(size);
            }
        }
    }
}
