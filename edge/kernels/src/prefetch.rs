//! Asks for weights before they are needed.

/// Bytes ahead. A network's weights are read once a face, from the last cache or from memory, and the processor's own
/// reading ahead doesn't use the whole width of that way.
pub(crate) const AHEAD: usize = 4096;

/// Bytes that come at once.
const LINE: usize = 64;

/// Asks for the `bytes` that lie [`AHEAD`] of `at`; past the end of the weights, for nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T, bytes: usize) {
    for line in 0..bytes.div_ceil(LINE) {
        let _at = at.addr().wrapping_add(AHEAD + line * LINE);
        // Spelt in assembly, since compilers take the intrinsic for a write to any memory, and then keep the sums of a tile
        // there instead of in registers.
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "std's intrinsic halves the kernels' speed")]
        // SAFETY: the instruction reads nothing, and faults on no address.
        unsafe {
            std::arch::asm!("prefetcht0 [{}]", in(reg) _at, options(nomem, nostack, preserves_flags));
        }
        #[cfg(target_arch = "aarch64")]
        #[expect(unsafe_code, reason = "std has no stable intrinsic")]
        // SAFETY: as above.
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{}]", in(reg) _at, options(nomem, nostack, preserves_flags));
        }
    }
}
