//! What the kernel needs of a vector of floats.

/// A kind of vector. All functions are meant to be inlined into a function that is compiled for it.
pub(super) trait Lanes {
    /// Numbers of a vector.
    const LANES: usize;
    /// Vectors side by side in a tile: as many as leave the sums of six pixels in registers.
    const VECTORS: usize;
    /// The vector.
    type V: Copy;

    /// # Safety
    /// [`Lanes::LANES`] numbers lie at `from`; the instructions are available. So it is with all below.
    #[expect(unsafe_code, reason = "vector instructions read through pointers")]
    unsafe fn load(from: *const f32) -> Self::V;
    /// # Safety
    /// See [`Lanes::load`].
    #[expect(unsafe_code, reason = "vector instructions")]
    unsafe fn splat(x: f32) -> Self::V;
    /// `sum + x · y`, rounded once.
    ///
    /// # Safety
    /// See [`Lanes::load`].
    #[expect(unsafe_code, reason = "vector instructions")]
    unsafe fn mul_add(sum: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// # Safety
    /// See [`Lanes::load`].
    #[expect(unsafe_code, reason = "vector instructions")]
    unsafe fn max(x: Self::V, y: Self::V) -> Self::V;
    /// # Safety
    /// See [`Lanes::load`]; there is room for [`Lanes::LANES`] numbers.
    #[expect(unsafe_code, reason = "vector instructions write through pointers")]
    unsafe fn store(to: *mut f32, x: Self::V);
    /// Stores the first `n` numbers, fewer than [`Lanes::LANES`].
    ///
    /// # Safety
    /// See [`Lanes::load`]; there is room for `n` numbers.
    #[inline(always)]
    #[expect(unsafe_code, reason = "vector instructions write through pointers")]
    unsafe fn store_first(to: *mut f32, x: Self::V, n: usize) {
        let mut all = [0.0; 16];
        // SAFETY: no vector is wider than `all`; the caller has room for `n`.
        unsafe {
            Self::store(all.as_mut_ptr(), x);
            for (i, &x) in all.iter().enumerate().take(n) {
                *to.add(i) = x;
            }
        }
    }
}

/// Plain Rust, which compilers turn into the vectors of the build's target.
pub(super) struct Plain;

#[expect(unsafe_code, reason = "implements `Lanes`")]
impl Lanes for Plain {
    const LANES: usize = 4;
    const VECTORS: usize = 2;
    type V = [f32; 4];

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: as demanded of the caller.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 4] {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn mul_add(mut sum: [f32; 4], x: [f32; 4], y: [f32; 4]) -> [f32; 4] {
        // rounded twice: without hardware, rounding once costs a function call
        for i in 0..4 {
            sum[i] += x[i] * y[i];
        }
        sum
    }

    #[inline(always)]
    unsafe fn max(mut x: [f32; 4], y: [f32; 4]) -> [f32; 4] {
        for i in 0..4 {
            x[i] = if x[i] > y[i] { x[i] } else { y[i] };
        }
        x
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, x: [f32; 4]) {
        // SAFETY: as demanded of the caller.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(x) }
    }
}
