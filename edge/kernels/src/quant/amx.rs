//! Products of 8-bit tiles on Intel's matrix unit (AMX).
//!
//! A tile is 16 rows of 64 bytes. `tdpbusd` adds to a 16×16 tile of 32-bit sums the product of 16 rows of 64 pixel bytes
//! with 16 rows of groups of four weights for 16 channels (Intel SDM, volume 1, chapter 18). Two tiles of pixels times
//! two of weights keep the unit busy: each tile that is read is used twice.
#![expect(
    unsafe_code,
    reason = "stable Rust has no intrinsics for tiles; `fer-edge bench` shows what they are worth"
)]

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, __get_cpuid_max, _mm512_loadu_si512};
use std::sync::OnceLock;

use super::Job;
use super::pack::{Format, GROUP, Panel};
use super::tile::store;
use super::x86::Avx512Vnni;
use crate::pixels::{NOWHERE, TILE, Tile};
use crate::prefetch::AHEAD;

/// Bytes of a tile's row.
const DEPTH: usize = 64;

/// Two tiles of channels side by side, so that the same code serves every panel.
pub(super) const FORMAT: Format = Format {
    lanes: TILE,
    vectors: 2,
    depth: DEPTH,
    tile: TILE,
    offset: 0,
    even: true,
};

/// Channels of a panel.
const WIDTH: usize = 2 * TILE;

/// Whether this processor has 8-bit tiles and the system lets this process use them.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| cfg!(target_os = "linux") && request())
}

/// Asks the processor for AMX-INT8, and Linux for leave to use the tiles.
fn request() -> bool {
    // CPUID leaf 7: EDX bit 24 is AMX-TILE, bit 25 AMX-INT8
    if __get_cpuid_max(0).0 < 7 {
        return false;
    }
    let edx = __cpuid_count(7, 0).edx;
    if edx >> 24 & 3 != 3 {
        return false;
    }
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let result: i64;
    // SAFETY: arch_prctl with this request touches no memory of ours; the kernel clobbers rcx and r11 as
    // declared.
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

/// Computes all `tiles`, whose windows lie `step` bytes apart.
///
/// # Safety
/// AMX-INT8 and AVX-512 VNNI are available; the tiles' windows and outputs lie in the job's maps.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn run(job: &Job<'_>, tiles: &[Tile], step: usize) {
    // palette 1, eight tiles of 16 rows of 64 bytes
    let mut config = [0u8; 64];
    config[0] = 1;
    for tile in 0..8 {
        config[16 + 2 * tile] = 64;
        config[48 + tile] = 16;
    }
    let mut sums = Sums([0; 2 * TILE * WIDTH]);
    // SAFETY: reads 64 bytes of `config`; tiles are available, and released before anything else may use them. The rest
    // as demanded of the caller.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) config.as_ptr(), options(nostack, readonly));
        for panel in &job.conv.panels {
            for pair in tiles.chunks(2) {
                if let [low, high] = pair {
                    multiply(job, panel, low, Some(high), step, &mut sums);
                    finish(job, panel, low, &sums.0[..TILE * WIDTH]);
                    finish(job, panel, high, &sums.0[TILE * WIDTH..]);
                } else {
                    multiply(job, panel, &pair[0], None, step, &mut sums);
                    finish(job, panel, &pair[0], &sums.0[..TILE * WIDTH]);
                }
            }
        }
        asm!("tilerelease", options(nostack, nomem));
    }
}

/// Sums of two tiles of pixels × two of channels.
#[repr(align(64))]
struct Sums([i32; 2 * TILE * WIDTH]);

/// A row of a window: one tile of pixels times two of weights for each step, and what else is asked for.
macro_rules! product {
    ($($high:literal),*; $w:ident, $steps:ident, $x:ident, $step:ident, $bytes:ident $(, $y:ident = $($reg:tt)*)?) => {
        asm!(
            ".p2align 4",
            "2:",
            "tileloadd tmm6, [{w} + {ws}]",
            "tileloadd tmm4, [{x} + {s}]",
            "tdpbusd tmm0, tmm4, tmm6",
            "tileloadd tmm7, [{w} + {ws} + 64]",
            "tdpbusd tmm1, tmm4, tmm7",
            $($high,)*
            // the two tiles of weights of later steps: see `crate::prefetch`
            ".set fer_ahead, {ahead}",
            ".rept 32",
            "prefetcht0 [{w} + fer_ahead]",
            ".set fer_ahead, fer_ahead + 64",
            ".endr",
            "add {x}, 64",
            "add {w}, 2048",
            "dec {n}",
            "jnz 2b",
            x = inout(reg) $x => _,
            w = inout(reg) $w,
            n = inout(reg) $steps => _,
            s = in(reg) $step,
            ws = in(reg) $bytes,
            ahead = const AHEAD,
            $($y = $($reg)*,)?
            options(nostack, readonly)
        )
    };
}

/// # Safety
/// As [`run`], with tiles configured.
#[inline(always)]
unsafe fn multiply(
    job: &Job<'_>,
    panel: &Panel,
    low: &Tile,
    high: Option<&Tile>,
    step: usize,
    sums: &mut Sums,
) {
    let conv = job.conv;
    let steps = conv.segment.div_ceil(DEPTH);
    let bytes = WIDTH * GROUP;
    // SAFETY: 16 windows from each tile's first, `step` bytes apart and rounded up to whole steps, lie in the input; a
    // panel has 2 KiB of weights for each step of each row; `sums` has four tiles.
    unsafe {
        let mut w = conv.weights.as_ptr().add(panel.weights);
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            options(nostack, nomem)
        );
        for ky in 0..conv.window.kernel[0] {
            let x = job.input.add(low.input as usize + ky * job.row);
            if let Some(high) = high {
                let y = job.input.add(high.input as usize + ky * job.row);
                product!(
                    "tileloadd tmm5, [{y} + {s}]",
                    "tdpbusd tmm2, tmm5, tmm6",
                    "tdpbusd tmm3, tmm5, tmm7",
                    "add {y}, 64";
                    w, steps, x, step, bytes,
                    y = inout(reg) y => _
                );
            } else {
                product!(; w, steps, x, step, bytes);
            }
        }
        let to = sums.0.as_mut_ptr();
        asm!(
            "tilestored [{c} + {s}], tmm0",
            "tilestored [{c} + {s} + 64], tmm1",
            c = in(reg) to, s = in(reg) bytes,
            options(nostack)
        );
        if high.is_some() {
            asm!(
                "tilestored [{c} + {s}], tmm2",
                "tilestored [{c} + {s} + 64], tmm3",
                c = in(reg) to.add(TILE * WIDTH), s = in(reg) bytes,
                options(nostack)
            );
        }
    }
}

/// Stores a tile's sums.
///
/// # Safety
/// As [`run`].
#[inline(always)]
unsafe fn finish(job: &Job<'_>, panel: &Panel, tile: &Tile, sums: &[i32]) {
    for (&at, row) in tile.outputs.iter().zip(sums.as_chunks::<WIDTH>().0) {
        if at == NOWHERE {
            continue;
        }
        // SAFETY: a row has two vectors; the output lies in the map, as demanded of the caller.
        unsafe {
            for c in 0..2 {
                let sums = _mm512_loadu_si512(row.as_ptr().add(c * TILE).cast());
                store::<Avx512Vnni>(job, panel, at as usize, c, sums);
            }
        }
    }
}
