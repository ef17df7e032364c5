//! Advanced SIMD.
#![expect(
    unsafe_code,
    reason = "vector instructions; `fer-edge bench` shows what they are worth"
)]

use std::arch::aarch64::*;

use super::lanes::Lanes;
use super::{Job, drive};

/// # Safety
/// As [`drive`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn neon(job: &Job<'_>) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<Neon>(job) }
}

pub(super) struct Neon;

// SAFETY of all below: the callers are compiled for these instructions, and pass pointers to as many numbers as the
// trait demands.
impl Lanes for Neon {
    const LANES: usize = 4;
    const VECTORS: usize = 4;
    type V = float32x4_t;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn mul_add(sum: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(sum, x, y) }
    }
    #[inline(always)]
    unsafe fn max(x: float32x4_t, y: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(x, y) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: float32x4_t) {
        unsafe { vst1q_f32(to, x) }
    }
}
