//! What the kernel needs of a vector of 8-bit dot products.

use super::pack::GROUP;
use super::rescale::Limits;

/// A kind of vector. All functions are meant to be inlined into a function that is compiled for it.
pub(super) trait Dot {
    /// Sums of a vector.
    const LANES: usize;
    /// Vectors side by side in a tile, at most.
    const VECTORS: usize;
    /// Pixels of a tile, at most 6.
    const ROWS: usize;
    /// What [`Dot::pixel`] subtracts.
    const OFFSET: i32;
    /// [`Dot::LANES`] 32-bit sums.
    type Sums: Copy;
    /// Four weights for each lane.
    type Weights: Copy;
    /// Four bytes of a pixel, for all lanes.
    type Pixel: Copy;

    /// # Safety
    /// The instructions are available. So it is with all below.
    #[expect(unsafe_code, reason = "vector instructions")]
    unsafe fn zero() -> Self::Sums;
    /// # Safety
    /// Four weights for each lane lie at `from`.
    #[expect(unsafe_code, reason = "vector instructions read through pointers")]
    unsafe fn weights(from: *const i8) -> Self::Weights;
    /// # Safety
    /// Four bytes lie at `from`.
    #[expect(unsafe_code, reason = "vector instructions read through pointers")]
    unsafe fn pixel(from: *const u8) -> Self::Pixel;
    /// To each sum, the dot product of the pixel's four bytes with the lane's four weights.
    ///
    /// # Safety
    /// See [`Dot::zero`].
    #[expect(unsafe_code, reason = "vector instructions")]
    unsafe fn dot(sums: Self::Sums, pixel: Self::Pixel, weights: Self::Weights) -> Self::Sums;
    /// # Safety
    /// There is room for [`Dot::LANES`] numbers.
    #[expect(unsafe_code, reason = "vector instructions write through pointers")]
    unsafe fn store(to: *mut i32, sums: Self::Sums);

    /// Stores the first `n` sums as bytes: bias, scale, limits.
    ///
    /// # Safety
    /// Bias and scale have [`Dot::LANES`] numbers, and there is room for `n` bytes.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector instructions write through pointers")]
    unsafe fn store_bytes(
        sums: Self::Sums,
        (bias, scale): (*const i32, *const f32),
        limits: &Limits,
        to: *mut u8,
        n: usize,
    ) {
        let (mut all, mut bytes) = ([0; 16], [0; 16]);
        // SAFETY: no vector is wider than 16 lanes; the rest as demanded of the caller.
        unsafe {
            Self::store(all.as_mut_ptr(), sums);
            for i in 0..Self::LANES {
                let sum = all[i].wrapping_add(*bias.add(i)) as f32;
                bytes[i] = limits.byte(sum * *scale.add(i));
            }
            if n >= Self::LANES {
                to.copy_from_nonoverlapping(bytes.as_ptr(), Self::LANES);
            } else {
                for (i, &byte) in bytes.iter().enumerate().take(n) {
                    *to.add(i) = byte;
                }
            }
        }
    }

    /// Stores the first `n` sums as floats: bias and scale.
    ///
    /// # Safety
    /// Bias and scale have [`Dot::LANES`] numbers, and there is room for `n` floats.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector instructions write through pointers")]
    unsafe fn store_floats(
        sums: Self::Sums,
        (bias, scale): (*const i32, *const f32),
        relu: bool,
        to: *mut f32,
        n: usize,
    ) {
        let mut all = [0; 16];
        // SAFETY: no vector is wider than 16 lanes; the rest as demanded of the caller.
        unsafe {
            Self::store(all.as_mut_ptr(), sums);
            for (i, sum) in all.iter().enumerate().take(n.min(Self::LANES)) {
                let x = sum.wrapping_add(*bias.add(i)) as f32 * *scale.add(i);
                *to.add(i) = if relu && x < 0.0 { 0.0 } else { x };
            }
        }
    }
}

/// Plain Rust.
pub(super) struct Plain;

#[expect(unsafe_code, reason = "implements `Dot`")]
impl Dot for Plain {
    const LANES: usize = 4;
    const VECTORS: usize = 1;
    const ROWS: usize = 4;
    const OFFSET: i32 = 0;
    type Sums = [i32; 4];
    type Weights = [i8; 4 * GROUP];
    type Pixel = [u8; GROUP];

    #[inline(always)]
    unsafe fn zero() -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn weights(from: *const i8) -> Self::Weights {
        // SAFETY: as demanded of the caller.
        unsafe { from.cast::<Self::Weights>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> [u8; GROUP] {
        // SAFETY: as demanded of the caller.
        unsafe { from.cast::<[u8; GROUP]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn dot(mut sums: [i32; 4], pixel: [u8; GROUP], weights: Self::Weights) -> [i32; 4] {
        for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<GROUP>().0) {
            for (&x, &w) in pixel.iter().zip(weights) {
                *sum = sum.wrapping_add(i32::from(x) * i32::from(w));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: [i32; 4]) {
        // SAFETY: as demanded of the caller.
        unsafe { to.cast::<[i32; 4]>().write_unaligned(sums) }
    }
}
