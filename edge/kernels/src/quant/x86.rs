//! AVX2, AVX-VNNI and AVX-512 VNNI.
#![expect(
    unsafe_code,
    reason = "vector instructions; `fer-edge bench` shows what they are worth"
)]

use std::arch::x86_64::*;

use super::Job;
use super::dot::Dot;
use super::rescale::Limits;
use super::tile::drive;
use crate::pixels::Pixel;

/// # Safety
/// As [`drive`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(job: &Job<'_>, pixels: &[Pixel]) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<Avx2>(job, pixels) }
}

/// # Safety
/// As [`drive`].
#[target_feature(enable = "avx2,fma,avxvnni")]
pub(super) unsafe fn avx_vnni(job: &Job<'_>, pixels: &[Pixel]) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<AvxVnni>(job, pixels) }
}

/// # Safety
/// As [`drive`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn avx512_vnni(job: &Job<'_>, pixels: &[Pixel]) {
    // SAFETY: as demanded of the caller.
    unsafe { drive::<Avx512Vnni>(job, pixels) }
}

pub(super) struct Avx2;

// SAFETY of all below: the callers are compiled for these instructions, and pass pointers to as many numbers as the
// trait demands.
impl Dot for Avx2 {
    const LANES: usize = 8;
    const VECTORS: usize = 2;
    const ROWS: usize = 4;
    const OFFSET: i32 = 0;
    type Sums = __m256i;
    /// Bytes 0 and 2 of each group as 16-bit numbers, and bytes 1 and 3.
    type Weights = [__m256i; 2];
    type Pixel = [__m256i; 2];

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> [__m256i; 2] {
        unsafe {
            let bytes = _mm256_loadu_si256(from.cast());
            [
                _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes)),
                _mm256_srai_epi16::<8>(bytes),
            ]
        }
    }
    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> [__m256i; 2] {
        unsafe {
            let bytes = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
            [
                _mm256_and_si256(bytes, _mm256_set1_epi16(0xff)),
                _mm256_srli_epi16::<8>(bytes),
            ]
        }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256i, pixel: [__m256i; 2], weights: [__m256i; 2]) -> __m256i {
        // not `maddubs`, which would be half the work: two products of a pixel of 255 don't fit its 16 bits
        unsafe {
            let even = _mm256_madd_epi16(pixel[0], weights[0]);
            let odd = _mm256_madd_epi16(pixel[1], weights[1]);
            _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: __m256i) {
        unsafe { _mm256_storeu_si256(to.cast(), sums) }
    }
}

pub(super) struct AvxVnni;

impl Dot for AvxVnni {
    const LANES: usize = 8;
    const VECTORS: usize = 2;
    const ROWS: usize = 6;
    const OFFSET: i32 = 0;
    type Sums = __m256i;
    type Weights = __m256i;
    type Pixel = __m256i;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> __m256i {
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> __m256i {
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256i, pixel: __m256i, weights: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_avx_epi32(sums, pixel, weights) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: __m256i) {
        unsafe { _mm256_storeu_si256(to.cast(), sums) }
    }
}

pub(super) struct Avx512Vnni;

impl Dot for Avx512Vnni {
    const LANES: usize = 16;
    const VECTORS: usize = 4;
    const ROWS: usize = 6;
    const OFFSET: i32 = 0;
    type Sums = __m512i;
    type Weights = __m512i;
    type Pixel = __m512i;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn weights(from: *const i8) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn pixel(from: *const u8) -> __m512i {
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512i, pixel: __m512i, weights: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sums, pixel, weights) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: __m512i) {
        unsafe { _mm512_storeu_si512(to.cast(), sums) }
    }
    #[inline(always)]
    unsafe fn store_bytes(
        sums: __m512i,
        (bias, scale): (*const i32, *const f32),
        limits: &Limits,
        to: *mut u8,
        n: usize,
    ) {
        unsafe {
            let sums = _mm512_add_epi32(sums, _mm512_loadu_si512(bias.cast()));
            let x = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(scale));
            // of two operands of which one is NaN, the second: the limit
            let x = _mm512_max_ps(x, _mm512_set1_ps(limits.low));
            let x = _mm512_min_ps(x, _mm512_set1_ps(limits.high));
            // rounds to the nearest, of two to the even one
            let x = _mm512_cvtps_epi32(x);
            let x = _mm512_add_epi32(x, _mm512_set1_epi32(i32::from(limits.zero)));
            let first = if n >= 16 { u16::MAX } else { (1 << n) - 1 };
            _mm512_mask_cvtusepi32_storeu_epi8(to.cast(), first, x);
        }
    }
}
