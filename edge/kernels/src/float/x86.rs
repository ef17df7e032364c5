//! AVX2 with FMA, and AVX-512.
#![expect(
    unsafe_code,
    reason = "vector instructions; `fer-edge bench` shows what they are worth"
)]

use std::arch::x86_64::*;

use super::lanes::Lanes;
use super::{Job, drive};

/// # Safety
/// As [`drive`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(job: &Job<'_>) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<Avx2>(job) }
}

/// # Safety
/// As [`drive`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn avx512(job: &Job<'_>) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<Avx512>(job) }
}

pub(super) struct Avx2;

// SAFETY of all below: the callers are compiled for these instructions, and pass pointers to as many numbers as the
// trait demands.
impl Lanes for Avx2 {
    const LANES: usize = 8;
    const VECTORS: usize = 2;
    type V = __m256;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn mul_add(sum: __m256, x: __m256, y: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(x, y, sum) }
    }
    #[inline(always)]
    unsafe fn max(x: __m256, y: __m256) -> __m256 {
        unsafe { _mm256_max_ps(x, y) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: __m256) {
        unsafe { _mm256_storeu_ps(to, x) }
    }
}

pub(super) struct Avx512;

impl Lanes for Avx512 {
    const LANES: usize = 16;
    const VECTORS: usize = 4;
    type V = __m512;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn mul_add(sum: __m512, x: __m512, y: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(x, y, sum) }
    }
    #[inline(always)]
    unsafe fn max(x: __m512, y: __m512) -> __m512 {
        unsafe { _mm512_max_ps(x, y) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: __m512) {
        unsafe { _mm512_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, x: __m512, n: usize) {
        unsafe { _mm512_mask_storeu_ps(to, (1u16 << n) - 1, x) }
    }
}
