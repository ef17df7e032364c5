//! The two matrix products between the transforms. A block of sums stays in registers from the first
//! to the last term; the blocks of both sides are read from front to back.

use pulp::{Arch, Simd, WithSimd};

use super::{COLUMNS, LANES};

/// Rows of sums in registers, two vectors each: there are 32 registers, but 16 where vectors have
/// eight lanes.
pub(super) const ROWS: usize = 8;
const VECTORS: usize = 2;

/// One row of a left-hand block.
type Left = [f32; LANES];
/// One row of a right-hand block or of sums.
type Right = [f32; COLUMNS];

/// `m = v · u` for tiles: `v [depth block][tile][LANES]`, `u [depth][COLUMNS]` for one block of columns,
/// `m [tile][COLUMNS]`.
///
/// # Panics
/// When the tiles are no multiple of [`ROWS`], or the lengths do not fit each other.
pub(super) fn multiply(v: &[f32], u: &[f32], m: &mut [f32]) {
    let (v, u, m) = (v.as_chunks().0, u.as_chunks().0, m.as_chunks_mut().0);
    assert!(m.len().is_multiple_of(ROWS), "tiles");
    assert_eq!(v.len() * LANES, u.len() * m.len(), "depth");
    Arch::new().dispatch(Multiply { v, u, m });
}

struct Multiply<'a> {
    v: &'a [Left],
    u: &'a [Right],
    m: &'a mut [Right],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tiles = self.m.len();
        let rows = if S::F32_LANES == 8 { ROWS / 2 } else { ROWS };
        for (at, m) in self.m.chunks_exact_mut(rows).enumerate() {
            for first in (0..COLUMNS).step_by(VECTORS * S::F32_LANES) {
                let v = &self.v[at * rows..];
                if S::F32_LANES == 8 {
                    tile_rows::<S, { ROWS / 2 }>(simd, v, tiles, self.u, first, m);
                } else {
                    tile_rows::<S, ROWS>(simd, v, tiles, self.u, first, m);
                }
            }
        }
    }
}

/// `R` tiles of two vectors of columns.
#[inline(always)]
fn tile_rows<S: Simd, const R: usize>(
    simd: S,
    v: &[Left],
    tiles: usize,
    u: &[Right],
    first: usize,
    m: &mut [Right],
) {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; R];
    let (steps, _) = u.as_chunks::<LANES>();
    // arrays of known length inside: no check is left between the products
    for (v, u) in v.chunks(tiles).zip(steps) {
        let Some(v) = v.first_chunk::<R>() else { break };
        for k in 0..LANES {
            let (u, _) = S::as_simd_f32s(&u[k][first..first + VECTORS * S::F32_LANES]);
            for (v, sums) in v.iter().zip(&mut sums) {
                let v = simd.splat_f32s(v[k]);
                for (sum, &u) in sums.iter_mut().zip(u) {
                    *sum = simd.mul_add_e_f32s(v, u, *sum);
                }
            }
        }
    }
    for (sums, m) in sums.iter().zip(m) {
        let (m, _) = S::as_mut_simd_f32s(&mut m[first..first + VECTORS * S::F32_LANES]);
        m.copy_from_slice(sums);
    }
}

/// `sums += vᵀ · z` over tiles: `v [tile][LANES]`, `z [tile][COLUMNS]`, `sums [LANES][COLUMNS]`.
///
/// # Panics
/// When there are not as many tiles on both sides, or the sums have another length.
pub(super) fn accumulate(v: &[f32], z: &[f32], sums: &mut [f32]) {
    let (v, z) = (v.as_chunks().0, z.as_chunks().0);
    let (sums, _) = sums.as_chunks_mut();
    assert_eq!(v.len(), z.len(), "tiles");
    assert_eq!(sums.len(), LANES, "sums");
    Arch::new().dispatch(Accumulate { v, z, sums });
}

struct Accumulate<'a> {
    v: &'a [Left],
    z: &'a [Right],
    sums: &'a mut [Right],
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for first in (0..COLUMNS).step_by(VECTORS * S::F32_LANES) {
            if S::F32_LANES == 8 {
                channel_rows::<S, 0, { ROWS / 2 }>(simd, self.v, self.z, first, self.sums);
                channel_rows::<S, 4, { ROWS / 2 }>(simd, self.v, self.z, first, self.sums);
                channel_rows::<S, 8, { ROWS / 2 }>(simd, self.v, self.z, first, self.sums);
                channel_rows::<S, 12, { ROWS / 2 }>(simd, self.v, self.z, first, self.sums);
            } else {
                channel_rows::<S, 0, ROWS>(simd, self.v, self.z, first, self.sums);
                channel_rows::<S, 8, ROWS>(simd, self.v, self.z, first, self.sums);
            }
        }
    }
}

/// `R` channels from `TOP` on of two vectors of columns.
#[inline(always)]
fn channel_rows<S: Simd, const TOP: usize, const R: usize>(
    simd: S,
    v: &[Left],
    z: &[Right],
    first: usize,
    sums: &mut [Right],
) {
    let width = VECTORS * S::F32_LANES;
    let mut own = [[simd.splat_f32s(0.0); VECTORS]; R];
    for (v, z) in v.iter().zip(z) {
        let (z, _) = S::as_simd_f32s(&z[first..first + width]);
        for (r, own) in own.iter_mut().enumerate() {
            let v = simd.splat_f32s(v[TOP + r]);
            for (sum, &z) in own.iter_mut().zip(z) {
                *sum = simd.mul_add_e_f32s(v, z, *sum);
            }
        }
    }
    for (own, sums) in own.iter().zip(&mut sums[TOP..]) {
        let (sums, _) = S::as_mut_simd_f32s(&mut sums[first..first + width]);
        for (sum, &own) in sums.iter_mut().zip(own) {
            *sum = simd.add_f32s(*sum, own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, modulus: usize) -> Vec<f32> {
        (0..len)
            .map(|i| (i * 7 % modulus) as f32 - (modulus / 2) as f32)
            .collect()
    }

    #[test]
    fn products_over_channels_equal_the_definition() {
        let (tiles, blocks) = (2 * ROWS, 3);
        let v = numbers(blocks * tiles * LANES, 13);
        let u = numbers(blocks * LANES * COLUMNS, 11);
        let mut m = vec![f32::NAN; tiles * COLUMNS];
        multiply(&v, &u, &mut m);
        for tile in 0..tiles {
            for column in 0..COLUMNS {
                let want: f32 = (0..blocks * LANES)
                    .map(|k| {
                        v[(k / LANES * tiles + tile) * LANES + k % LANES] * u[k * COLUMNS + column]
                    })
                    .sum();
                assert_eq!(m[tile * COLUMNS + column], want, "[{tile},{column}]");
            }
        }
    }

    #[test]
    fn products_over_tiles_equal_the_definition() {
        let tiles = 5;
        let (v, z) = (numbers(tiles * LANES, 13), numbers(tiles * COLUMNS, 11));
        let mut sums = vec![1.0; LANES * COLUMNS];
        accumulate(&v, &z, &mut sums);
        for row in 0..LANES {
            for column in 0..COLUMNS {
                let want: f32 = (0..tiles)
                    .map(|t| v[t * LANES + row] * z[t * COLUMNS + column])
                    .sum();
                assert_eq!(sums[row * COLUMNS + column], 1.0 + want, "[{row},{column}]");
            }
        }
    }
}
