//! Intel's matrix unit (AMX).
//!
//! A tile is 16 rows of 64 bytes. `tdpbf16ps` adds to a 16×16 tile of `f32` the product of 16 rows of
//! 32 numbers with 16 pairs of rows of 16 numbers (Intel SDM, volume 1, chapter 18). 32×32 sums are held
//! in four tiles.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, __get_cpuid_max};

use super::Block;

/// Asks the processor for AMX-BF16, and Linux for leave to use the tiles.
pub(super) fn request() -> bool {
    // CPUID leaf 7: EDX bit 24 is AMX-TILE, bit 22 AMX-BF16
    if __get_cpuid_max(0).0 < 7 {
        return false;
    }
    let edx = __cpuid_count(7, 0).edx;
    let has = |bit: u32| edx >> bit & 1 == 1;
    if !(has(24) && has(22)) {
        return false;
    }
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let result: i64;
    // SAFETY: arch_prctl with this request touches no memory of ours; the kernel clobbers rcx
    // and r11 as declared.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// Palette 1, eight tiles of 16 rows of 64 bytes.
pub(super) fn configure() {
    let mut config = [0u8; 64];
    config[0] = 1;
    for tile in 0..8 {
        config[16 + 2 * tile] = 64;
        config[48 + tile] = 16;
    }
    // SAFETY: reads 64 bytes of `config`; `Unit::new` has checked that there are tiles.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) config.as_ptr(), options(nostack, readonly));
    }
}

/// Frees the unit.
pub(super) fn release() {
    // SAFETY: a `Unit` of this kind exists, so the instruction does; nobody reads tiles across calls.
    unsafe {
        asm!("tilerelease", options(nostack, nomem));
    }
}

/// For blocks of the sizes that [`super::Unit::multiply`] asks for, on a thread with configured tiles.
#[inline]
pub(super) fn multiply(block: Block) {
    let Block {
        a,
        a_stride,
        panel,
        steps,
        c,
        c_stride,
        fresh,
        ..
    } = block;
    let (a_bytes, c_bytes) = (2 * a_stride, 4 * c_stride);
    let (a, c) = (a.as_ptr().cast::<u8>(), c.as_mut_ptr().cast::<u8>());
    // SAFETY: `Unit::multiply` has checked that 32 rows of `steps`·64 bytes lie in `a`,
    // `steps`·2 KiB in `panel` and 32 rows of 128 bytes in `c`; `Bf16` is a `u16` in memory. The
    // tiles are configured, and only this function uses them.
    unsafe {
        let (a_low, c_low) = (a.add(16 * a_bytes), c.add(16 * c_bytes));
        if fresh {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem)
            );
        } else {
            asm!(
                "tileloadd tmm0, [{c} + {s}]",
                "tileloadd tmm1, [{c} + {s} + 64]",
                "tileloadd tmm2, [{d} + {s}]",
                "tileloadd tmm3, [{d} + {s} + 64]",
                c = in(reg) c, d = in(reg) c_low, s = in(reg) c_bytes,
                options(nostack, readonly)
            );
        }
        asm!(
            ".p2align 4",
            "2:",
            "tileloadd tmm6, [{b} + {bs}]",
            "tileloadd tmm4, [{a} + {s}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{b} + {bs} + 64]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{d} + {s}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 64",
            "add {d}, 64",
            "add {b}, 2048",
            "dec {n}",
            "jnz 2b",
            a = inout(reg) a => _,
            d = inout(reg) a_low => _,
            b = inout(reg) panel.as_ptr() => _,
            n = inout(reg) steps => _,
            s = in(reg) a_bytes,
            bs = in(reg) 128usize,
            options(nostack, readonly)
        );
        asm!(
            "tilestored [{c} + {s}], tmm0",
            "tilestored [{c} + {s} + 64], tmm1",
            "tilestored [{d} + {s}], tmm2",
            "tilestored [{d} + {s} + 64], tmm3",
            c = in(reg) c, d = in(reg) c_low, s = in(reg) c_bytes,
            options(nostack)
        );
    }
}
