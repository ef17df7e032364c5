//! Advanced SIMD, with and without the dot product.
//!
//! Both multiply signed bytes: a pixel is made signed by inverting its highest bit, which subtracts 128.
#![expect(
    unsafe_code,
    reason = "vector instructions; `fer-edge bench` shows what they are worth"
)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::Job;
use super::dot::Dot;
use super::tile::drive;
use crate::pixels::Pixel;

/// # Safety
/// As [`drive`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn neon(job: &Job<'_>, pixels: &[Pixel]) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<Neon>(job, pixels) }
}

/// # Safety
/// As [`drive`].
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn neon_dot(job: &Job<'_>, pixels: &[Pixel]) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<NeonDot>(job, pixels) }
}

/// Four bytes of a pixel, signed, four times.
#[inline(always)]
unsafe fn signed(from: *const u8) -> int8x16_t {
    // SAFETY: the callers are compiled for NEON, and four bytes lie at `from`.
    unsafe {
        let bytes = vdupq_n_u32(from.cast::<u32>().read_unaligned());
        vreinterpretq_s8_u32(veorq_u32(bytes, vdupq_n_u32(0x8080_8080)))
    }
}

pub(super) struct Neon;

// SAFETY of all below: the callers are compiled for these instructions, and pass pointers to as many numbers as the
// trait demands.
impl Dot for Neon {
    const LANES: usize = 4;
    const VECTORS: usize = 2;
    const ROWS: usize = 4;
    const OFFSET: i32 = 128;
    /// Two halves of each lane's sum lie side by side: lanes 0 and 1, then 2 and 3.
    type Sums = [int32x4_t; 2];
    type Weights = int8x16_t;
    type Pixel = int8x16_t;

    #[inline(always)]
    unsafe fn zero() -> [int32x4_t; 2] {
        unsafe { [vdupq_n_s32(0); 2] }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> int8x16_t {
        unsafe { vld1q_s8(from) }
    }
    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> int8x16_t {
        unsafe { signed(from) }
    }
    #[inline(always)]
    unsafe fn dot(sums: [int32x4_t; 2], pixel: int8x16_t, weights: int8x16_t) -> [int32x4_t; 2] {
        unsafe {
            let low = vmull_s8(vget_low_s8(pixel), vget_low_s8(weights));
            let high = vmull_high_s8(pixel, weights);
            [vpadalq_s16(sums[0], low), vpadalq_s16(sums[1], high)]
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: [int32x4_t; 2]) {
        unsafe { vst1q_s32(to, vpaddq_s32(sums[0], sums[1])) }
    }
}

pub(super) struct NeonDot;

impl Dot for NeonDot {
    const LANES: usize = 4;
    const VECTORS: usize = 4;
    const ROWS: usize = 6;
    const OFFSET: i32 = 128;
    type Sums = int32x4_t;
    type Weights = int8x16_t;
    type Pixel = int8x16_t;

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> int8x16_t {
        unsafe { vld1q_s8(from) }
    }
    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> int8x16_t {
        unsafe { signed(from) }
    }
    #[inline(always)]
    unsafe fn dot(mut sums: int32x4_t, pixel: int8x16_t, weights: int8x16_t) -> int32x4_t {
        // `vdotq_s32` isn't stable
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {pixel:v}.16b, {weights:v}.16b",
                sums = inout(vreg) sums,
                pixel = in(vreg) pixel,
                weights = in(vreg) weights,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sums
    }
    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: int32x4_t) {
        unsafe { vst1q_s32(to, sums) }
    }
}
