//! AVX-512's dot products of bfloat16 pairs.
//!
//! `vdpbf16ps` adds to 16 `f32` the products of 16 pairs with 16 pairs. 8×32 sums stay in registers over the whole
//! depth: of a step in depth, two vectors of the panel are loaded and each row's pair is broadcast.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{BLOCK, Block, DEPTH};

/// Rows whose sums are held at once: 16 sums of 32 registers hide the instruction's latency, and the rest is room for
/// the panel.
const ROWS: usize = 8;
const PAIRS: usize = DEPTH / 2;
/// Most steps in depth whose panel, 24 KiB, stays in the first-level cache while all rows pass by.
const CHUNK: usize = 12;
/// Sums in a vector.
const LANES: usize = 16;

/// Whether the processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")
}

/// # Panics
/// Where the instructions are not [`available`], and where a slice is shorter than the block says.
pub(super) fn multiply(block: Block) {
    let Block {
        a,
        a_stride,
        panel,
        steps,
        c,
        c_stride,
        wanted,
        fresh,
    } = block;
    assert!(available(), "no bfloat16 products here");
    let last = BLOCK - 1;
    assert!(a.len() >= last * a_stride + steps * DEPTH);
    assert!(panel.len() >= steps * PAIRS * BLOCK);
    assert!(c.len() >= last * c_stride + BLOCK);
    let rows = if wanted[1] > LANES {
        rows::<2>
    } else {
        rows::<1>
    };
    // of nearly equal size
    let chunk = steps.div_ceil(steps.div_ceil(CHUNK));
    for first in (0..steps).step_by(chunk) {
        let pairs = chunk.min(steps - first) * PAIRS;
        let panel = panel[first * PAIRS * BLOCK..].as_ptr();
        for row in (0..BLOCK.min(wanted[0])).step_by(ROWS) {
            let a = a[row * a_stride + first * DEPTH..].as_ptr().cast::<i32>();
            let c = c[row * c_stride..].as_mut_ptr();
            // SAFETY: the instructions are there, and the sizes have been checked above: `ROWS` rows of `pairs` pairs
            // lie `a_stride` numbers apart from `a` on, `pairs` rows of 32 pairs in `panel`, `ROWS` rows of 32 sums
            // `c_stride` apart from `c` on. `Bf16` is a `u16` in memory; loads ask for no alignment.
            unsafe {
                rows(
                    (a, a_stride),
                    panel,
                    pairs,
                    (c, c_stride),
                    fresh && first == 0,
                );
            }
        }
    }
}

/// `N` vectors of sums in each row.
///
/// # Safety
/// See [`multiply`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn rows<const N: usize>(
    (a, a_stride): (*const i32, usize),
    panel: *const u32,
    pairs: usize,
    (c, c_stride): (*mut f32, usize),
    fresh: bool,
) {
    // SAFETY: all within the rows that the caller vouches for.
    unsafe {
        let starts: [*const i32; ROWS] =
            std::array::from_fn(|row| a.cast::<u16>().add(row * a_stride).cast());
        let mut sums = [[_mm512_setzero_ps(); N]; ROWS];
        if !fresh {
            for (row, sums) in sums.iter_mut().enumerate() {
                let c = c.add(row * c_stride);
                *sums = std::array::from_fn(|n| _mm512_loadu_ps(c.add(n * LANES)));
            }
        }
        for pair in 0..pairs {
            let b = panel.add(pair * BLOCK);
            let b: [__m512bh; N] =
                std::array::from_fn(|n| cast(_mm512_loadu_si512(b.add(n * LANES).cast())));
            for (start, sums) in starts.iter().zip(&mut sums) {
                let a = cast(_mm512_set1_epi32(start.add(pair).read_unaligned()));
                for (sum, &b) in sums.iter_mut().zip(&b) {
                    *sum = _mm512_dpbf16_ps(*sum, a, b);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            let c = c.add(row * c_stride);
            for (n, sum) in sums.into_iter().enumerate() {
                _mm512_storeu_ps(c.add(n * LANES), sum);
            }
        }
    }
}

/// The same bits as pairs of bfloat16.
#[inline(always)]
fn cast(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes, and any bits are numbers.
    unsafe { std::mem::transmute(bits) }
}
