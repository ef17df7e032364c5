//! The weights in the order that products read them.

use std::ops::Range;

use rayon::prelude::*;

use super::super::element::Element;
use super::super::product::Product;
use super::super::scratch;
use super::super::wide::wide;
use super::{ConvGeometry, Direction};

/// Depth of one product: enough taps that sums are seldom stored, few enough that a panel of weights
/// stays in the first-level cache.
pub(super) const DEPTH: usize = 640;

/// The weights of one convolution in the order that products read them, for one direction.
#[derive(Debug)]
pub struct Packed<E: Product> {
    /// `[group][tap block]`.
    pub(super) blocks: Vec<E::Packed>,
    /// What Winograd's tiles need instead.
    pub(super) tiled: Vec<E::Kernel>,
}

impl<E: Product> Default for Packed<E> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            tiled: Vec::new(),
        }
    }
}

/// Runs of taps whose rows of `channels` numbers are multiplied together.
pub(in crate::ops) fn tap_blocks(
    taps: usize,
    channels: usize,
    depth: usize,
) -> impl Iterator<Item = Range<usize>> {
    let each = (depth / channels.max(1)).clamp(1, taps.max(1));
    (0..taps)
        .step_by(each)
        .map(move |first| first..(first + each).min(taps))
}

pub(super) fn pack<E: Product>(
    geo: &ConvGeometry,
    direction: Direction,
    weight: &[f32],
    packed: &mut Packed<E>,
) {
    assert_eq!(weight.len(), geo.weight_len(), "weight length");
    let taps = geo.taps();
    let [inputs, outputs] = [geo.group_inputs(), geo.group_outputs()];
    let [depth, columns] = direction.channels(geo);
    // the distances between neighbouring channels and columns of a tap
    let output = inputs * taps;
    let [channel, column] = match direction {
        Direction::Forward => [1, output],
        Direction::Backward => [output, 1],
    };
    let rows: Vec<Vec<usize>> = (0..geo.groups)
        .flat_map(|group| tap_blocks(taps, depth, DEPTH).map(move |block| (group, block)))
        .map(|(group, block)| {
            let begin = group * outputs * output;
            block
                .flat_map(|tap| (0..depth).map(move |c| begin + tap * inputs + c * channel))
                .collect()
        })
        .collect();
    packed.blocks.resize_with(rows.len(), E::Packed::default);
    scratch::with::<E, _>(weight.len(), |by_tap| {
        by_tap
            .par_chunks_mut(output)
            .zip(weight.par_chunks(output))
            .for_each(|(to, from)| {
                scratch::with(output, |rounded| regroup(from, taps, rounded, to));
            });
        E::pack(by_tap, &rows, [columns, column], &mut packed.blocks);
    });
}

wide! {
    /// The weights of an output, `[inputs][taps]`, rounded and tap by tap, so that what one product reads lies
    /// together.
    fn regroup<'a, E: Element>(from: &'a [f32], taps: usize, rounded: &'a mut [E], to: &'a mut [E]) {
        for (to, from) in rounded.iter_mut().zip(from) {
            *to = E::from_f32(*from);
        }
        for (tap, to) in to.chunks_exact_mut(from.len() / taps).enumerate() {
            for (to, value) in to.iter_mut().zip(rounded[tap..].iter().step_by(taps)) {
                *to = *value;
            }
        }
    }
}
