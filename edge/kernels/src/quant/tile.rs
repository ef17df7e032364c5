//! The kernel for everything but AMX: a tile of pixels × channels in registers over the whole depth.
#![expect(
    unsafe_code,
    reason = "vector instructions; `fer-edge bench` shows what they are worth"
)]

use super::dot::Dot;
use super::pack::{GROUP, Panel};
use super::{Job, To};
use crate::pixels::Pixel;
use crate::prefetch::prefetch;

/// All panels, and in each all pixels: a panel's weights stay in the cache meanwhile.
///
/// # Safety
/// The instructions of `D` are available; all windows and outputs of the pixels lie in the job's maps.
#[inline(always)]
pub(super) unsafe fn drive<D: Dot>(job: &Job<'_>, pixels: &[Pixel]) {
    for panel in &job.conv.panels {
        // SAFETY: as demanded of the caller; panels aren't wider than `D::VECTORS`.
        unsafe {
            match panel.vectors {
                1 => panel_of::<D, 1>(job, pixels, panel),
                2 => panel_of::<D, 2>(job, pixels, panel),
                3 => panel_of::<D, 3>(job, pixels, panel),
                _ => panel_of::<D, 4>(job, pixels, panel),
            }
        }
    }
}

#[inline(always)]
unsafe fn panel_of<D: Dot, const C: usize>(job: &Job<'_>, pixels: &[Pixel], panel: &Panel) {
    if C > D::VECTORS {
        return; // never packed; without this line it would be compiled
    }
    let len = pixels.len();
    let blocks = len.div_ceil(D::ROWS);
    for block in 0..blocks {
        // of nearly equal size
        let (start, end) = (block * len / blocks, (block + 1) * len / blocks);
        // SAFETY: as demanded of `drive`'s caller.
        unsafe {
            match end - start {
                1 => tile::<D, 1, C>(job, pixels, panel, start),
                2 => tile::<D, 2, C>(job, pixels, panel, start),
                3 => tile::<D, 3, C>(job, pixels, panel, start),
                4 => tile::<D, 4, C>(job, pixels, panel, start),
                5 => tile::<D, 5, C>(job, pixels, panel, start),
                _ => tile::<D, 6, C>(job, pixels, panel, start),
            }
        }
    }
}

/// `R` pixels × `C` vectors of channels.
#[inline(always)]
unsafe fn tile<D: Dot, const R: usize, const C: usize>(
    job: &Job<'_>,
    pixels: &[Pixel],
    panel: &Panel,
    start: usize,
) {
    if R > D::ROWS {
        return; // never asked for; without this line it would be compiled
    }
    let conv = job.conv;
    // SAFETY: `start + R` pixels exist; their windows, rounded up to whole groups, lie in the input, as demanded of
    // `drive`'s caller. A panel has four weights for each group and lane; bias and scale are rounded up to whole panels.
    unsafe {
        let mut w = conv.weights.as_ptr().add(panel.weights);
        let x: [*const u8; R] = std::array::from_fn(|r| {
            let at = pixels.get_unchecked(start + r).input as usize;
            job.input.add(at)
        });
        let mut sums = [[D::zero(); C]; R];
        let groups = conv.segment.div_ceil(GROUP);
        let (mut at, mut left) = (0, groups);
        for _ in 0..conv.window.kernel[0] * groups {
            let weights: [D::Weights; C] =
                std::array::from_fn(|c| D::weights(w.add(c * D::LANES * GROUP)));
            prefetch(w, C * D::LANES * GROUP);
            w = w.add(C * D::LANES * GROUP);
            for r in 0..R {
                let pixel = D::pixel(x[r].add(at));
                for c in 0..C {
                    sums[r][c] = D::dot(sums[r][c], pixel, weights[c]);
                }
            }
            at += GROUP;
            left -= 1;
            if left == 0 {
                left = groups;
                // in this order, since a row of the map may be shorter than one of the window
                at = at + job.row - groups * GROUP;
            }
        }
        let sums = sums; // a copy, as in `float::tile`
        for (r, sums) in sums.iter().enumerate() {
            let at = pixels.get_unchecked(start + r).output as usize;
            for (c, &sums) in sums.iter().enumerate() {
                store::<D>(job, panel, at, c, sums);
            }
        }
    }
}

/// Stores the panel's vector `c` of sums of the pixel at `at`.
///
/// # Safety
/// As [`drive`]; the pixel lies in the output.
#[inline(always)]
pub(super) unsafe fn store<D: Dot>(
    job: &Job<'_>,
    panel: &Panel,
    at: usize,
    c: usize,
    sums: D::Sums,
) {
    let first = c * D::LANES;
    let Some(left @ 1..) = panel.count.checked_sub(first) else {
        return;
    };
    let (conv, channel) = (job.conv, panel.channel + first);
    // SAFETY: the pixel has `left` channels from `channel` on, and lies in the output, as demanded of the caller; bias and
    // scale are rounded up to whole panels.
    unsafe {
        let constants = (
            conv.bias.as_ptr().add(channel),
            conv.scale.as_ptr().add(channel),
        );
        match &job.to {
            To::Bytes { limits, to } => {
                D::store_bytes(sums, constants, limits, to.add(at + channel), left);
            }
            To::Floats { relu, to } => {
                D::store_floats(sums, constants, *relu, to.add(at + channel), left);
            }
        }
    }
}
